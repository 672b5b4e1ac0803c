/** Where webhooks are sent, as the configuration says, and how they are signed: https://www.standardwebhooks.com. */
import { createHmac } from 'node:crypto'
import { MillraceError } from '@millrace/protocol'
import { z } from 'zod'

export const webhookEvents = ['run.ended', 'session.created', 'limit.hit'] as const

export type WebhookEvent = (typeof webhookEvents)[number]

export interface WebhookOptions {
  /** With `https:`; with `http:` only a host whose name can only be private, such as `hooks.internal`. */
  readonly url: string
  /**
   * `whsec_` and 24 to 64 random bytes in base64; the receiver verifies requests with it. With several, of which one is being
   * replaced, each signs every request.
   */
  readonly secret: string | readonly string[]
  /** Default all of them. */
  readonly events?: readonly WebhookEvent[]
}

export interface Target {
  readonly url: URL
  readonly keys: readonly Buffer[]
  readonly events: ReadonlySet<WebhookEvent>
}

const options = z.strictObject({
  url: z.string(),
  secret: z.string().or(z.array(z.string()).min(1).max(4)),
  events: z.array(z.enum(webhookEvents)).optional(),
})

/** Throws a MillraceError for a target that cannot be used. `isPrivate`: whether the name of a host is one of the operator's own. */
export function resolveTargets(targets: readonly WebhookOptions[], isPrivate: (host: string) => boolean): Target[] {
  return targets.map((target, index) => {
    const { data, error } = options.safeParse(target)
    if (error !== undefined) throw invalid(`webhooks[${index}] is invalid: ${z.prettifyError(error)}.`)
    const url = URL.parse(data.url)
    if (url === null) throw invalid(`webhooks[${index}].url is not an address; give one such as https://example.com/hook.`)
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isPrivate(url.hostname)))
      throw invalid(`webhooks[${index}].url could be read on the way; use https:, or name its host in privateHosts.`)
    return { url, keys: [data.secret].flat().map(readSecret), events: new Set(data.events ?? webhookEvents) }
  })
}

function readSecret(secret: string): Buffer {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  if (/^whsec_[A-Za-z0-9+/]+={0,2}$/.test(secret) && key.length >= 24 && key.length <= 64) return key
  throw invalid(
    'The secret of a webhook is `whsec_` and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32).',
  )
}

export interface Signed {
  readonly id: string
  /** Seconds since 1970. */
  readonly timestamp: number
  readonly body: string
}

/** Of the body and of when it is sent, so that nobody can send it again later. */
export function signatureHeaders({ keys }: Pick<Target, 'keys'>, { id, timestamp, body }: Signed): Record<string, string> {
  const sign = (key: Buffer) => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': keys.map(sign).join(' ') }
}

function invalid(message: string): MillraceError {
  return new MillraceError('invalid_request', { message })
}
