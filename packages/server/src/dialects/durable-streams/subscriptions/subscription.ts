/**
 * A subscription: a durable cursor over streams, with which a worker is notified that there is something to read. All that is
 * known of it is one value, the last event of its log; the functions here make its next value, and nothing else.
 *
 * A wake is one task for one worker. It has a generation of its own, so that what is said about another one is rejected.
 */
import { randomBytes } from 'node:crypto'
import { invalidRequest, SubscriptionError } from './errors.ts'
import { matchesPattern } from './pattern.ts'

export interface SubscriptionConfig {
  readonly type: 'webhook' | 'pull-wake'
  readonly pattern?: string
  /** Sorted, without repetition. */
  readonly streams: readonly string[]
  readonly webhook?: { readonly url: string }
  readonly wakeStream?: string
  readonly leaseMs: number
  readonly description?: string
}

export interface Subscription {
  readonly id: string
  readonly config: SubscriptionConfig
  /** Address of the streams as its creator used it, with a slash at its end: workers call it back there. */
  readonly root: string
  /** Milliseconds since 1970. */
  readonly createdAt: number
  /** Signs the tokens of its wakes. One that is created again under the same id has another. */
  readonly secret: string
  /** The streams that existed before it are linked. */
  readonly isReady: boolean
  /** Oldest first. */
  readonly links: readonly Link[]
  /** Of the last wake. */
  readonly generation: number
  readonly wake?: Wake
}

export interface Link {
  readonly path: string
  /** Named by a client; otherwise the pattern has it. */
  readonly isExplicit: boolean
  /** The last offset that a worker has processed. */
  readonly acked: string
}

export interface Wake {
  readonly id: string
  /** The worker that has claimed it. */
  readonly holder?: string
  /** When somebody else may get the work; absent while nobody has claimed it. Milliseconds since 1970. */
  readonly leaseUntil?: number
  /** Attempts to notify the worker that have failed. */
  readonly failures: number
  /** When any server may notify it; absent when that is done, and while a webhook is sent. */
  readonly attemptAt?: number
}

/** Before the first offset of any stream. */
export const beforeAll = '-1'

/** Of one subscription: all are in one event, and in every request to its webhook. */
export const linksMax = 1000

const retryMs = { first: 1000, max: 60_000 }
/** For the event of a wake that workers claim. */
const announceMs = 5000
/** Retries of many that failed together are spread. */
const jitter = 0.2

export function createSubscription(id: string, config: SubscriptionConfig, root: string, now: number): Subscription {
  const secret = randomBytes(32).toString('base64url')
  return { id, config, root, createdAt: now, secret, isReady: false, links: [], generation: 0 }
}

/** The same subscription where nothing changes. An explicit link is also one of the pattern. Throws where there are too many. */
export function withLink(subscription: Subscription, link: Link): Subscription {
  const { links, config } = subscription
  // Each wake would be followed by another.
  if (link.path === config.wakeStream) throw invalidRequest('wake_stream is no stream of its own subscription; name another one.')
  const known = links.find(({ path }) => path === link.path)
  if (known !== undefined) {
    if (known.isExplicit || !link.isExplicit) return subscription
    return { ...subscription, links: links.map((each) => (each === known ? { ...known, isExplicit: true } : each)) }
  }
  if (links.length >= linksMax)
    throw new SubscriptionError('TOO_MANY_SUBSCRIPTIONS', `A subscription has at most ${linksMax} streams.`)
  return { ...subscription, links: [...links, link] }
}

export function withoutExplicit(subscription: Subscription, path: string): Subscription {
  const { links, config } = subscription
  const known = links.find((link) => link.path === path)
  if (!known?.isExplicit) return subscription
  if (!isOfPattern(config, path)) return { ...subscription, links: links.filter((link) => link !== known) }
  return { ...subscription, links: links.map((link) => (link === known ? { ...link, isExplicit: false } : link)) }
}

