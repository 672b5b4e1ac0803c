/** The messages of a conversation as LangChain takes them, of any version. */
import type { Json } from '@millrace/protocol'
import type { ModelMessage, ModelMessagePart } from '../model.ts'
import { type LangChainBlock, toBlock } from './files.ts'

/** A type, not an interface: LangChain's requires an index signature, which only a type has implicitly. */
export type LangChainMessage =
  | { role: 'system' | 'user' | 'assistant'; content: string }
  | { role: 'user'; content: LangChainBlock[] }
  | { role: 'assistant'; content: string; tool_calls: LangChainToolCall[] }
  | { role: 'tool'; content: string; tool_call_id: string; status: 'success' | 'error' }

type LangChainToolCall = { type: 'tool_call'; id: string; name: string; args: Record<string, unknown> }

/** Reads the files in them, one after another. */
export async function toLangChainMessages(messages: readonly ModelMessage[], signal: AbortSignal): Promise<LangChainMessage[]> {
  const converted: LangChainMessage[] = []
  for (const message of messages) {
    const { role, parts } = message
    if (role === 'user' && parts?.some(({ type }) => type === 'file'))
      converted.push({ role, content: await toBlocks(parts, signal) })
    else converted.push(...toMessages(message))
  }
  return converted
}

async function toBlocks(parts: readonly ModelMessagePart[], signal: AbortSignal): Promise<LangChainBlock[]> {
  const blocks: LangChainBlock[] = []
  for (const part of parts) {
    if (part.type === 'text') blocks.push({ type: 'text', text: part.text })
    else if (part.type === 'file') blocks.push(await toBlock(part, signal))
  }
  return blocks
}

function toMessages({ role, text, parts = [] }: ModelMessage): LangChainMessage[] {
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
}

/** Every provider wants an object. */
function toArguments(value: Json): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, Json>
  return value === null ? {} : { value }
}
