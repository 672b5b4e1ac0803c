/**
 * The parts of an answer, folded from the events of one lane: what a transcript has, and what clients show. Server and clients
 * use the same function, so that both see the same parts.
 */
import type {
  EndStatus,
  FileInfo,
  FinishReason,
  SessionEvent,
  SessionEvents,
  SourceInfo,
  ToolDecision,
  ToolExecutor,
  Usage,
} from './events.ts'
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
  /** The id of its approval. */
  readonly approval?: string
  /** Until when somebody may decide, in milliseconds since 1970. */
  readonly expiresAt?: number
  /** What somebody has decided. */
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
    case 'tool_call_start':
    case 'tool_call': {
      const { run: _run, lane: _lane, ...tool } = event.data
      if (event.type === 'tool_call_start') return put(parts, { type: 'tool', ...tool, state: 'streaming', argumentsText: '' })
      return put(parts, { type: 'tool', ...tool, state: event.data.by === 'client' ? 'waiting' : 'called' })
    }
    case 'tool_call_delta':
    case 'tool_result':
    case 'approval_request':
    case 'tool_decision': {
      const index = findCall(parts, event.data.call)
      if (index >= 0) parts[index] = changed(parts[index] as ToolPart, event)
      return
    }
    case 'data':
    case 'file':
    case 'source':
    case 'step_end': {
      const { run: _run, lane: _lane, ...rest } = event.data
      const type = event.type === 'step_end' ? 'step' : event.type
      parts.push({ type, ...rest, ...(type === 'file' && { position }) } as LanePart)
      return
    }
    default:
  }
}

/**
 * An ended run after a decision about one of its calls. A lane whose call is withdrawn is stopped, and the run when none of its
 * lanes waits any longer.
 */
export function decideInRun<Lane extends DecidedLane>(
  { lanes, status }: { readonly lanes: readonly Lane[]; readonly status: Lane['status'] },
  data: SessionEvents['tool_decision'],
): { readonly lanes: Lane[]; readonly status: Lane['status'] } {
  const after = lanes.map((lane): Lane => {
    const index = findCall(lane.parts, data.call)
    if (index < 0) return lane
    const parts = lane.parts.with(index, decided(lane.parts[index] as ToolPart, data))
    const isStopped = lane.status === 'waiting' && data.decision === 'withdraw'
    return { ...lane, parts, ...(isStopped && { status: 'stopped' }) }
  })
  const isStopped = status === 'waiting' && !after.some((lane) => lane.status === 'waiting')
  return { lanes: after, status: isStopped ? 'stopped' : status }
}

interface DecidedLane {
  readonly status: 'streaming' | EndStatus
  readonly parts: readonly LanePart[]
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
  const before = last?.type === type ? last.text : undefined
  if (before !== undefined) parts.pop()
  parts.push({ type, text: (before ?? '') + text })
}

function findCall(parts: readonly LanePart[], call: string): number {
  return parts.findLastIndex((part) => part.type === 'tool' && part.call === call)
}

/** In the place of the same call, where a run goes on with it; what was decided about it stays. */
function put(parts: LanePart[], tool: ToolPart): void {
  const index = findCall(parts, tool.call)
  if (index < 0) return void parts.push(tool)
  const { arguments: _given, argumentsText: _text, value: _value, preliminary: _is, ...kept } = parts[index] as ToolPart
  parts[index] = { ...kept, ...tool }
}

type ToolChange = Extract<SessionEvent, { type: 'tool_call_delta' | 'tool_result' | 'approval_request' | 'tool_decision' }>

function changed(part: ToolPart, { type, data }: ToolChange): ToolPart {
  switch (type) {
    case 'tool_call_delta':
      return part.state === 'streaming' ? { ...part, argumentsText: `${part.argumentsText}${data.arguments}` } : part
    case 'approval_request':
      return { ...part, state: 'waiting', approval: data.approval, expiresAt: data.expiresAt }
    case 'tool_decision':
      return decided(part, data)
    case 'tool_result': {
      const { value, isError, isRejected, preliminary } = data
      const { preliminary: _before, ...rest } = part
      if (preliminary) return { ...rest, value, preliminary }
      return { ...rest, state: isRejected ? 'rejected' : isError ? 'failed' : 'done', value }
    }
  }
}

function decided(part: ToolPart, data: SessionEvents['tool_decision']): ToolPart {
  const { run: _run, call: _call, approval: _approval, isError, arguments: edited, value, ...decision } = data
  const isRejected = decision.decision === 'reject' || decision.decision === 'withdraw'
  const state = isRejected ? 'rejected' : value === undefined ? 'called' : isError ? 'failed' : 'done'
  return {
    ...part,
    state,
    ...(edited !== undefined && { arguments: edited }),
    ...(value !== undefined && { value }),
    decision,
  }
}