/** Streams that are over. One that a client named is read from its start if it is created again. */
export function withoutStreams(subscription: Subscription, isOver: (path: string) => boolean): Subscription {
  const { links } = subscription
  if (!links.some(({ path }) => isOver(path))) return subscription
  const left = links.filter(({ path, isExplicit }) => isExplicit || !isOver(path))
  return { ...subscription, links: left.map((link) => (isOver(link.path) ? { ...link, acked: beforeAll } : link)) }
}

/** The wakes of a subscription are no work of it. */
export function isOfPattern({ pattern, wakeStream }: SubscriptionConfig, path: string): boolean {
  return pattern !== undefined && path !== wakeStream && matchesPattern(pattern, path)
}

export function withAcks(subscription: Subscription, acks: ReadonlyMap<string, string>): Subscription {
  const links = subscription.links.map((link) => ({ ...link, acked: acks.get(link.path) ?? link.acked }))
  return { ...subscription, links }
}

/** The lease of a webhook begins with its wake, that of others when they claim it. */
export function withWake(subscription: Subscription, now: number): Subscription {
  const wake = { id: `w_${randomBytes(12).toString('base64url')}`, failures: 0 }
  return withAttempt({ ...subscription, generation: subscription.generation + 1, wake }, now)
}

export function withoutWake({ wake: _ended, ...subscription }: Subscription): Subscription {
  return subscription
}

/** This server notifies the worker, and no other does so for a while. */
export function withAttempt(subscription: Subscription, now: number): Subscription {
  const { config } = subscription
  if (config.type === 'pull-wake') return withChanges(subscription, { attemptAt: now + announceMs })
  return withChanges(withoutAttempt(subscription), { leaseUntil: now + config.leaseMs })
}

/** The worker has been notified. */
export function withoutFailures(subscription: Subscription): Subscription {
  const { wake } = subscription
  if (wake === undefined || (wake.attemptAt === undefined && wake.failures === 0)) return subscription
  return withChanges(withoutAttempt(subscription), { failures: 0 })
}

function withoutAttempt(subscription: Subscription): Subscription {
  if (subscription.wake === undefined) return subscription
  const { attemptAt: _due, ...wake } = subscription.wake
  return { ...subscription, wake }
}

/** The lease of a webhook ends after the next attempt: its wake is not replaced while the receiver is away. */
export function withFailure(subscription: Subscription, now: number, random: number): Subscription {
  const { type, leaseMs } = subscription.config
  const failures = subscription.wake?.failures ?? 0
  const delay = Math.min(retryMs.first * 2 ** failures, retryMs.max) * (1 - jitter + 2 * jitter * random)
  const attemptAt = now + Math.round(delay)
  const lease = type === 'webhook' ? { leaseUntil: attemptAt + leaseMs } : {}
  return withChanges(subscription, { failures: failures + 1, attemptAt, ...lease })
}

export function withLease(subscription: Subscription, now: number, holder = subscription.wake?.holder): Subscription {
  const lease = { leaseUntil: now + subscription.config.leaseMs, ...(holder !== undefined && { holder }) }
  return withChanges(withoutAttempt(subscription), { ...lease, failures: 0 })
}

function withChanges(subscription: Subscription, changes: Partial<Wake>): Subscription {
  const { wake } = subscription
  return wake === undefined ? subscription : { ...subscription, wake: { ...wake, ...changes } }
}

/** When something is to be done though nobody calls; infinite where nothing is. */
export function dueAt({ wake }: Subscription): number {
  return Math.min(wake?.leaseUntil ?? Number.POSITIVE_INFINITY, wake?.attemptAt ?? Number.POSITIVE_INFINITY)
}

/** Whether a wake is a worker's, and nobody else may have it. */
export function isHeld({ wake }: Subscription, now: number): boolean {
  return wake?.leaseUntil !== undefined && now < wake.leaseUntil
}
