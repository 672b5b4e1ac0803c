/** What a response that follows another needs of it. */
import type { LanePart, Message, ToolCallPart, ToolPart } from '@millrace/protocol'
import type { RunRecord } from '../../../sessions/transcript.ts'

export interface PreviousResponse {
  /** The question, where no later model gets it because it has no answer but calls that wait. */
  readonly unanswered: readonly Message[]
  /** Calls that the client was to execute. */
  readonly calls: readonly Omit<ToolCallPart, 'type'>[]
}

export const noPrevious: PreviousResponse = { unanswered: [], calls: [] }

export function previousOf({ query, messages, lanes }: Pick<RunRecord, 'query' | 'messages' | 'lanes'>): PreviousResponse {
  const parts = lanes.flatMap((lane) => lane.parts)
  const waiting = parts.filter((part): part is ToolPart => part.type === 'tool' && part.by === 'client')
  const calls = waiting.map(({ call: id, name, arguments: given = {} }) => ({ id, name, arguments: given }))
  if (parts.some(isAnswer)) return { unanswered: [], calls }
  return { unanswered: unansweredOf(messages ?? [{ role: 'user', content: query }]), calls }
}

/** Models get what was answered in the question itself, and messages of the system, in any case. */
function unansweredOf(messages: readonly Message[]): readonly Message[] {
  const answered = messages.findLastIndex(({ role, content }) => role === 'assistant' && !hasCalls(content))
  return messages.slice(answered + 1).filter(({ role }) => role !== 'system')
}

function hasCalls(content: Message['content']): boolean {
  return typeof content !== 'string' && content.some(({ type }) => type === 'tool_call')
}

function isAnswer(part: LanePart): boolean {
  if (part.type === 'text') return part.text !== ''
  return part.type === 'tool' && (part.state === 'rejected' || (part.value !== undefined && part.preliminary === undefined))
}
