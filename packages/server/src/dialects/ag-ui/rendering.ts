/**
 * A run as events of the Agent-User Interaction Protocol (AG-UI 1.0), which are also the chunks of TanStack AI. With several
 * lanes, each is a subagent.
 */
import { encodeJson, formatPosition, type LaneEnd, type RunEnd, type SessionEvents } from '@millrace/protocol'
import type { Frame, Renderer, RunDialect, RunEvent } from '../run-dialect.ts'
import { type ClientKind, endOfLane, endOfRun } from './ends.ts'
import { type AgUiEvent, LaneEvents } from './lane-events.ts'

export interface AgUiView {
  /** What the client calls the session; absent where it does not say. */
  readonly thread?: string | undefined
  /** What the client calls the run: another name than the server's, where the run goes on with one that waited. */
  readonly run: string
  /** The run that the client says it goes on with. */
  readonly parentRun?: string | undefined
  /** Of the log, for the addresses of files. */
  readonly epoch: string
  readonly client: ClientKind
}

export function createAgUiDialect(view: AgUiView): RunDialect {
  const { thread = '', run, parentRun = '', epoch, client } = view
  const isTanstack = client === 'tanstack'
  return {
    key: `${client} ${encodeJson([thread, run, parentRun, epoch])}`,
    merges: !isTanstack,
    hasIds: isTanstack,
    repeatsEnd: isTanstack,
    begin: () => new AgUiRenderer(view),
    fail(error) {
      const { code, message } = error.toPublic()
      return [toFrame({ type: 'RUN_ERROR', message, code })]
    },
  }
}

class AgUiRenderer implements Renderer {
  readonly #view: AgUiView
  readonly #lanes = new Map<string, LaneEvents>()
  readonly #ended = new Set<LaneEvents>()
  #session = ''
  #thread = ''

  constructor(view: AgUiView) {
    this.#view = view
  }

  render(event: RunEvent): readonly Frame[] {
    return this.#eventsOf(event).map(toFrame)
  }

  #eventsOf(event: RunEvent): readonly AgUiEvent[] {
    const { type, data, time } = event
    if (type === 'stream_start') return this.#begin(data, time)
    if (type === 'stream_end') return this.#end(data, time)
    // The bytes of a file name no lane: the event before them has their address.
    const lane = 'lane' in data ? this.#lanes.get(data.lane) : undefined
    return lane === undefined ? [] : this.#eventsOfLane(lane, event)
  }

  #eventsOfLane(lane: LaneEvents, { type, data, offset }: RunEvent): readonly AgUiEvent[] {
    switch (type) {
      case 'message':
        return lane.text('TEXT', data.part ?? 0, data.text)
      case 'reasoning':
        // TanStack AI has one reasoning at a time for all lanes, and would add it to the message of another lane.
        if (this.#view.client === 'tanstack' && this.#lanes.size > 1)
          return lane.custom('millrace.reasoning', { delta: data.reasoning })
        return lane.text('REASONING', data.part ?? 0, data.reasoning)
      case 'tool_call_start':
        return lane.beginCall(data)
      case 'tool_call_delta':
        return lane.arguments(data.call, data.arguments)
      case 'tool_call':
        return lane.call(data)
      case 'tool_result':
        return lane.result(data.call, data)
      case 'approval_request':
        lane.noteApproval(data)
        return []
      case 'step_end':
        return lane.endStep()
      case 'data':
        return lane.custom(data.name, data.value)
      case 'source':
        return lane.custom('millrace.source', withoutRun(data))
      case 'file': {
        const position = formatPosition({ epoch: this.#view.epoch, offset })
        const url = `/api/files/${this.#session}/${position}`
        return lane.custom('millrace.file', { ...withoutRun(data), url })
      }
      case 'lane_end':
        return this.#endLane(lane, data)
      default:
        return []
    }
  }

  #begin({ run, session, lanes, continues, parent }: SessionEvents['stream_start'], timestamp: number): readonly AgUiEvent[] {
    const { thread = session, run: runId, parentRun = continues ?? parent ?? undefined } = this.#view
    this.#session = session
    this.#thread = thread
    const start = {
      type: 'RUN_STARTED',
      threadId: thread,
      runId,
      protocolVersion: '1.0',
      ...(parentRun !== undefined && { parentRunId: parentRun }),
      ...(run !== runId && { metadata: { millrace: { run } } }),
      timestamp,
    }
    const subagents = lanes.map(({ lane, model }, index): readonly AgUiEvent[] => {
      const subagentRunId = lanes.length === 1 ? undefined : `${run}-${index}`
      this.#lanes.set(lane, new LaneEvents(model, subagentRunId ?? run, subagentRunId))
      return subagentRunId === undefined ? [] : [{ type: 'SUBAGENT_STARTED', subagentRunId, name: lane }]
    })
    return [start, ...subagents.flat()]
  }

  #endLane(lane: LaneEvents, end: LaneEnd | RunEnd): readonly AgUiEvent[] {
    this.#ended.add(lane)
    return [...lane.end(), ...(lane.subagentRunId === undefined ? [] : [endOfLane(lane, end)])]
  }

  #end(end: RunEnd, timestamp: number): readonly AgUiEvent[] {
    const { run: runId, client } = this.#view
    const open = [...this.#lanes.values()].filter((lane) => !this.#ended.has(lane))
    const last = endOfRun({ threadId: this.#thread, runId, client, end, lanes: this.#lanes })
    return [...open.flatMap((lane) => this.#endLane(lane, end)), { ...last, timestamp }]
  }
}

function withoutRun({ run: _run, lane: _lane, ...rest }: { readonly run?: unknown; readonly lane?: unknown }): object {
  return rest
}

function toFrame(event: AgUiEvent): Frame {
  return { data: encodeJson(event) }
}
