/**
 * The token with which a worker acknowledges a wake: `generation.expiry.signature`. It is for one wake of one subscription, and
 * sent in the Authorization header. PROTOCOL.md 12.9 of Durable Streams.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { SubscriptionError } from './errors.ts'
import type { Subscription } from './subscription.ts'

/** Far longer than a worker should keep one wake: its lease ends long before. */
const lifetimeMs = 24 * 60 * 60_000
const tokenPattern = /^(\d{1,15})\.(\d{1,15})\.([\w-]{43})$/

export function createToken({ id, secret, generation }: Subscription, now: number): string {
  const expiresAt = Math.floor((now + lifetimeMs) / 1000)
  return `${generation}.${expiresAt}.${sign(secret, id, generation, expiresAt)}`
}

/** The generation that a token is for. Throws a SubscriptionError. */
export function readToken({ id, secret }: Subscription, token: string | undefined, now: number): number {
  const [, generation, expiresAt, signature = ''] = tokenPattern.exec(token ?? '') ?? []
  const expected = Buffer.from(sign(secret, id, Number(generation), Number(expiresAt)))
  const given = Buffer.from(signature)
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new SubscriptionError(
      'TOKEN_INVALID',
      'The token is not one of this subscription; send that of the wake as a bearer token.',
    )
  if (now >= Number(expiresAt) * 1000)
    throw new SubscriptionError('TOKEN_EXPIRED', 'The token has expired; wait for the next wake.')
  return Number(generation)
}

function sign(secret: string, id: string, generation: number, expiresAt: number): string {
  return createHmac('sha256', secret).update(`${id}.${generation}.${expiresAt}`).digest('base64url')
}
