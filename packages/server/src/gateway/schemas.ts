/**
 * Requests and responses of the HTTP API. The same schemas validate requests and make the OpenAPI document, so that the two
 * agree. An issue whose message is an error code becomes that error.
 */
import {
  channelPattern,
  type ErrorCode,
  errors,
  eventPattern,
  idPattern,
  type Json,
  limits,
  MillraceError,
  modelPattern,
  streamPattern,
} from '@millrace/protocol'
import { z } from 'zod'
import { grants, userId } from '../access/claims.ts'
import { shareTtl } from '../access/shares.ts'
import { asked, instructions, json } from '../sessions/asked.ts'

export const id = z.string({ error: 'invalid_id' }).regex(idPattern, 'invalid_id')
const channel = z.string({ error: 'invalid_channel' }).regex(channelPattern, 'invalid_channel')
export const query = z
  .string({ error: 'query_missing' })
  .trim()
  .min(1, 'query_missing')
  .max(limits.queryLengthMax, 'query_too_long')
const model = z.string().regex(modelPattern, 'a name has 1 to 256 characters, none of which ends a line or controls anything')
const models = z.array(model).min(1).max(limits.lanesMax)
const ticket = z.string().optional().describe('A ticket of POST /api/tickets, where no Authorization header can be sent')
const position = z.string().max(200, 'position_invalid').describe('An id that an event carried')

export const chatQuery = z.object({
  query: query.describe('What to ask'),
  model: model.optional().describe('Name of the model; see GET /api/models'),
  models: z
    .string()
    .max(limits.modelLengthMax * limits.lanesMax)
    .transform((names) => names.split(','))
    .pipe(models)
    .optional()
    .describe('Several models side by side, separated by commas'),
  session: id.optional().describe('The conversation to go on with; absent starts a new one'),
  id: id.optional().describe('Id of the run; the same id again attaches to the run instead of starting a second one'),
  events: z.enum(['type', 'lane']).default('type').describe('`lane` names events after their lane'),
  lastEventId: position.optional().describe('Like the header Last-Event-ID'),
  ticket,
})

export const chatBody = chatQuery.omit({ models: true, lastEventId: true, ticket: true }).extend({
  query: query.optional().describe('What to ask; this or `messages`'),
  models: models.optional(),
  ...asked.shape,
})

/** A step, so that readers with nearly equal intervals share one encoding. */
const intervalStepMs = 20

/** Logs that one stream or long-poll may carry; as many as a WebSocket may be attached to. */
const logsPerStreamMax = 64

/** The log to read, from which position, and how fast. */
export const reading = z.object({
  session: id.optional().describe('The session to read; this or `channel`'),
  channel: channel.optional().describe('The channel to read; created if it does not exist'),
  from: position.default('start').describe('`start`, `now` or a position'),
  slow: z
    .enum(['wait', 'latest', 'close'])
    .default('wait')
    .describe(
      'For a reader slower than its log: `wait` sends everything, `latest` only the newest event, `close` disconnects it',
    ),
  interval: z.coerce
    .number()
    .min(0)
    .max(1000)
    .default(0)
    .transform((ms) => Math.ceil(ms / intervalStepMs) * intervalStepMs)
    .describe('The least time between two writes of live events, in milliseconds and steps of 20'),
})

/** Positions in several logs, in their order. */
const positions = z.string().max(200 * logsPerStreamMax, 'position_invalid')

export const streamQuery = reading.extend({
  session: z.array(id).max(logsPerStreamMax).default([]).describe('A session to read; may be repeated, also beside `channel`'),
  channel: z
    .array(channel)
    .max(logsPerStreamMax)
    .default([])
    .describe('A channel to read; created if it does not exist; may be repeated'),
  from: positions.default('start').describe('`start`, `now`, or a position; of several logs their positions with commas between'),
  lastEventId: positions.optional().describe('Like the header Last-Event-ID; goes before `from`'),
  ticket,
  live: z.enum(['sse', 'poll']).default('sse').describe('`poll` answers once, with JSON'),
  heartbeat: z
    .enum(['sent', 'answered'])
    .default('sent')
    .describe(
      'With `answered` the client acknowledges each heartbeat by POST /api/heartbeat, and is disconnected when it stops to',
    ),
  wait: z.coerce.number().min(0).max(30).default(25).describe('With `live=poll`: seconds to wait for the first event'),
})

/** What `POST /api/publish` takes, and `publish` on a WebSocket. */
export const publication = z.object({
  channel,
  event: z.string().regex(eventPattern, 'invalid_event').default('message'),
  data: z.custom<Json>((value) => value !== undefined, 'invalid_event').describe('Any JSON; {"$binary":"<base64>"} are bytes'),
  id: id.optional().describe('The same id again in the same channel publishes nothing'),
})

export const heartbeatBody = z.object({
  stream: z.string().regex(streamPattern, 'invalid_id').describe('The header millrace-stream of the stream'),
})

/** Strict: a misspelled `may` would allow more than was meant. */
export const ticketBody = z.strictObject({
  ttl: z.number().int().min(1).max(300).default(30).describe('Seconds in which the ticket can be used'),
  sub: userId.optional().describe('The user, whom only callers with `ticket.create` may name; absent for the caller itself'),
  ...grants.shape,
  connectionTtl: z
    .number()
    .int()
    .min(1)
    .max(86_400)
    .default(3600)
    .describe('Seconds for which the connection of a user that is named may last'),
})

