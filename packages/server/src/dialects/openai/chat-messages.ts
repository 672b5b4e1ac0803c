/** The history that a client of Chat Completions posts, as messages. */
import { type Json, type Message, type MessagePart, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import { CallNames } from './call-names.ts'
import { invalid } from './request-fields.ts'

const part = z.looseObject({ type: z.string(), text: z.string().optional(), refusal: z.string().optional() })
const toolCall = z.looseObject({
  id: z.string(),
  function: z.looseObject({ name: z.string(), arguments: z.string() }).optional(),
})

export const chatMessage = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.string().or(z.array(part)).nullish(),
  tool_calls: z.array(toolCall).nullish(),
  tool_call_id: z.string().nullish(),
})

type ChatMessage = z.output<typeof chatMessage>

/** Throws `file_not_supported` and `invalid_request`. */
export function toMessages(all: readonly ChatMessage[]): readonly Message[] {
  const calls = new CallNames()
  return all.flatMap((message, index): Message[] => {
    const { role, content, tool_calls: called, tool_call_id: call } = message
    const text = textOf(content, `messages.${index}.content`)
    if (role === 'tool') {
      if (call == null) throw invalid(`messages.${index}.tool_call_id`, 'is missing')
      return [{ role, content: [{ type: 'tool_result', call: calls.end(call), value: text }] }]
    }
    if (role !== 'assistant') {
      if (text === '') throw invalid(`messages.${index}.content`, 'is empty')
      return [{ role: role === 'developer' ? 'system' : role, content: text }]
    }
    const parts = (called ?? []).map((each, place) => toCall(each, `messages.${index}.tool_calls.${place}`, calls))
    // Of an answer that was stopped before its first word there is nothing to say.
    if (text === '' && parts.length === 0) return []
    return [{ role, content: parts.length === 0 ? text : [...(text === '' ? [] : [{ type: 'text', text } as const]), ...parts] }]
  })
}

function toCall({ id, function: called }: z.output<typeof toolCall>, field: string, calls: CallNames): MessagePart {
  if (called === undefined) throw invalid(field, 'is no call of a function')
  return { type: 'tool_call', id: calls.begin(id), name: called.name, arguments: toArguments(called.arguments) }
}

/** A text that is no JSON is what the model wrote in place of it. */
export function toArguments(text: string): Json {
  try {
    return text === '' ? {} : (JSON.parse(text) as Json)
  } catch {
    return text
  }
}

function textOf(content: ChatMessage['content'], field: string): string {
  if (typeof content === 'string') return content
  return (content ?? [])
    .map(({ type, text, refusal }, index) => {
      if (text !== undefined) return text
      if (refusal !== undefined) return refusal
      const message = `\`${field}.${index}\` is of the type ${JSON.stringify(type)}; only text can be sent here.`
      throw new MillraceError('file_not_supported', { message })
    })
    .join('')
}
