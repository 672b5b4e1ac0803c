/** Bodies of requests about subscriptions, checked. */
import { channelPattern } from '@millrace/protocol'
import { z } from 'zod'
import type { ClientWebhooks } from '../../../outgoing/client-webhooks.ts'
import type { Acknowledgement, WakeReference } from './claims.ts'
import { invalidRequest, SubscriptionError } from './errors.ts'
import type { SubscriptionConfig } from './subscription.ts'

const text = z.string().min(1).max(1024)
const leaseMs = { default: 30_000, min: 1000, max: 600_000 } as const

export const idParam = z.object({
  id: z.string().regex(/^[\w.:-]{1,128}$/, 'has 1 to 128 characters of A-Z a-z 0-9 _ . : and -'),
})
export const idAndPath = idParam.extend({ path: z.string() })

export const createBody = z.object({
  type: z.enum(['webhook', 'pull-wake']),
  pattern: text.optional(),
  streams: z.array(text).max(1000).optional(),
  webhook: z.object({ url: z.string().min(1).max(2048) }).optional(),
  wake_stream: text.optional(),
  lease_ttl_ms: z.int().min(leaseMs.min).max(leaseMs.max).default(leaseMs.default),
  description: z.string().max(1024).optional(),
})

export const streamsBody = z.object({ streams: z.array(text).min(1).max(1000) })
export const claimBody = z.object({ worker: z.string().min(1).max(256) })
export const releaseBody = z.object({ wake_id: z.string().max(256), generation: z.number() })
export const ackBody = releaseBody.extend({
  acks: z
    .array(z.object({ stream: text.optional(), path: text.optional(), offset: z.string().max(256) }))
    .max(1000)
    .optional(),
  done: z.boolean().optional(),
})

export type CreateInput = z.output<typeof createBody>
export type ReleaseInput = z.output<typeof releaseBody>
export type AckInput = z.output<typeof ackBody>

/** Throws a SubscriptionError. */
export function readConfig(input: CreateInput, webhooks: ClientWebhooks): SubscriptionConfig {
  const { type, pattern, streams = [], webhook, wake_stream: wakeStream, lease_ttl_ms, description } = input
  if (pattern === undefined && streams.length === 0) throw invalidRequest('Send pattern, streams or both.')
  if (type === 'webhook' && webhook === undefined) throw invalidRequest('A subscription with a webhook needs webhook.url.')
  if (type === 'pull-wake' && wakeStream === undefined)
    throw invalidRequest('A subscription that workers pull needs wake_stream.')
  return {
    type,
    ...(pattern !== undefined && { pattern: readPattern(pattern) }),
    streams: [...new Set(streams.map(readPath))].sort(),
    ...(type === 'webhook' && webhook && { webhook: { url: readWebhookUrl(webhook.url, webhooks) } }),
    ...(type === 'pull-wake' && wakeStream !== undefined && { wakeStream: readPath(wakeStream) }),
    leaseMs: lease_ttl_ms,
    ...(description !== undefined && { description }),
  }
}

/** The name of a stream. Throws a SubscriptionError. */
export function readPath(text: string): string {
  const path = trimSlashes(text)
  if (/^__ds(\/|$)/.test(path) || !channelPattern.test(path))
    throw invalidRequest(`${JSON.stringify(path)} is no name of a stream: 1 to 128 characters of A-Z a-z 0-9 _ . : / and -.`)
  return path
}

function readPattern(text: string): string {
  const pattern = trimSlashes(text)
  if (!/^([\w.:-]+|\*\*?)(\/([\w.:-]+|\*\*?))*$/.test(pattern) || pattern.length > 128)
    throw invalidRequest('The pattern is a name of a stream with * for one segment, or ** for any number of them.')
  return pattern
}

function readWebhookUrl(text: string, webhooks: ClientWebhooks): string {
  const why = webhooks.whyRejected(text)
  if (why !== undefined) throw new SubscriptionError('WEBHOOK_URL_REJECTED', `webhook.url ${why}.`)
  return new URL(text).href
}

export function readReference({ wake_id: wake, generation }: ReleaseInput, token: string | undefined): WakeReference {
  return { token, wake, generation }
}

/** `path` is another name of `stream`. */
export function readAcknowledgement(input: AckInput, token: string | undefined): Acknowledgement {
  const acks = (input.acks ?? []).map(({ stream, path = stream ?? '', offset }) => [trimSlashes(path), offset] as const)
  return { ...readReference(input, token), acks: new Map(acks), isDone: input.done === true }
}

const trimSlashes = (path: string): string => path.replace(/^\/+|\/+$/g, '')
