/**
 * Calls, sources and values of an answer as chunks of the AI SDK's UI message stream, and what an application decided about
 * calls in a message. The client's transport and the server's dialect write the same.
 */
import type { FinishReason, SessionEvent, SourceInfo, ToolResult } from './events.ts'
import type { Json } from './json.ts'
import type { ToolPart } from './parts.ts'
import type { CallDecision } from './websocket.ts'

type Dynamic = { readonly dynamic?: true }

/** Its fields as the AI SDK names them. */
export type UiChunk =
  | ({ type: 'tool-input-start'; toolCallId: string; toolName: string } & Dynamic)
  | { type: 'tool-input-delta'; toolCallId: string; inputTextDelta: string }
  | ({ type: 'tool-input-available'; toolCallId: string; toolName: string; input: Json; providerExecuted: boolean } & Dynamic)
  | { type: 'tool-approval-request'; approvalId: string; toolCallId: string }
  | ({ type: 'tool-output-available'; toolCallId: string; output: Json; preliminary?: true } & Dynamic)
  | ({ type: 'tool-output-error'; toolCallId: string; errorText: string } & Dynamic)
  | { type: 'tool-output-denied'; toolCallId: string }
  | { type: 'source-url'; sourceId: string; url: string; title?: string }
  | { type: 'source-document'; sourceId: string; mediaType: string; title: string }
  | { type: `data-${string}`; data: Json }

export interface UiOptions {
  /** The tools are not known to the types of the application. */
  readonly dynamic?: true
}

/** Undefined for events that have no chunk of their own. */
export function uiChunkOf(event: Extract<SessionEvent, { type: string }>, options: UiOptions = {}): UiChunk | undefined {
  switch (event.type) {
    case 'tool_call_start':
      return { type: 'tool-input-start', toolCallId: event.data.call, toolName: event.data.name, ...options }
    case 'tool_call_delta':
      return { type: 'tool-input-delta', toolCallId: event.data.call, inputTextDelta: event.data.arguments }
    case 'tool_call': {
      // The application executes only what a client executes.
      const { call: toolCallId, name: toolName, arguments: input, by } = event.data
      return { type: 'tool-input-available', toolCallId, toolName, input, providerExecuted: by !== 'client', ...options }
    }
    case 'approval_request':
      return { type: 'tool-approval-request', approvalId: event.data.approval, toolCallId: event.data.call }
    case 'tool_result':
      return uiResultOf(event.data.call, event.data, options)
    case 'source':
      return uiSourceOf(event.data)
    case 'data':
      return { type: `data-${event.data.name}`, data: event.data.value }
    default:
      return undefined
  }
}

/** What came of a call, as a chunk. */
export function uiResultOf(
  toolCallId: string,
  { value, isError, isRejected, preliminary }: ToolResult,
  options: UiOptions = {},
): UiChunk {
  if (isRejected) return { type: 'tool-output-denied', toolCallId }
  if (isError) return { type: 'tool-output-error', toolCallId, errorText: uiTextOf(value), ...options }
  return { type: 'tool-output-available', toolCallId, output: value, ...(preliminary && { preliminary }), ...options }
}

/** A source as a chunk, which is also its part of a message. */
export function uiSourceOf({ source: sourceId, url, title, mediaType }: SourceInfo) {
  if (url !== undefined) return { type: 'source-url' as const, sourceId, url, ...(title !== undefined && { title }) }
  return { type: 'source-document' as const, sourceId, mediaType: mediaType ?? 'text/plain', title: title ?? sourceId }
}

function uiTextOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** In the words of the AI SDK. */
export function uiFinishReasonOf(reason: FinishReason) {
  return reason === 'content_filter' ? 'content-filter' : reason === 'tool_calls' ? 'tool-calls' : reason
}

/** A call in a message, whichever type its part has. */
export function uiToolOf(tool: ToolPart) {
  const { call: toolCallId, arguments: input, approval, value } = tool
  const base = { toolCallId, providerExecuted: tool.by !== 'client' }
  switch (tool.state) {
    case 'streaming': {
      const rawInput = tool.argumentsText
      return { ...base, state: 'input-streaming' as const, ...(rawInput !== undefined && { rawInput }) }
    }
    case 'called':
      return { ...base, state: 'input-available' as const, input }
    case 'waiting':
      if (approval === undefined) return { ...base, state: 'input-available' as const, input }
      return { ...base, state: 'approval-requested' as const, input, approval: { id: approval } }
    case 'done': {
      const approved = approval !== undefined && { approval: { id: approval, approved: true as const } }
      return { ...base, state: 'output-available' as const, input, output: value, ...approved }
    }
    case 'failed':
      return { ...base, state: 'output-error' as const, input, errorText: uiTextOf(value) }
    case 'rejected': {
      const reason = tool.decision?.reason
      const rejected = { id: approval ?? toolCallId, approved: false as const, ...(reason !== undefined && { reason }) }
      return { ...base, state: 'output-denied' as const, input, approval: rejected }
    }
  }
}

/** A part of a message of the AI SDK, as far as it is about a call. */
export interface UiToolPart {
  readonly type: string
  readonly toolCallId?: unknown
  readonly state?: unknown
  readonly output?: unknown
  readonly errorText?: unknown
  readonly approval?: unknown
}

/** What was decided about the calls that wait: what is in the message of others came from the server. */
export function uiDecisionsOf(parts: readonly UiToolPart[], waiting: ReadonlySet<string>): CallDecision[] {
  return parts.flatMap((part): CallDecision[] => {
    const { toolCallId: call, state } = part
    if (typeof call !== 'string' || !waiting.has(call)) return []
    if (state === 'output-available') return [{ call, decision: 'result', value: part.output as Json }]
    if (state === 'output-error') return [{ call, decision: 'result', value: part.errorText as Json, isError: true }]
    if (state !== 'approval-responded') return []
    const { id, approved, reason } = (part.approval ?? {}) as { id: string; approved?: boolean; reason?: string | null }
    if (approved) return [{ call, approval: id, decision: 'approve' }]
    return [{ call, approval: id, decision: 'reject', ...(typeof reason === 'string' && { reason }) }]
  })
}
