/**
 * What a run is asked, from outside: each part bounded in bytes and in count, and the messages in an order that every model
 * takes. The same schemas check requests of the API, those of the library, and make the OpenAPI document.
 */
import {
  type Asked,
  askedOf,
  type ErrorCode,
  encodeJson,
  idPattern,
  type Json,
  limits,
  type Message,
  MillraceError,
  queryOf,
} from '@millrace/protocol'
import { z } from 'zod'
import { depthMax, isShallow } from '../tools/json.ts'
import { filesOf } from './message-files.ts'

const tooDeep = { error: `must be JSON of at most ${depthMax} levels`, abort: true }
/** Not `z.json()`, which overflows the stack where JSON is deep. */
export const json = z.custom<Json>((value) => value !== undefined && isShallow(value), tooDeep)
const object = z
  .custom<{ readonly [key: string]: Json }>((value) => isObject(value) && isShallow(value), tooDeep)
  .meta({ type: 'object' })
const text = z.string().min(1)
const id = z.string({ error: 'invalid_id' }).regex(idPattern, 'invalid_id')
/** Of a call of a tool. */
export const callId = z.string().min(1).max(128)
/** Of a lane: the name of its model, and a number where it is not the first of that model. */
export const laneName = z
  .string()
  .min(1)
  .max(limits.modelLengthMax + 8)

const textPart = z.strictObject({ type: z.literal('text'), text })
/** The server sets all but the position; a client may send back what it got. */
const filePart = z.strictObject({
  type: z.literal('file'),
  file: z.string().min(1).max(200).describe('The `position` of a file that was uploaded to the session'),
  mediaType: z.string().max(255).optional(),
  name: z.string().max(limits.fileNameLengthMax).optional(),
  size: z.number().optional(),
})
const toolCall = z.strictObject({
  type: z.literal('tool_call'),
  id: callId.describe('Of the call, as the model gave it'),
  name: z.string().regex(idPattern),
  arguments: json.describe('What the tool is called with'),
})
const toolResult = z.strictObject({
  type: z.literal('tool_result'),
  call: callId.describe('The `id` of the call'),
  value: json.describe('What the tool returned, or why it failed'),
  isError: z.boolean().optional(),
})
const texts = text.or(z.array(textPart).min(1))

const message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: texts }),
  z.strictObject({
    role: z.literal('user'),
    content: text.or(z.array(z.discriminatedUnion('type', [textPart, filePart])).min(1)),
  }),
  z.strictObject({
    role: z.literal('assistant'),
    content: text.or(z.array(z.discriminatedUnion('type', [textPart, toolCall])).min(1)),
  }),
  z.strictObject({ role: z.literal('tool'), content: z.array(toolResult).min(1) }),
])

/** Throws MillraceErrors of their own, which say what is wrong with the order. */
const messages = z
  .array(message)
  .min(1)
  .superRefine((all) => {
    requireSize(all)
    if (all.length > 0) requireOrder(all)
  })
  .describe('The new messages of the run, in place of `query`; a model gets them after those of the session')

const responseFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json') }),
  z.strictObject({
    type: z.literal('json_schema'),
    name: z.string().regex(idPattern).optional(),
    schema: object.describe('A JSON Schema'),
    strict: z.boolean().optional(),
  }),
])

/** Fields of providers that belong to the run, or would let a request reach what is not its own. */
const reserved = new Set(
  'model models messages input instructions prompt conversation previous_response_id stream stream_options n background store tools tool_choice functions function_call'.split(
    ' ',
  ),
)

const params = z
  .strictObject({
    temperature: z.number().min(0).max(2).optional(),
    topP: z.number().min(0).max(1).optional(),
    maxOutputTokens: z.number().int().min(1).max(10_000_000).optional(),
    stop: z.array(z.string().min(1).max(256)).min(1).max(16).optional().describe('Texts before which the answer ends'),
    seed: z.number().int().min(0).max(2_147_483_647).optional(),
    reasoningEffort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).optional(),
    responseFormat: responseFormat.optional(),
    toolChoice: z
      .literal('required')
      .or(z.strictObject({ tool: z.string().regex(idPattern) }))
      .optional()
      .describe('The first step must call some tool, or this one'),
    provider: object
      .refine((value) => !Object.keys(value).some((field) => reserved.has(field)), 'has a field that the server sets')
      .refine((value) => isWithin(value, limits.providerBytesMax), `has more than ${limits.providerBytesMax} bytes`)
      .optional()
      .describe("Further fields of the provider's own API"),
  })
  .refine((value) => isWithin(value, limits.paramsBytesMax), `has more than ${limits.paramsBytesMax} bytes`)

/** Strict: a misspelled `input` would leave a model without a schema. */
const clientTool = z.strictObject({
  name: z.string().regex(idPattern),
  description: z.string().optional().describe('For the model: what it does, and when to use it'),
  input: object
    .refine(({ type = 'object' }) => type === 'object', 'must be a schema of an object')
    .optional()
    .describe('A JSON Schema of the arguments, an object; the server does not check them'),
})

const tools = z
  .array(clientTool)
  .min(1)
  .max(limits.toolsMax)
  .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'has two tools of one name')
  .refine((all) => isWithin(all, limits.toolsBytesMax), `has more than ${limits.toolsBytesMax} bytes`)

