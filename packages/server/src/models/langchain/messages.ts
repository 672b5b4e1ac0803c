/** The messages of a conversation as LangChain takes them, of any version. */
import type { Json } from '@millrace/protocol'
import type { ModelMessage } from '../model.ts'

/** A type, not an interface: LangChain's requires an index signature, which only a type has implicitly. */
export type LangChainMessage =
  | { role: 'system' | 'user' | 'assistant'; content: string }
  | { role: 'assistant'; content: string; tool_calls: LangChainToolCall[] }
  | { role: 'tool'; content: string; tool_call_id: string; status: 'success' | 'error' }

type LangChainToolCall = { type: 'tool_call'; id: string; name: string; args: Record<string, unknown> }

export function toLangChainMessages(messages: readonly ModelMessage[]): LangChainMessage[] {
  return messages.flatMap(({ role, text, parts = [] }): LangChainMessage[] => {
    // Each result is a message of its own.
    if (role === 'tool') {
      return parts.flatMap((part) => {
        if (part.type !== 'tool_result') return []
        const { call, value, isError } = part
        const content = typeof value === 'string' ? value : JSON.stringify(value)
        return [{ role, content, tool_call_id: call, status: isError ? 'error' : 'success' }]
      })
    }
    const calls = parts.flatMap((part): LangChainToolCall[] =>
      part.type === 'tool_call' ? [{ type: 'tool_call', id: part.id, name: part.name, args: toArguments(part.arguments) }] : [],
    )
    return calls.length === 0 ? [{ role, content: text }] : [{ role: 'assistant', content: text, tool_calls: calls }]
  })
}

/** Every provider wants an object. */
function toArguments(value: Json): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, Json>
  return value === null ? {} : { value }
}
