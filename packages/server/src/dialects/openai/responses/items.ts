/** The items of a response's output: texts, reasoning and calls. One that is streamed and one that is read later are the same. */
import type { Json, LaneEnd, LanePart, ToolExecutor, ToolPart } from '@millrace/protocol'
import { jsonText } from '../../shared/json-text.ts'
import { formatApprovalId, formatItemId, type RunName } from '../ids.ts'

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete'
export type SaidKind = 'message' | 'reasoning'

export interface ShownItem {
  readonly id: string
  readonly type: string
  readonly [field: string]: unknown
}

export function contentOf(kind: SaidKind, text: string): object {
  return kind === 'message' ? { type: 'output_text', text, annotations: [], logprobs: [] } : { type: 'reasoning_text', text }
}

export function saidItem(kind: SaidKind, id: string, content: readonly object[], status: ItemStatus): ShownItem {
  if (kind === 'reasoning') return { id, type: 'reasoning', summary: [], content, status }
  return { id, type: 'message', role: 'assistant', content, status }
}

export interface CallItem {
  readonly id: string
  readonly call: string
  readonly name: string
  /** JSON, as the model wrote it. */
  readonly arguments: string
}

/** A call that the client is to execute. */
export function functionItem({ id, call, name, arguments: given }: CallItem, status: ItemStatus): ShownItem {
  return { id, type: 'function_call', call_id: call, name, arguments: given, status }
}

export interface CallOutcome {
  readonly value: Json
  readonly isError: boolean
}

/** A call that the server or the model executes: to OpenAI's clients, one of a server of tools. */
export function serverCallItem({ id, name, arguments: given }: CallItem, outcome?: CallOutcome, status?: ItemStatus): ShownItem {
  const text = outcome === undefined ? null : jsonText(outcome.value)
  const [output, error] = outcome?.isError ? [null, text] : [text, null]
  const state = outcome === undefined ? (status ?? 'in_progress') : outcome.isError ? 'failed' : 'completed'
  return { id, type: 'mcp_call', server_label: 'millrace', name, arguments: given, output, error, status: state }
}

/** A call that waits until somebody decides about it. */
export function approvalItem(id: string, { name, arguments: given }: Pick<CallItem, 'name' | 'arguments'>): ShownItem {
  return { id, type: 'mcp_approval_request', server_label: 'millrace', name, arguments: given }
}

export function isOfClient(by: ToolExecutor | undefined, name: string, tools: ReadonlySet<string>): boolean {
  return by === undefined ? tools.has(name) : by === 'client'
}

export interface ItemsOptions {
  readonly name: RunName
  /** Of the lane. */
  readonly index: number
  /** Names of the tools of the request. */
  readonly tools: ReadonlySet<string>
  /** The run goes on with calls of another, whose clients have them. */
  readonly isContinued: boolean
}

export interface RecordedLane {
  readonly status: 'streaming' | LaneEnd['status']
  readonly parts: readonly LanePart[]
}

/** The output of a lane as far as it is recorded. */
export function itemsOf({ status, parts }: RecordedLane, options: ItemsOptions): ShownItem[] {
  const unfinished: ItemStatus = status === 'streaming' ? 'in_progress' : 'incomplete'
  const isWhole = status === 'completed' || status === 'waiting'
  let count = 0
  const items = parts.flatMap((part, place): ShownItem[] => {
    if (part.type === 'text' || part.type === 'reasoning') {
      const kind = part.type === 'text' ? 'message' : 'reasoning'
      const state = isWhole || place < parts.length - 1 ? 'completed' : unfinished
      const id = formatItemId(kind === 'message' ? 'msg' : 'rs', options.name, options.index, count++)
      return [saidItem(kind, id, [contentOf(kind, part.text)], state)]
    }
    if (part.type !== 'tool' || (options.isContinued && isRepeated(part))) return []
    return callItems(part, unfinished, options, count++)
  })
  const asked = parts.flatMap((part) => (part.type === 'tool' && part.approval !== undefined ? [part] : []))
  const approvals = asked.map(({ approval = '', name, arguments: given = {} }) =>
    approvalItem(formatApprovalId(options.name, approval), { name, arguments: jsonText(given) }),
  )
  return [...items, ...approvals]
}

/** A call of the client that begins a run: its result is there, and no decision, which the run before has. */
function isRepeated({ by, value, decision }: ToolPart): boolean {
  return by === 'client' && value !== undefined && decision === undefined
}

function callItems(part: ToolPart, unfinished: ItemStatus, { name: of, index, tools }: ItemsOptions, count: number): ShownItem[] {
  const { call, name, by, value, state, decision, argumentsText = '' } = part
  const given = part.arguments === undefined ? argumentsText : jsonText(part.arguments)
  if (isOfClient(by, name, tools)) {
    const item = { id: formatItemId('fc', of, index, count), call, name, arguments: given }
    return [functionItem(item, part.arguments === undefined ? unfinished : 'completed')]
  }
  // Nobody knows yet who executes it.
  if (by === undefined) return []
  const item = { id: formatItemId('mcp', of, index, count), call, name, arguments: given }
  // What was decided later is executed by the run that goes on.
  const hasOutcome = value !== undefined && part.preliminary === undefined && decision === undefined
  return [serverCallItem(item, hasOutcome ? { value, isError: state !== 'done' } : undefined, unfinished)]
}
