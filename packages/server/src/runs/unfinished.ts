/** Runs in a log that have started and not ended, as far as their end needs to describe them. Pure. */
import type { LaneEnd, Metadata, Position, RunEnd, SessionEvents } from '@millrace/protocol'
import type { LogEvent, NewEvent, Page } from '../log/log.ts'
import { type Quote, quoted } from './charge.ts'
import type { Claim } from './cluster.ts'
import { runEnd } from './run-end.ts'
import { sessionEvent } from './session-event.ts'
import { estimateTokens } from './tokens.ts'
import { WaitingRuns } from './waiting-runs.ts'

export interface UnfinishedRun {
  /** Retention has deleted its start, and perhaps its end. */
  isCut: boolean
  readonly inputTokens: number
  node: string | undefined
  readonly startedAt: number
  readonly continues?: string | undefined
  readonly metadata?: Metadata | undefined
  readonly lanes: Map<string, UnfinishedLane>
  lastAt: number
}

interface UnfinishedLane {
  readonly model: string
  tokens: number
  firstAt: number | undefined
  end: LaneEnd | undefined
}

const emptyLane = { tokens: 0, firstAt: undefined, end: undefined }

/** How far a log was read, and the runs that had not ended by then. */
export class Checkpoint {
  readonly runs = new Map<string, UnfinishedRun>()
  /** By run, what reports its end where the append of the end has failed: it may have been carried out. */
  readonly unsure = new Map<string, () => void>()
  readonly waiting = new WaitingRuns()
  /** Questions that wait until nothing is in progress. */
  readonly queued = new Set<string>()
  /** The head when the queue was reported last. */
  reportedAt = -1
  /** The log was read to its head once, and its dead runs were ended. */
  isRecovered = false
  position: Position

  constructor(position: Position) {
    this.position = position
  }

  /** Ignores events before its position, so that pages may be applied by several readers of one log. */
  apply({ events, position, gap }: Page): void {
    // The deleted events may have contained an end.
    if (gap !== undefined) for (const run of this.runs.values()) run.isCut = true
    for (const event of events) {
      if (event.offset <= this.position.offset) continue
      note(this, event)
      this.waiting.note(event)
    }
    if (position.offset > this.position.offset) this.position = position
  }
}

function note({ runs, queued }: Checkpoint, { type, data, time }: LogEvent): void {
  if (type === 'queue_added') return void queued.add((data as { entry: string }).entry)
  if (type === 'queue_removed') return void queued.delete((data as { entry: string }).entry)
  if (type === 'stream_start') {
    const { run, query, lanes, node, continues, metadata } = data as unknown as SessionEvents['stream_start']
    const each = lanes.map(({ lane, model }) => [lane, { ...emptyLane, model }] as const)
    const inputTokens = estimateTokens([query])
    queued.delete(run)
    const times = { startedAt: time, lastAt: time }
    runs.set(run, { isCut: false, inputTokens, node, continues, metadata, ...times, lanes: new Map(each) })
    return
  }
  const { run: id, lane: name } = data as { run?: string; lane?: string }
  // A decision is about a run that has ended.
  if (id === undefined || type === 'tool_decision') return
  if (type === 'stream_end') return void runs.delete(id)
  const run = runs.get(id) ?? { isCut: true, inputTokens: 0, node: undefined, startedAt: time, lastAt: time, lanes: new Map() }
  runs.set(id, run)
  run.lastAt = time
  if (name === undefined) return
  // Where retention has deleted the start, the lane's name is all that is known of its model.
  const lane = run.lanes.get(name) ?? (run.isCut ? { ...emptyLane, model: name } : undefined)
  if (lane === undefined) return
  run.lanes.set(name, lane)
  if (type === 'lane_end') {
    const { run: _run, lane: _lane, ...end } = data as unknown as SessionEvents['lane_end']
    lane.end = end
  } else {
    lane.tokens += 1
    lane.firstAt ??= time
  }
}

/** Restores what retention has deleted with a run's start, from what was recorded when the run was claimed. */
export function restoreClaimed(run: UnfinishedRun, { node, lanes }: Pick<Claim, 'node' | 'lanes'>): void {
  run.node = node
  for (const { lane, model } of lanes) run.lanes.set(lane, { ...(run.lanes.get(lane) ?? emptyLane), model })
}

/** The ends of a run's lanes, as `interrupted` where they had none. */
export function interruptedLanes(
  { inputTokens, startedAt, lastAt, lanes }: UnfinishedRun,
  quote: Quote | undefined,
): ReadonlyMap<string, LaneEnd> {
  const ends = new Map<string, LaneEnd>()
  for (const [lane, { model, tokens, firstAt, end }] of lanes) {
    const usage = { inputTokens, outputTokens: tokens, totalTokens: inputTokens + tokens, estimated: true } as const
    const timings = { firstTokenMs: firstAt === undefined ? null : firstAt - startedAt, durationMs: lastAt - startedAt }
    ends.set(lane, end ?? quoted({ model, status: 'interrupted', usage, timings }, quote))
  }
  return ends
}

/** The end of a run as `interrupted`. */
export function interruptedEnd(ends: ReadonlyMap<string, LaneEnd>): RunEnd {
  const { error: _error, ...outcome } = runEnd(ends)
  return { ...outcome, status: 'interrupted' }
}

/** The events that end a run, with the ends of its lanes. */
export function endEvents(run: string, { lanes }: UnfinishedRun, ends: ReadonlyMap<string, LaneEnd>, end: RunEnd): NewEvent[] {
  const events: NewEvent[] = []
  for (const [lane, laneEnd] of ends)
    if (lanes.get(lane)?.end === undefined && ends.size > 1) events.push(sessionEvent('lane_end', { run, lane, ...laneEnd }))
  return [...events, sessionEvent('stream_end', { run, ...end })]
}
