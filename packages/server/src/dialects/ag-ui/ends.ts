/** The last event of a lane and of a run. There is always exactly one, however the run ended: clients wait for it. */
import type { FinishReason, LaneEnd, RunEnd, Usage } from '@millrace/protocol'
import type { AgUiEvent, LaneEvents, WaitingCall } from './lane-events.ts'

export type ClientKind = 'ag-ui' | 'tanstack'

type End = Omit<LaneEnd, 'model'> | RunEnd

export function endOfLane({ subagentRunId, waiting }: LaneEvents, end: End): AgUiEvent {
  const of = { subagentRunId, metadata: { millrace: describe(end) } }
  const failure = failureOf(end)
  if (failure !== undefined) return { type: 'SUBAGENT_ERROR', ...failure, ...of }
  if (end.status === 'stopped') return { type: 'SUBAGENT_FINISHED', ...of }
  const interruptIds = waiting.map(interruptId)
  const outcome = end.status === 'waiting' ? { type: 'suspended', interruptIds } : { type: 'success' }
  return { type: 'SUBAGENT_FINISHED', outcome, ...of }
}

export interface EndedRun {
  readonly threadId: string
  readonly runId: string
  readonly client: ClientKind
  readonly end: RunEnd
  readonly lanes: ReadonlyMap<string, LaneEvents>
}

export function endOfRun({ threadId, runId, client, end, lanes }: EndedRun): AgUiEvent {
  const usage = [...lanes].map(([lane, { model }]) => ({ model, ...tokensOf(end.lanes?.[lane]?.usage ?? end.usage) }))
  const tanstack = client === 'tanstack' && { tanstack: { finishReason: toTanstack(end.finishReason), model: usage[0]?.model } }
  const last = { usage, metadata: { millrace: describe(end), ...tanstack } }
  const failure = failureOf(end)
  if (failure !== undefined) return { type: 'RUN_ERROR', ...failure, ...last }
  return { type: 'RUN_FINISHED', threadId, runId, outcome: outcomeOf(end, [...lanes.values()], client), ...last }
}

function failureOf({ status, error }: End): { readonly message: string; readonly code: string } | undefined {
  if (status === 'failed' && error !== undefined) return { message: error.message, code: error.code }
  if (status === 'failed' || status === 'interrupted')
    return { message: 'The server of the run ended before the run did; what it had said is kept.', code: 'interrupted' }
  return undefined
}

function outcomeOf({ status }: RunEnd, lanes: readonly LaneEvents[], client: ClientKind): object {
  if (status === 'stopped') return { type: 'cancelled' }
  if (status !== 'waiting') return { type: 'success' }
  const calls = lanes.flatMap(({ waiting, subagentRunId }) => waiting.map((call) => ({ ...call, subagentRunId })))
  // A client of TanStack AI executes calls that are interrupts, one of AG-UI those in `pendingToolCallIds`.
  const interrupts = client === 'tanstack' ? calls : calls.filter(({ approval }) => approval !== undefined)
  if (interrupts.length > 0) return { type: 'interrupt', interrupts: interrupts.map(toInterrupt) }
  return { type: 'success', pendingToolCallIds: calls.map(({ call }) => call) }
}

type LaneCall = WaitingCall & { readonly subagentRunId?: string | undefined }

/** The metadata are those by which TanStack AI knows a call of a tool. */
export function toInterrupt(waiting: LaneCall): object {
  const { call, name, arguments: input = {}, approval, expiresAt, subagentRunId } = waiting
  const isClient = approval === undefined
  return {
    id: interruptId(waiting),
    reason: isClient ? 'client_tool_input' : 'tool_call',
    message: isClient ? `The client executes ${name}.` : `${name} waits for approval.`,
    toolCallId: call,
    ...(!isClient && { responseSchema: decisionSchema }),
    ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt).toISOString() }),
    metadata: { kind: isClient ? 'client_tool' : 'approval', toolName: name, input },
    ...(subagentRunId !== undefined && { subagentRunId }),
  }
}

/** What `resume` has as the payload of an approval: input.ts. */
const decisionSchema = {
  type: 'object',
  properties: {
    approved: { type: 'boolean' },
    editedArgs: { type: 'object', description: 'What the tool is called with instead' },
    reason: { type: 'string', description: 'Why the call is rejected, for the model' },
  },
  required: ['approved'],
}

function interruptId({ approval, call }: WaitingCall): string {
  return approval ?? call
}

function describe({ status, finishReason, timings, cost, error }: End): object {
  return {
    status,
    ...(finishReason !== undefined && { finishReason }),
    timings,
    ...(cost !== undefined && { cost }),
    ...(error !== undefined && { retryable: error.retryable }),
  }
}

function tokensOf({ estimated: _estimated, ...tokens }: Usage): object {
  return tokens
}

/** `tool_calls` would make the client wait for another step of the same stream. */
function toTanstack(reason: FinishReason | undefined): string {
  return reason === 'length' || reason === 'content_filter' ? reason : 'stop'
}
