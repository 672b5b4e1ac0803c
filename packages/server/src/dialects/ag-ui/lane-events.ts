/**
 * The events of one lane. Each message, reasoning and tool call has a start event and an end event, and ends before the next
 * one starts.
 */
import type { SessionEvents, ToolExecutor, ToolResult } from '@millrace/protocol'
import { jsonText } from '../shared/json-text.ts'

export interface AgUiEvent {
  readonly type: string
  readonly [field: string]: unknown
}

/** What a client needs to know of a call to decide about it. */
interface Call {
  readonly name: string
  readonly arguments?: unknown
  readonly by?: ToolExecutor
  readonly approval?: string
  readonly expiresAt?: number
}

/** A call that waits: for a decision where it has an `approval`, else for the result of the client. */
export interface WaitingCall extends Call {
  readonly call: string
}

type LaneData<T extends 'tool_call_start' | 'tool_call' | 'approval_request'> = Omit<SessionEvents[T], 'run' | 'lane'>

export class LaneEvents {
  readonly model: string
  /** Of the lane as a subagent, where the run has several lanes. */
  readonly subagentRunId: string | undefined
  /** Of all ids that the lane makes. */
  readonly #prefix: string
  /** Names the lane in each event. */
  readonly #of: { readonly subagentRunId?: string }
  #text: { readonly kind: 'TEXT' | 'REASONING'; readonly messageId: string } | undefined
  /** Begun and not yet whole; true once a piece of its arguments was sent. */
  readonly #begun = new Map<string, boolean>()
  readonly #unanswered = new Map<string, Call>()
  #steps = 0
  /** To which the calls of this step belong. */
  #messageId: string | undefined

  constructor(model: string, prefix: string, subagentRunId: string | undefined) {
    this.model = model
    this.subagentRunId = subagentRunId
    this.#prefix = prefix
    this.#of = subagentRunId === undefined ? {} : { subagentRunId }
  }

  text(kind: 'TEXT' | 'REASONING', part: number, delta: string): AgUiEvent[] {
    const messageId = `${this.#prefix}-${part}`
    const isOpen = this.#text?.kind === kind && this.#text.messageId === messageId
    const before = isOpen ? [] : [...this.end(), ...this.#beginText(kind, messageId)]
    const type = kind === 'TEXT' ? 'TEXT_MESSAGE_CONTENT' : 'REASONING_MESSAGE_CONTENT'
    return [...before, { type, messageId, delta, ...this.#of }]
  }

  beginCall({ call, name }: LaneData<'tool_call_start'>): AgUiEvent[] {
    const before = this.#endText()
    this.#begun.set(call, false)
    this.#unanswered.set(call, { name })
    this.#messageId ??= `${this.#prefix}-step-${this.#steps}`
    const begin = { type: 'TOOL_CALL_START', toolCallId: call, toolCallName: name, parentMessageId: this.#messageId }
    return [...before, { ...begin, ...this.#of }]
  }

  arguments(call: string, delta: string): AgUiEvent[] {
    if (!this.#begun.has(call)) return []
    this.#begun.set(call, true)
    return [{ type: 'TOOL_CALL_ARGS', toolCallId: call, delta, ...this.#of }]
  }

  /** A run that continues another repeats its calls, which readers have: only the result is new. */
  call({ call, name, arguments: given, by, isRepeated }: LaneData<'tool_call'>): AgUiEvent[] {
    const begun = this.#begun.get(call)
    const begin = begun === undefined && !isRepeated ? this.beginCall({ call, name }) : []
    const whole = jsonText(given)
    const pieces = begun || isRepeated ? [] : this.arguments(call, whole)
    this.#unanswered.set(call, { name, arguments: given, by })
    return [...begin, ...pieces, ...this.#endCall(call)]
  }

  /** A preliminary result is a custom event: clients take the first `TOOL_CALL_RESULT` for the final one. */
  result(call: string, { value, isError, isRejected, preliminary }: ToolResult): AgUiEvent[] {
    if (preliminary) return [{ type: 'CUSTOM', name: 'millrace.tool_result', value: { toolCallId: call, value }, ...this.#of }]
    this.#unanswered.delete(call)
    const flags = { ...(isError && { isError }), ...(isRejected && { isRejected }) }
    const metadata = isError && { metadata: { millrace: flags, tanstack: { state: 'output-error' } } }
    const content = jsonText(value)
    const result = { type: 'TOOL_CALL_RESULT', messageId: `${this.#prefix}-result-${call}`, toolCallId: call, content }
    return [...this.#endText(), ...this.#endCall(call), { ...result, role: 'tool', ...metadata, ...this.#of }]
  }

  noteApproval({ call, approval, expiresAt }: LaneData<'approval_request'>): void {
    this.#unanswered.set(call, { name: '', ...this.#unanswered.get(call), approval, expiresAt })
  }

  custom(name: string, value: unknown): AgUiEvent[] {
    return [{ type: 'CUSTOM', name, value, ...this.#of }]
  }

  endStep(): AgUiEvent[] {
    const events = this.end()
    this.#steps += 1
    this.#messageId = undefined
    return events
  }

  /** Closes what is open. */
  end(): AgUiEvent[] {
    return [...this.#endText(), ...[...this.#begun.keys()].flatMap((call) => this.#endCall(call))]
  }

  /** What the client is to decide about, or to execute, where the lane has ended as `waiting`. */
  get waiting(): readonly WaitingCall[] {
    return [...this.#unanswered]
      .filter(([, { approval, by }]) => approval !== undefined || by === 'client')
      .map(([call, of]) => ({ call, ...of }))
  }

  #beginText(kind: 'TEXT' | 'REASONING', messageId: string): AgUiEvent[] {
    this.#text = { kind, messageId }
    if (kind === 'TEXT') {
      this.#messageId = messageId
      return [{ type: 'TEXT_MESSAGE_START', messageId, role: 'assistant', ...this.#of }]
    }
    const span = { type: 'REASONING_START', messageId, ...this.#of }
    return [span, { type: 'REASONING_MESSAGE_START', messageId, role: 'reasoning', ...this.#of }]
  }

  #endText(): AgUiEvent[] {
    if (this.#text === undefined) return []
    const { kind, messageId } = this.#text
    this.#text = undefined
    if (kind === 'TEXT') return [{ type: 'TEXT_MESSAGE_END', messageId, ...this.#of }]
    const end = { type: 'REASONING_MESSAGE_END', messageId, ...this.#of }
    return [end, { type: 'REASONING_END', messageId, ...this.#of }]
  }

  #endCall(call: string): AgUiEvent[] {
    return this.#begun.delete(call) ? [{ type: 'TOOL_CALL_END', toolCallId: call, ...this.#of }] : []
  }
}
