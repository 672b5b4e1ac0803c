/** Requests of the HTTP API. The same schemas validate them and make the OpenAPI document, so that the two agree. */
import { channelPattern, eventPattern, idPattern, type Json, limits, modelPattern, streamPattern } from '@millrace/protocol'
import { z } from 'zod'
import { grants, userId } from '../access/claims.ts'
import { shareTtl } from '../access/shares.ts'
import { asked, callId, instructions, json, laneName } from '../sessions/asked.ts'

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

/** As a query has it, where null has no place. */
const place = {
  parent: id.optional().describe('The run of this session that the question follows; absent follows the newest run'),
  parentLane: laneName.optional().describe('Of a `parent` with several lanes, the one that the question follows'),
}

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
  ...place,
  events: z.enum(['type', 'lane']).default('type').describe('`lane` names events after their lane'),
  lastEventId: position.optional().describe('Like the header Last-Event-ID'),
  ticket,
})

export const chatBody = chatQuery.omit({ models: true, lastEventId: true, ticket: true }).extend({
  query: query.optional().describe('What to ask; this or `messages`'),
  models: models.optional(),
  ...asked.shape,
})

/** What a body of an answer belongs to. */
export const produceQuery = z.object({
  query: query.optional().describe('The question; absent where the first line is one, or where there is none'),
  session: id.optional().describe('The session of the run, which is created if it does not exist; absent creates one'),
  id: id.optional().describe('Id of the run; the same id again goes on with it. Needed with a Producer-Id'),
  model: model.optional().describe('Who answers; default `app`. With `continues` the lane that goes on'),
  continues: id.optional().describe('The run that this one continues: one that ended early'),
  ...place,
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
  through: id.optional().describe('A run: in place of the newest path the one through it, to the newest below it'),
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
  lane: laneName.optional().describe('Only this lane goes on'),
  model: model.optional().describe('The model that goes on, in place of those of the lanes'),
  events: chatBody.shape.events,
})

const ofCall = {
  call: callId.optional().describe('The call; this, `approval` or both'),
  approval: callId.optional().describe('The approval that the call waits for'),
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
        call: callId,
        value: json.describe('What the tool returned, or with `isError` why it failed'),
        isError: z.boolean().optional(),
      }),
    )
    .min(1)
    .max(callsMax),
})
