/**
 * The request of a client of AG-UI or TanStack AI. It has the whole conversation, which the server has too: what follows the
 * last message of the assistant is new. What is before says where in the conversation that is: place.ts.
 */
import { type Asked, type Json, limits, MillraceError, modelPattern } from '@millrace/protocol'
import { z } from 'zod'
import type { AskInput } from '../../gateway/asking.ts'
import { checkAsked } from '../../sessions/asked.ts'
import type { MessageWithBytes } from '../../sessions/given-files.ts'
import { parseJsonOrText } from '../../tools/json.ts'
import { parseFileUrl } from '../shared/file-url.ts'
import { idOfName } from '../shared/id-of-name.ts'
import { messageKey } from '../shared/message-key.ts'

/** Any text: `idOfName`. */
const name = z.string({ error: 'invalid_id' }).min(1, 'invalid_id').max(512, 'invalid_id')
const model = z.string().regex(modelPattern)

const source = z.looseObject({ type: z.string(), value: z.string(), mimeType: z.string().optional() })
const contentPart = z.looseObject({ type: z.string(), text: z.string().optional(), source: source.optional() })
const message = z.looseObject({
  id: z.string().optional(),
  role: z.string(),
  content: z.union([z.string(), z.array(contentPart)]).nullish(),
  toolCallId: z.string().optional(),
  error: z.string().optional(),
})

/** Loose, as the dialects grow: what a server does not know it ignores. */
export const runAgentInput = z.looseObject({
  threadId: name.describe('The session'),
  runId: name.describe('The id of the run; the same id again attaches to it'),
  parentRunId: z.string().max(512).optional(),
  messages: z.array(message),
  tools: z
    .array(z.looseObject({ name: z.string(), description: z.string().optional(), parameters: z.unknown().optional() }))
    .optional()
    .describe('Tools that the client executes'),
  context: z.array(z.looseObject({ description: z.string(), value: z.string() })).optional(),
  forwardedProps: z
    .looseObject({ model: model.optional(), models: z.array(model).min(1).max(limits.lanesMax).optional(), params: z.unknown() })
    .partial()
    .nullish()
    .describe('`model` or `models`, and `params`, as of POST /api/chat'),
  resume: z
    .array(z.looseObject({ interruptId: z.string(), status: z.enum(['resolved', 'cancelled']), payload: z.unknown().optional() }))
    .optional(),
})

export type RunAgentInput = z.output<typeof runAgentInput>
export type ClientMessage = RunAgentInput['messages'][number]

export interface Posted {
  /** What is before the questions. */
  readonly history: readonly ClientMessage[]
  readonly questions: readonly ClientMessage[]
}

/** Either a question, whose messages may bring files, or what the client says about calls of a run that waits. */
export type Wanted =
  | {
      readonly ask: AskInput & Named
      readonly posted: Posted
      readonly messages: readonly MessageWithBytes[]
      readonly last: LastMessage
    }
  | { readonly answers: readonly CallAnswer[] }

interface Named {
  readonly session: string
  readonly id: string
}

/** The one that is asked. `id`: as its client calls it; undefined where it has none. */
export interface LastMessage {
  readonly id: string | undefined
  readonly text: string
}

/** About the call, or the approval, of this id. */
export interface CallAnswer {
  readonly id: string
  readonly isResult: boolean
  /** Of a tool that the client has executed; of an approval what `resume` has. */
  readonly value: Json
  readonly isError: boolean
}

/** For each call of a step both its result and an answer to its interrupt. */
const answersMax = 200

/** Throws `query_missing` without either, and as `checkAsked` does. */
export function readInput(input: RunAgentInput): Wanted {
  const { threadId, runId, messages, resume = [], forwardedProps } = input
  const added = messages.slice(messages.findLastIndex(({ role }) => role === 'assistant') + 1)
  const questions = added.slice(added.findLastIndex(({ role }) => role === 'tool') + 1).filter(({ role }) => role === 'user')
  const results = added.filter(({ role }) => role === 'tool').map(toResult)
  const answers = [...resume.map(toAnswer), ...results]
  if (answers.length > answersMax)
    throw new MillraceError('invalid_request', { message: `At most ${answersMax} calls are decided about at once.` })
  if (questions.length === 0 && answers.length > 0) return { answers }
  if (resume.length > 0) throw new MillraceError('invalid_request', { message: 'Send either `resume` or another question.' })
  if (questions.length === 0) throw new MillraceError('query_missing', { message: '`messages` does not end with one of a user.' })
  const { model: one, models = one === undefined ? undefined : [one], params } = forwardedProps ?? {}
  const last = toLast(questions.at(-1))
  const asked = checkAsked({
    instructions: toInstructions(input),
    params: params as Asked['params'],
    tools: toTools(input),
    ...(last.id !== undefined && { metadata: { [messageKey]: last.id } }),
  })
  const ask = { ...asked, session: idOfName(threadId), id: idOfName(runId), ...(models && { models }) }
  const posted = { history: messages.slice(0, messages.length - added.length), questions }
  return { ask: ask as AskInput & Named, posted, messages: questions.map((message) => toMessage(message, ask.session)), last }
}

function toLast(message: ClientMessage | undefined): LastMessage {
  const { id = '', content } = message ?? {}
  return { id: id === '' || id.length > limits.metadataValueLengthMax ? undefined : id, text: textOf({ content }) }
}

function toMessage({ content }: ClientMessage, session: string): MessageWithBytes {
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : (content ?? [])
  return { role: 'user', content: parts.map((part) => toPart(part, session)) }
}

/** A picture, a sound, a film or a document brings its bytes, or is a file of the session. */
function toPart({ type, text, source }: z.output<typeof contentPart>, session: string): MessageWithBytes['content'][number] {
  if (type === 'text' && text !== undefined) return { type, text }
  if (source?.type === 'data')
    return { type: 'file', bytes: Buffer.from(source.value, 'base64'), mediaType: source.mimeType ?? 'application/octet-stream' }
  const file = source?.type === 'url' ? parseFileUrl(session, source.value) : undefined
  if (file !== undefined) return { type: 'file', file }
  throw new MillraceError('file_not_supported', { message: `A message has a part of type ${type} without its bytes.` })
}

/** Messages of the system, and the context, which the client sends with every question. */
function toInstructions({ messages, context = [] }: RunAgentInput): string | undefined {
  const system = messages.filter(({ role }) => role === 'system' || role === 'developer').map(textOf)
  const texts = [...system, ...context.map(({ description, value }) => `${description}: ${value}`)].filter((text) => text !== '')
  return texts.length === 0 ? undefined : texts.join('\n\n')
}

function toTools({ tools = [] }: RunAgentInput): Asked['tools'] {
  if (tools.length === 0) return undefined
  return tools.map(({ name, description, parameters }) => ({
    name,
    ...(description !== undefined && { description }),
    ...(parameters !== undefined && { input: parameters as { readonly [key: string]: Json } }),
  }))
}

function toResult(message: ClientMessage): CallAnswer {
  const { toolCallId = '', error } = message
  return { id: toolCallId, isResult: true, value: error ?? parseJsonOrText(textOf(message)), isError: error !== undefined }
}

function toAnswer({ interruptId, status, payload }: NonNullable<RunAgentInput['resume']>[number]): CallAnswer {
  const value = status === 'cancelled' ? false : ((payload ?? true) as Json)
  return { id: interruptId, isResult: false, value, isError: status === 'cancelled' }
}

export function textOf({ content }: Pick<ClientMessage, 'content'>): string {
  return typeof content === 'string' ? content : (content ?? []).map(({ text = '' }) => text).join('')
}
