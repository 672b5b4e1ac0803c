/** Requests and responses of the admin API. Every list is bounded. */
import { channelPattern, idPattern } from '@millrace/protocol'
import { z } from 'zod'
import { placePattern } from './nodes.ts'

const nodeId = z.string().regex(/^[\w-]{1,64}$/)
export const nodeParam = z.object({ id: nodeId.describe('Of GET /api/admin/nodes') })

export const text = z.string().min(1).max(300)
export const page = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('Length of the page'),
  before: z.string().regex(placePattern).optional().describe('`next` of the page before'),
})

const connectionFields = {
  principal: text.optional().describe('Id of the principal'),
  session: z.string().regex(idPattern, 'invalid_id').optional().describe('A session that they read'),
  channel: z.string().regex(channelPattern, 'invalid_channel').optional().describe('A channel that they read'),
  transport: z.enum(['sse', 'ws', 'poll']).optional(),
  address: text.optional().describe('Address of the client'),
}

export const connectionsQuery = page.extend(connectionFields)
/** Strict: a misspelled field would disconnect more than was meant. */
export const disconnectBody = z.strictObject({
  id: text.optional().describe('Of one connection'),
  ...connectionFields,
  code: z
    .enum([
      'connection_closed',
      'server_stopping',
      'too_many_connections',
      'forbidden',
      'unauthenticated',
      'token_revoked',
      'session_not_found',
    ])
    .default('connection_closed')
    .describe('What the clients get; with `connection_closed` and `server_stopping` they reconnect'),
})

export const nodes = z
  .array(z.object({ node: z.string(), answered: z.boolean(), error: z.string().optional() }))
  .describe('The servers that were asked')

export const nodeInfo = z.object({
  node: z.string(),
  version: z.string(),
  startedAt: z.number(),
  connections: z.number(),
  runs: z.number().describe('In progress'),
  memoryBytes: z.number(),
  drainingSince: z.number().optional().describe('In milliseconds since 1970; absent where it accepts clients'),
})

const connection = z.object({
  id: z.string(),
  node: z.string(),
  transport: z.enum(['sse', 'ws', 'poll']),
  principal: z.string(),
  address: z.string().optional(),
  since: z.number().describe('Milliseconds since 1970'),
  logs: z.array(z.string()).describe('The first 16 that it reads: sessions by their id, channels as `channel/` and their name'),
  logCount: z.number(),
})

/** Of a log. */
export const bounds = { start: z.string().describe('Position before the oldest event kept'), head: z.string() }

export const next = z.string().optional().describe('The `before` of the next page; absent on the last one')

export const adminAnswers = {
  nodes: z.object({ answeredBy: z.string(), servers: z.array(nodeInfo), nodes }),
  connections: z.object({ connections: z.array(connection), total: z.number(), next, nodes }),
  disconnected: z.object({ disconnected: z.number(), nodes }),
}
