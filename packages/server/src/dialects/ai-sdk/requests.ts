/** What an application of the AI SDK posts, and what it asks for: PROTOCOL.md#ai-sdk. */
import { limits, type Message, MillraceError, modelPattern } from '@millrace/protocol'
import { z } from 'zod'
import { asked } from '../../sessions/asked.ts'
import { type Exchange, findExchange } from '../../sessions/conversation.ts'
import { messageKey } from '../shared/message-key.ts'
import { type Content, isSameQuestion, readContent, textOf, type UiPart } from './content.ts'
import { runOfAnswer, runOfMessage } from './ids.ts'

const partsMax = 1000
/** Of the chat and of messages: applications choose them. */
const id = z.string().min(1).max(512)

/** Of a call, as far as an application may have decided about it. */
const part = z.looseObject({
  type: z.string(),
  toolCallId: z.string().max(256).optional(),
  errorText: z.string().optional(),
  approval: z.looseObject({ id: z.string().max(256), reason: z.string().max(2000).nullish() }).optional(),
})

const message = z.looseObject({
  id: z.string().max(512).default(''),
  role: z.enum(['system', 'user', 'assistant']),
  parts: z.array(part).max(partsMax),
})
const model = z.string().regex(modelPattern)

/** Other fields are the application's own. */
export const chatRequest = z.looseObject({
  id: id.optional(),
  /** As many as the body has room for: of a chat that is known, only the end is read. */
  messages: z.array(message).optional(),
  /** In place of the whole conversation, as `prepareSendMessagesRequest` may send it. */
  message: message.optional(),
  trigger: z.enum(['submit-message', 'regenerate-message']).default('submit-message'),
  messageId: id.nullish(),
  model: model.optional(),
  models: z.array(model).min(1).max(limits.lanesMax).optional(),
  ...asked.pick({ instructions: true, params: true, metadata: true }).shape,
})

export type ChatRequest = z.output<typeof chatRequest>
export type UiMessage = z.output<typeof message>

export type Intent =
  /** `earlier`: messages before it that this server does not have. */
  | {
      readonly kind: 'ask'
      readonly id: string | undefined
      readonly parent?: string | null
      readonly earlier: readonly Message[]
      readonly content: Content
    }
  /** The question of a run again, or with `content` another in its place. */
  | { readonly kind: 'regenerate'; readonly id?: string; readonly run: string; readonly content?: Content }
  /** It was asked before. */
  | { readonly kind: 'attach'; readonly run: string }
  /** An answer goes on, with what was decided about its calls. */
  | { readonly kind: 'continue'; readonly answer: string; readonly parts: readonly UiPart[] }

/** What a request asks for in a session with these questions. Throws `query_missing`, and as `readContent` does. */
export function readIntent(request: ChatRequest, session: string, exchanges: readonly Exchange[]): Intent {
  const messages = messagesOf(request)
  const answer = request.trigger === 'submit-message' ? continued(messages, request.messageId) : undefined
  if (answer !== undefined) return { kind: 'continue', answer: runOfAnswer(answer.id) ?? '', parts: answer.parts }
  const index = messages.findLastIndex(({ role }) => role === 'user')
  const question = messages[index]
  const content = question && readContent(question.parts, session)
  if (question === undefined || content?.length === 0)
    throw new MillraceError('query_missing', { message: 'The messages have none of a user with a text or a file.' })
  const before = findKnown(question, exchanges)
  if (before !== undefined) return repeat(request, { session, question, content: content as Content, before })
  const id = question.id === '' ? undefined : runOfMessage(session, question.id)
  const asked = { kind: 'ask', id, content: content as Content } as const
  if (request.message !== undefined) return { ...asked, earlier: [] }
  return { ...asked, ...following(messages.slice(0, index), exchanges) }
}

export function messagesOf({ message: last, messages = [] }: ChatRequest): readonly UiMessage[] {
  return last === undefined ? messages : [last]
}

interface Repeated {
  readonly session: string
  readonly question: UiMessage
  readonly content: Content
  /** The newest question with the id of the message. */
  readonly before: Exchange
}

function repeat({ trigger, messageId }: ChatRequest, { session, question, content, before }: Repeated): Intent {
  const run = before.runs.at(-1) as string
  const isSame = isSameQuestion(before, content)
  if (trigger === 'regenerate-message') return { kind: 'regenerate', run, ...(!isSame && { content }) }
  if (!isSame) return { kind: 'regenerate', id: runOfMessage(session, question.id, content), run, content }
  // Sent once more by its user, as an edit without a change, because it was not answered.
  const isUnanswered = before.status !== 'streaming' && before.status !== 'completed'
  return messageId === question.id && isUnanswered ? { kind: 'regenerate', run } : { kind: 'attach', run }
}

/** The message of the assistant that a request goes on with. */
function continued(messages: readonly UiMessage[], messageId: string | null | undefined): UiMessage | undefined {
  const last = messages.findLast((one) => one.id === messageId) ?? messages.at(-1)
  return last?.role === 'assistant' ? last : undefined
}

/** The run that a question follows in the conversation that was posted. */
function following(
  history: readonly UiMessage[],
  exchanges: readonly Exchange[],
): Pick<Extract<Intent, { kind: 'ask' }>, 'parent' | 'earlier'> {
  const known = history.map((one) => findKnown(one, exchanges))
  const last = known.findLastIndex((exchange) => exchange !== undefined)
  const earlier = history.slice(last + 1).flatMap(({ role, parts }): Message[] => {
    const text = textOf(parts)
    return text === '' ? [] : [{ role, content: text }]
  })
  const parent = known[last]
  if (parent === undefined) return { earlier, ...(exchanges.length > 0 && { parent: null }) }
  // A model gets no answer that has not ended. Where no parent is named, that is no error.
  if (parent.status === 'streaming' && parent === exchanges.at(-1)) return { earlier }
  return { earlier, parent: parent.runs[0] as string }
}

function findKnown({ id: name, role }: UiMessage, exchanges: readonly Exchange[]): Exchange | undefined {
  if (name === '') return undefined
  if (role === 'user') return exchanges.findLast(({ metadata }) => metadata?.[messageKey] === name)
  const run = runOfAnswer(name)
  return run === undefined ? undefined : findExchange(exchanges, run)
}
