/** A subscription as its clients see it. PROTOCOL.md 6.3 of Durable Streams. */
import type { SigningKey } from './signing.ts'
import { beforeAll, type Link, type Subscription } from './subscription.ts'
import { isPending, type Tails } from './tails.ts'

export function describeSubscription({ id, config, links, createdAt, root, wake }: Subscription, key: SigningKey) {
  const signing = { alg: 'ed25519', kid: key.kid, jwks_url: `${root}__ds/jwks.json` }
  return {
    id,
    subscription_id: id,
    type: config.type,
    ...(config.pattern !== undefined && { pattern: config.pattern }),
    streams: links.map(describeLink),
    ...(config.webhook !== undefined && { webhook: { url: config.webhook.url, signing } }),
    wake_stream: config.wakeStream ?? null,
    lease_ttl_ms: config.leaseMs,
    created_at: new Date(createdAt).toISOString(),
    status: (wake?.failures ?? 0) > 0 ? 'failed' : 'active',
    ...(wake?.failures && wake.attemptAt !== undefined && { next_attempt_at: new Date(wake.attemptAt).toISOString() }),
    ...(config.description !== undefined && { description: config.description }),
  }
}

/** As a worker gets them. */
export function describeStreams({ links }: Subscription, tails: Tails) {
  return links.map((link) => ({
    ...describeLink(link),
    tail_offset: tails.get(link.path)?.offset ?? beforeAll,
    has_pending: isPending(link, tails),
  }))
}

function describeLink({ path, isExplicit, acked }: Link) {
  return { path, link_type: isExplicit ? 'explicit' : 'glob', acked_offset: acked }
}
