/** Responses of the HTTP API, for the OpenAPI document. */
import { type ErrorCode, errors } from '@millrace/protocol'
import { z } from 'zod'
import { asked } from '../sessions/asked.ts'

export const status = z.enum(['streaming', 'completed', 'waiting', 'stopped', 'failed', 'interrupted'])
const usage = z.object({
  inputTokens: z.number(),
  outputTokens: z.number(),
  totalTokens: z.number(),
  reasoningTokens: z.number().optional(),
  cachedInputTokens: z.number().optional(),
  estimated: z.literal(true).optional(),
})
export const end = {
  finishReason: z.enum(['stop', 'length', 'content_filter', 'tool_calls', 'other']).optional(),
  usage: usage.optional(),
  timings: z
    .object({ firstTokenMs: z.number().nullable(), durationMs: z.number(), reasoningMs: z.number().optional() })
    .optional(),
  cost: z.object({ amount: z.number(), currency: z.string() }).optional().describe('Where the operator has set a currency'),
  error: z.object({ code: z.string(), message: z.string(), retryable: z.boolean() }).optional(),
}
const file = { mediaType: z.string(), name: z.string().optional(), size: z.number(), position: z.string() }
const part = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['text', 'reasoning']), text: z.string() }),
  z.object({
    type: z.literal('tool'),
    call: z.string(),
    name: z.string(),
    arguments: z.json().optional(),
    argumentsText: z.string().optional().describe('As far as they have arrived'),
    by: z.enum(['server', 'client', 'model']).optional(),
    state: z.enum(['streaming', 'called', 'waiting', 'done', 'failed', 'rejected']),
    value: z.json().optional(),
    preliminary: z.literal(true).optional(),
    approval: z.string().optional(),
    expiresAt: z.number().optional(),
    decision: z
      .object({
        decision: z.enum(['approve', 'reject', 'edit', 'answer', 'result', 'withdraw']),
        reason: z.string().optional(),
        by: z.string().optional(),
      })
      .optional(),
  }),
  z.object({ type: z.literal('data'), name: z.string(), value: z.json() }),
  z.object({ type: z.literal('file'), ...file }),
  z.object({
    type: z.literal('source'),
    source: z.string(),
    url: z.string().optional(),
    title: z.string().optional(),
    mediaType: z.string().optional(),
  }),
  z.object({ type: z.literal('step'), step: z.number(), finishReason: end.finishReason, usage }),
])
const lane = z.object({
  lane: z.string(),
  model: z.string(),
  status,
  text: z.string(),
  reasoning: z.string(),
  data: z.array(z.object({ name: z.string(), value: z.json() })),
  files: z.array(z.object(file)),
  parts: z.array(part).describe('All of the answer, in order'),
  ...end,
})

const share = z.object({ id: z.string(), createdAt: z.number(), expiresAt: z.number() })
const listedSession = z.object({ id: z.string(), title: z.string(), createdAt: z.number(), updatedAt: z.number() })
const queued = z.object({
  entry: z.string().describe('Becomes the id of the run'),
  query: z.string(),
  ...asked.shape,
  models: z.array(z.string()).optional(),
  steer: z.boolean().optional(),
  addedAt: z.number(),
})

const transcript = z.object({
  id: z.string(),
  position: z.string(),
  complete: z.boolean(),
  runs: z.array(
    z.object({
      run: z.string(),
      query: z.string().describe('Of `messages` the text of the last one of a user'),
      ...asked.shape,
      parent: asked.shape.parent.describe('The run that this one follows; null for the first; absent with `continues`'),
      steer: z.boolean().optional().describe('What was being answered was stopped for it'),
      continues: z.string().optional(),
      startedAt: z.number(),
      status,
      lanes: z.array(lane),
      ...end,
    }),
  ),
  queue: z.array(queued).describe('Questions that wait'),
  isPaused: z.boolean().describe('The queue waits, because somebody has stopped an answer'),
})

const polled = z.object({
  events: z.array(z.object({ id: z.string(), event: z.string(), data: z.json() })),
  position: z.string(),
})

export const answers = {
  polled,
  started: z.object({ session: z.string(), run: z.string(), position: z.string() }),
  session: z.object({ id: z.string() }),
  upload: z.object({
    session: z.string(),
    upload: z.string(),
    offset: z.number().describe('Bytes that are kept'),
    size: z.number(),
    mediaType: z.string(),
    name: z.string().optional(),
    position: z.string().optional().describe('Of the file, once it is complete'),
  }),
  queued: z.object({ session: z.string(), entry: z.string(), position: z.string() }),
  published: z.object({ channel: z.string(), position: z.string(), duplicate: z.boolean() }),
  renewed: z.object({ expiresAt: z.number().optional().describe('Of the new token, in milliseconds since 1970') }),
  ticket: z.object({ ticket: z.string(), expiresAt: z.number() }),
  share,
  newShare: share.extend({ token: z.string().describe('To be sent as a token: `Authorization: Bearer …`; shown once') }),
  shares: z.object({ shares: z.array(share) }),
  listedSession,
  instructions: z.object({ instructions: z.string().nullable() }),
  sessions: z.object({ sessions: z.array(listedSession), next: z.number().optional() }),
  transcript,
  exported: transcript.extend({ title: z.string() }).or(z.string()).describe('JSON, or Markdown'),
  end: z.object({
    status,
    model: z.string().optional().describe('Of one lane'),
    ...end,
    position: z.string().optional().describe('After the end, with the session; all that was said is before it'),
    lanes: z.record(z.string(), z.object({ model: z.string(), status, ...end })).optional(),
  }),
  produced: z.object({
    session: z.string(),
    run: z.string(),
    next: z.number().optional().describe('The number of the line that the server expects next'),
    end: z
      .object({ status, ...end, position: z.string().optional() })
      .optional()
      .describe('Once the run has ended'),
  }),
  decided: z.object({
    session: z.string(),
    run: z.string(),
    waiting: z.array(z.string()).describe('Calls that nobody has decided about yet'),
    continuedBy: z.string().optional().describe('The run that goes on, once no call waits'),
    position: z.string().optional().describe('Before that run'),
  }),
  models: z.object({
    default: z.string().optional().describe('Of a request that names none; absent where you may not use it'),
    models: z.array(
      z.object({
        name: z.string(),
        description: z.string(),
        languageModel: z.boolean(),
        accepts: z.array(z.string()).describe('Media types of files that it is given, such as `image/*`'),
      }),
    ),
  }),
  health: z.object({ status: z.enum(['ok', 'stopping']), version: z.string(), uptimeSeconds: z.number() }),
  readiness: z.object({
    status: z.enum(['ready', 'stopping', 'engine_failed', 'lagging']),
    engineMs: z.number().optional().describe('How long the engine took to respond'),
    lagMs: z.number().describe('Delay of the event loop'),
  }),
  error: z.object({
    error: z.object({
      code: z.enum(Object.keys(errors) as [ErrorCode]),
      message: z.string(),
      docs: z.string(),
      retryable: z.boolean(),
      retryAfter: z.number().optional().describe('Seconds until the same request may succeed'),
    }),
  }),
}