export const instructions = z.string().trim().min(1).max(limits.instructionsLengthMax)

const metadata = z
  .record(z.string().min(1).max(limits.metadataKeyLengthMax), z.string().max(limits.metadataValueLengthMax))
  .refine((value) => Object.keys(value).length <= limits.metadataKeysMax, `has more than ${limits.metadataKeysMax} keys`)

/** Beside the `query`. */
export const asked = z.object({
  messages: messages.optional(),
  instructions: instructions.optional().describe('In place of the instructions of the session; those of the server come before'),
  params: params.optional().describe('How the model answers; one that does not take a parameter rejects the request'),
  tools: tools.optional().describe('Further tools, which the client executes'),
  metadata: metadata.optional().describe('Values of the application, which are kept with the run'),
  parent: id
    .nullable()
    .optional()
    .describe('The run of this session that the question follows; null follows none, and absent follows the newest run'),
  parentLane: laneName.optional().describe('Of a `parent` with several lanes, the one whose answer every model gets'),
})

/** Of a request of the library. Throws `invalid_request`, and what the order of its messages lacks. */
export function checkAsked(request: Asked): Asked {
  const fields = askedOf(request)
  if (Object.keys(fields).length === 0) return fields
  const { data, error } = asked.safeParse(fields)
  if (data !== undefined) return askedOf(data)
  const [issue] = error.issues
  throw new MillraceError('invalid_request', { message: `\`${issue?.path.join('.')}\` is invalid: ${issue?.message}.` })
}

/** A checked request: what is recorded of it. `query` is the text of the last message of a user. */
export interface Question extends Asked {
  readonly query: string
}

/** Either `query` or `messages`. One plain message of a user is a query. Throws `query_missing` and `invalid_request`. */
export function toQuestion({
  query,
  messages,
  instructions,
  params,
  tools,
  metadata,
  parent,
  parentLane,
}: Asked & { readonly query?: string | undefined }): Question {
  if (query !== undefined && messages !== undefined)
    throw new MillraceError('invalid_request', { message: 'Send either a `query` or `messages`.' })
  if (query === undefined && messages === undefined) throw new MillraceError('query_missing')
  if (parentLane !== undefined && typeof parent !== 'string')
    throw new MillraceError('invalid_request', { message: 'A `parentLane` is a lane of the `parent`; name both.' })
  const plain = query ?? plainQuery(messages ?? [])
  return {
    query: plain ?? queryOf(messages ?? []),
    ...(plain === undefined && { messages }),
    ...(instructions !== undefined && { instructions }),
    ...(params !== undefined && Object.keys(params).length > 0 && { params }),
    ...(tools !== undefined && tools.length > 0 && { tools }),
    ...(metadata !== undefined && Object.keys(metadata).length > 0 && { metadata }),
    ...(parent !== undefined && { parent }),
    ...(parentLane !== undefined && { parentLane }),
  }
}

function plainQuery([first, ...rest]: readonly Message[]): string | undefined {
  if (first?.role !== 'user' || rest.length > 0 || filesOf([first]).length > 0) return undefined
  const query = queryOf([first])
  return query.length <= limits.queryLengthMax && query === query.trim() ? query : undefined
}

function requireSize(all: readonly Message[]): void {
  const parts = all.reduce((sum, { content }) => sum + (typeof content === 'string' ? 1 : content.length), 0)
  if (parts > limits.messagesMax || !isWithin(all, limits.messagesBytesMax)) throw new MillraceError('messages_too_large')
}

/**
 * What models agree on: the results of tools follow their calls at once, each call has one, and the last message is one to
 * answer.
 */
function requireOrder(all: readonly Message[]): void {
  const open = new Set<string>()
  const known = new Set<string>()
  for (const [index, { role, content }] of all.entries()) {
    if (role !== 'tool' && open.size > 0) throw invalid('tool_result_missing', index, `comes before the result of ${quote(open)}`)
    for (const part of typeof content === 'string' ? [] : content) {
      if (part.type === 'tool_call') {
        if (known.has(part.id)) throw invalid('messages_invalid', index, `repeats the id of the call ${quote([part.id])}`)
        known.add(part.id)
        open.add(part.id)
      } else if (part.type === 'tool_result' && !open.delete(part.call))
        throw invalid('tool_result_unexpected', index, `has a result of ${quote([part.call])}, which is no open call`)
    }
  }
  const last = all.length - 1
  if (open.size > 0) throw invalid('tool_result_missing', last, `is followed by no result of ${quote(open)}`)
  const role = all[last]?.role
  if (role === 'user' || role === 'tool') return
  throw invalid('messages_invalid', last, `is the last one and has the role ${role}; only user and tool can be answered`)
}

function invalid(code: ErrorCode, index: number, problem: string): MillraceError {
  return new MillraceError(code, { message: `\`messages.${index}\` ${problem}.` })
}

function quote([first]: Iterable<string>): string {
  return JSON.stringify(first)
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isWithin(value: unknown, bytesMax: number): boolean {
  return Buffer.byteLength(encodeJson(value)) <= bytesMax
}