export const sessionBody = z.object({
  id: id.optional(),
  owner: userId.optional().describe('The user to whom it belongs; only callers with `ticket.create` may name one'),
})
/** Strict: a link that never expires as it was meant to would go unnoticed. */
export const shareBody = z.strictObject({
  ttl: z
    .number()
    .int()
    .min(shareTtl.min)
    .max(shareTtl.max)
    .default(shareTtl.default)
    .describe('Seconds until the link expires; default 7 days'),
})
export const shareParam = z.object({ id, share: id })
export const sessionsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('Length of the page'),
  before: z.coerce.number().int().min(1).optional().describe('`next` of the page before'),
})
const title = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^\P{Cc}+$/u, 'a title has no control characters')
export const changeBody = z.object({
  title: title.optional(),
  instructions: instructions.nullable().optional().describe('What its models get before the conversation; null removes it'),
})
export const exportQuery = z.object({
  format: z.enum(['json', 'markdown']).default('markdown'),
  branches: z.enum(['newest', 'all']).default('newest').describe('Only the path to the newest run, or the whole tree'),
})
export const idParam = z.object({ id })
export const uploadQuery = z.object({
  session: id.optional().describe('The session that gets the file; absent creates one'),
  name: z.string().max(1024).optional().describe('The name of the file; of a path only its last part is kept'),
})
export const uploadParam = z.object({ session: id, upload: id })
export const fileParam = z.object({
  session: id,
  position: position.describe('Of the file: its `position`, or the id of its event'),
})
export const fileQuery = z.object({
  download: z.string().max(8).optional().describe('Present: the browser saves the file and does not show it'),
})
/** The header `millrace-stream`, or what the event `renew` says. */
export const connectionParam = z.object({ id: z.string().regex(/^[\w.-]{1,100}$/) })
export const runParam = z.object({ run: id })
export const continueBody = z.object({
  session: id.optional().describe('Where the run is; needed where the run is not known by its id'),
  id: id.optional().describe('Id of the new run; the same id again attaches to it instead of starting another'),
  lane: z.string().max(300).optional().describe('Only this lane goes on'),
  model: model.optional().describe('The model that goes on, in place of those of the lanes'),
  events: chatBody.shape.events,
})

export const status = z.enum(['streaming', 'completed', 'waiting', 'stopped', 'failed', 'interrupted'])
const ofCall = {
  call: z.string().min(1).max(128).optional().describe('The call; this, `approval` or both'),
  approval: z.string().min(1).max(128).optional().describe('The approval that the call waits for'),
}
const decision = z.discriminatedUnion('decision', [
  z.strictObject({ ...ofCall, decision: z.literal('approve') }),
  z.strictObject({
    ...ofCall,
    decision: z.literal('reject'),
    reason: z.string().max(2000).optional().describe('For the model, and all readers'),
  }),
  z.strictObject({
    ...ofCall,
    decision: z.literal('edit'),
    arguments: json.describe('What the tool is called with instead; checked against its schema'),
  }),
  z.strictObject({
    ...ofCall,
    decision: z.enum(['answer', 'result']),
    value: json.describe('The result: in place of calling the tool, or of a tool that a client executes'),
    isError: z.boolean().optional(),
  }),
])
const ofWaiting = { session: id.optional().describe('Where the run is; needed where the run is not known by its id') }
/** Calls of one step of a model. */
const callsMax = 100
export const decisionsBody = z.object({ ...ofWaiting, decisions: z.array(decision).min(1).max(callsMax) })
export const resultsBody = z.object({
  ...ofWaiting,
  results: z
    .array(
      z.strictObject({
        call: z.string().min(1).max(128),
        value: json.describe('What the tool returned, or with `isError` why it failed'),
        isError: z.boolean().optional(),
      }),
    )
    .min(1)
    .max(callsMax),
})

const usage = z.object({
  inputTokens: z.number(),
  outputTokens: z.number(),
  totalTokens: z.number(),
  reasoningTokens: z.number().optional(),
  estimated: z.literal(true).optional(),
})
export const end = {
  finishReason: z.enum(['stop', 'length', 'content_filter', 'tool_calls', 'other']).optional(),
  usage: usage.optional(),
  timings: z
    .object({ firstTokenMs: z.number().nullable(), durationMs: z.number(), reasoningMs: z.number().optional() })
    .optional(),
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
        decision: z.enum(['approve', 'reject', 'edit', 'answer', 'result']),
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
  decided: z.object({
    session: z.string(),
    run: z.string(),
    waiting: z.array(z.string()).describe('Calls that nobody has decided about yet'),
    continuedBy: z.string().optional().describe('The run that goes on, once no call waits'),
    position: z.string().optional().describe('Before that run'),
  }),
  models: z.object({
    default: z.string().optional().describe('Of a request that names none; absent where you may not use it'),
    models: z.array(z.object({ name: z.string(), description: z.string(), languageModel: z.boolean() })),
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

/** Returns the parsed value. Throws a MillraceError that names the field and the problem. */
export function check<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  if (issue !== undefined && issue.message in errors) throw new MillraceError(issue.message as ErrorCode)
  const where = issue === undefined || issue.path.length === 0 ? 'The request' : `\`${issue.path.join('.')}\``
  throw new MillraceError('invalid_request', {
    message: `${where} is invalid: ${issue?.message}. See /api/openapi.json.`,
  })
}
