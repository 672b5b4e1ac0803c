/** The history that a client of Chat Completions posts, as messages. */
import type { MessagePart } from '@millrace/protocol'
import { z } from 'zod'
import { parseArguments } from '../../../tools/json.ts'
import { CallNames } from '../call-names.ts'
import { contentPart, type GivenMessage, readContent, textOfContent } from '../files.ts'
import { invalid } from '../request-fields.ts'

const toolCall = z.looseObject({
  id: z.string(),
  function: z.looseObject({ name: z.string(), arguments: z.string() }).optional(),
})

export const chatMessage = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.string().or(z.array(contentPart)).nullish(),
  tool_calls: z.array(toolCall).nullish(),
  tool_call_id: z.string().nullish(),
})

type ChatMessage = z.output<typeof chatMessage>

/** Throws `file_not_supported` and `invalid_request`. */
export function toMessages(all: readonly ChatMessage[]): readonly GivenMessage[] {
  const calls = new CallNames()
  return all.flatMap((message, index): GivenMessage[] => {
    const { role, content, tool_calls: called, tool_call_id: call } = message
    const field = `messages.${index}.content`
    if (role === 'user') {
      const said = readContent(content, field)
      if (said.length === 0) throw invalid(field, 'is empty')
      return [typeof said === 'string' ? { role, content: said } : { role, content: said }]
    }
    const text = textOfContent(content, field)
    if (role === 'tool') {
      if (call == null) throw invalid(`messages.${index}.tool_call_id`, 'is missing')
      return [{ role, content: [{ type: 'tool_result', call: calls.end(call), value: text }] }]
    }
    // Clients whose application has no instructions send an empty message of the system.
    if (role !== 'assistant') return text === '' ? [] : [{ role: 'system', content: text }]
    const parts = (called ?? []).map((each, place) => toCall(each, `messages.${index}.tool_calls.${place}`, calls))
    // Of an answer that was stopped before its first word there is nothing to say.
    if (text === '' && parts.length === 0) return []
    return [{ role, content: parts.length === 0 ? text : [...(text === '' ? [] : [{ type: 'text', text } as const]), ...parts] }]
  })
}

function toCall({ id, function: called }: z.output<typeof toolCall>, field: string, calls: CallNames): MessagePart {
  if (called === undefined) throw invalid(field, 'is no call of a function')
  return { type: 'tool_call', id: calls.begin(id), name: called.name, arguments: parseArguments(called.arguments) }
}
