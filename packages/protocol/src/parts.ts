/**
 * The parts of an answer, folded from the events of one lane: what a transcript has, and what clients show. Server and clients
 * use the same function, so that both see the same parts.
 */
import type { FileInfo, FinishReason, SessionEvent, SourceInfo, ToolDecision, ToolExecutor, Usage } from './events.ts'
import type { Json } from './json.ts'

export interface SaidPart {
  readonly type: 'text' | 'reasoning'
  readonly text: string
}

/** A call of a tool with what became of it. */
export interface ToolPart {
  readonly type: 'tool'
  readonly call: string
  readonly name: string
  /** Absent while they arrive. */
  readonly arguments?: Json
  /** JSON as far as it has arrived; only while it arrives. */
  readonly argumentsText?: string
  readonly by?: ToolExecutor
  /**
   * `called`: it is being executed, or is about to be. `waiting`: for a decision, or for the result of a client. `failed`:
   * `value` says why.
   */
  readonly state: 'streaming' | 'called' | 'waiting' | 'done' | 'failed' | 'rejected'
  readonly value?: Json
  /** `value` is not the last one. */
  readonly preliminary?: true
  /** The id of its approval, until when somebody may decide, and what somebody has decided. */
  readonly approval?: string
  readonly expiresAt?: number
  readonly decision?: Pick<ToolDecision, 'decision' | 'reason' | 'by'>
}

export type LanePart =
  | SaidPart
  | ToolPart
  | { readonly type: 'data'; readonly name: string; readonly value: Json }
  /** The event after `position` has its bytes. */
  | ({ readonly type: 'file'; readonly position: string } & FileInfo)
  | ({ readonly type: 'source' } & SourceInfo)
  | { readonly type: 'step'; readonly step: number; readonly finishReason?: FinishReason; readonly usage: Usage }

/**
 * Adds an event of the lane, or a decision about one of its calls. Replaces parts and never changes one. `position` is the
 * event's, where it is a file. Other events add nothing.
 */
export function addToParts(parts: LanePart[], event: Exclude<SessionEvent, { type: 'file_data' }>, position: string): void {
  switch (event.type) {
    case 'message':
      return say(parts, 'text', event.data.text)
    case 'reasoning':
      return say(parts, 'reasoning', event.data.reasoning)
    case 'tool_call_start': {
      const { call, name } = event.data
      return put(parts, { type: 'tool', call, name, state: 'streaming', argumentsText: '' })
    }
    case 'tool_call': {
      const { call, name, arguments: given, by } = event.data
      return put(parts, { type: 'tool', call, name, arguments: given, by, state: by === 'client' ? 'waiting' : 'called' })
    }
    case 'tool_call_delta':
    case 'tool_result':
    case 'approval_request':
    case 'tool_decision': {
      const index = parts.findLastIndex((part) => part.type === 'tool' && part.call === event.data.call)
      if (index >= 0) parts[index] = changed(parts[index] as ToolPart, event)
      return
    }
    case 'data':
      return void parts.push({ type: 'data', name: event.data.name, value: event.data.value })
    case 'file':
    case 'source':
    case 'step_end': {
      const { run: _run, lane: _lane, ...rest } = event.data
      if (event.type === 'file') parts.push({ type: 'file', ...(rest as FileInfo), position })
      else if (event.type === 'source') parts.push({ type: 'source', ...(rest as SourceInfo) })
      else parts.push({ type: 'step', ...(rest as Pick<typeof event.data, 'step' | 'finishReason' | 'usage'>) })
      return
    }
    default:
  }
}

/** The parts of an answer and of the run that continues it: text goes on, and a call is shown once. */
export function joinParts(before: readonly LanePart[], more: readonly LanePart[]): LanePart[] {
  const parts = [...before]
  for (const part of more) {
    if (part.type === 'text' || part.type === 'reasoning') say(parts, part.type, part.text)
    else if (part.type === 'tool') put(parts, part)
    else parts.push(part)
  }
  return parts
}

function say(parts: LanePart[], type: SaidPart['type'], text: string): void {
  const last = parts.at(-1)
  if (last?.type === type) parts[parts.length - 1] = { type, text: last.text + text }
  else parts.push({ type, text })
}

/** In the place of the same call, where a run goes on with it; what was decided about it stays. */
function put(parts: LanePart[], tool: ToolPart): void {
  const index = parts.findLastIndex((part) => part.type === 'tool' && part.call === tool.call)
  const { approval, expiresAt, decision } = index < 0 ? ({} as Partial<ToolPart>) : (parts[index] as ToolPart)
  if (index < 0) parts.push(tool)
  else
    parts[index] = {
      ...(approval !== undefined && { approval }),
      ...(expiresAt !== undefined && { expiresAt }),
      ...(decision !== undefined && { decision }),
      ...tool,
    }
}

type ToolChange = Extract<SessionEvent, { type: 'tool_call_delta' | 'tool_result' | 'approval_request' | 'tool_decision' }>

function changed(part: ToolPart, event: ToolChange): ToolPart {
  if (event.type === 'tool_call_delta')
    return part.state === 'streaming' ? { ...part, argumentsText: (part.argumentsText ?? '') + event.data.arguments } : part
  if (event.type === 'approval_request') {
    const { approval, expiresAt } = event.data
    return { ...part, state: 'waiting', approval, expiresAt }
  }
  if (event.type === 'tool_decision') return decided(part, event.data)
  const { value, isError, isRejected, preliminary } = event.data
  const { preliminary: _before, ...rest } = part
  if (preliminary) return { ...rest, value, preliminary }
  return { ...rest, state: isRejected ? 'rejected' : isError ? 'failed' : 'done', value }
}

function decided(part: ToolPart, { decision, value, reason, by, isError, arguments: edited }: ToolDecision): ToolPart {
  const state = decision === 'reject' ? 'rejected' : value === undefined ? 'called' : isError ? 'failed' : 'done'
  return {
    ...part,
    state,
    ...(edited !== undefined && { arguments: edited }),
    ...(value !== undefined && { value }),
    decision: { decision, ...(reason !== undefined && { reason }), ...(by !== undefined && { by }) },
  }
}
