/**
 * The session's state machine: `(state, event) -> state`, pure. An event at or before the state's
 * position has been applied already and changes nothing, so an overlap after a reconnect can never
 * double a word. A gap and a position of another epoch mark the state stale: its reader then takes
 * a new snapshot instead of guessing.
 *
 * Deltas may arrive merged on replay. Only the text is kept, never the number of deltas, so the
 * state comes out the same.
 */
import { type LaneEnd, parsePosition, type SessionEvents } from '@millrace/protocol'
import { type DecodedEvent, readEnd } from './decode.ts'
import { addEnd, addRun, lastRun } from './join.ts'
import { type FileState, type LaneState, newLane, type RunState, type SessionState, type Status } from './state.ts'

export function reduceSession(state: SessionState, event: DecodedEvent): SessionState {
  if (event.type === 'gap') return { ...state, complete: false, stale: true }
  const order = comparePositions(state.position, event.position)
  if (order === 'foreign') return { ...state, stale: true }
  if (order === 'seen') return state
  if (event.type === 'upload') return { ...state, position: event.position }
  const runs = event.type === 'file_data' ? addBytes(state, event.data) : applyToRuns(state.runs, event)
  return { ...state, position: event.position, runs }
}

/** The server no longer has the session: what was being written will never end by itself. */
export function interruptSession(state: SessionState): SessionState {
  const interrupt = <T extends { readonly status: Status }>(part: T): T =>
    part.status === 'streaming' ? { ...part, status: 'interrupted' } : part
  return { ...state, runs: state.runs.map((run) => interrupt({ ...run, lanes: run.lanes.map(interrupt) })) }
}

/** Positions are opaque but for this: within one epoch the greater offset is later. */
export function comparePositions(reached: string, next: string): 'new' | 'seen' | 'foreign' {
  const a = parsePosition(reached)
  const b = parsePosition(next)
  if (a === undefined || b === undefined || a.epoch !== b.epoch) return 'foreign'
  return b.offset > a.offset ? 'new' : 'seen'
}

type LogEvent = Exclude<DecodedEvent, { type: 'gap' }>

/** Of the file that the event before announced, which is where the state stands. */
function addBytes({ runs, position }: SessionState, bytes: Uint8Array<ArrayBuffer>): readonly RunState[] {
  const isNext = ({ files }: LaneState) => files.at(-1)?.position === position
  const index = runs.findLastIndex(({ lanes }) => lanes.some(isNext))
  const run = runs[index]
  if (run === undefined) return runs
  const add = (file: FileState) => (file.position === position ? { ...file, bytes } : file)
  const lanes = run.lanes.map((lane) => (isNext(lane) ? { ...lane, files: lane.files.map(add) } : lane))
  return runs.with(index, { ...run, lanes })
}

function applyToRuns(runs: readonly RunState[], event: Exclude<LogEvent, { type: 'file_data' | 'upload' }>): readonly RunState[] {
  if (event.type === 'stream_start') return addRun(runs, startRun(event.data))
  // From the end: what arrives is nearly always of the newest run.
  const index = runs.findLastIndex((run) => lastRun(run) === event.data.run)
  const run = runs[index]
  // Where retention has cut the start of a run away, there is nowhere to put its rest.
  if (run === undefined || run.status !== 'streaming') return runs
  return runs.with(index, applyToRun(run, event))
}

function startRun({ run, query, lanes, continues }: SessionEvents['stream_start']): RunState {
  const silent = lanes.map(({ lane, model }) => newLane(lane, model))
  return { run, query, status: 'streaming', lanes: silent, ...(continues !== undefined && { continues }) }
}

function applyToRun(run: RunState, event: Exclude<LogEvent, { type: 'stream_start' | 'file_data' | 'upload' }>): RunState {
  switch (event.type) {
    case 'message':
      return updateLane(run, event.data.lane, (lane) => ({ ...lane, text: lane.text + event.data.text }))
    case 'reasoning':
      return updateLane(run, event.data.lane, (lane) => ({ ...lane, reasoning: lane.reasoning + event.data.reasoning }))
    case 'data': {
      const { name, value } = event.data
      return updateLane(run, event.data.lane, (lane) => ({ ...lane, data: [...lane.data, { name, value }] }))
    }
    case 'file': {
      const { run: _, lane: name, ...file } = event.data
      const { position } = event
      return updateLane(run, name, (lane) => ({ ...lane, files: [...lane.files, { ...file, position, bytes: 'coming' }] }))
    }
    case 'lane_end':
      return updateLane(run, event.data.lane, (lane) => endLane(lane, event.data))
    case 'stream_end':
      return endRun(run, event.data)
    // The page does not show tools.
    default:
      return run
  }
}

function updateLane(run: RunState, name: string, update: (lane: LaneState) => LaneState): RunState {
  const index = run.lanes.findIndex((lane) => lane.lane === name)
  const lane = run.lanes[index]
  if (lane === undefined || lane.status !== 'streaming') return run
  return { ...run, lanes: run.lanes.with(index, update(lane)) }
}

function endRun(run: RunState, end: SessionEvents['stream_end']): RunState {
  // With one lane the run's end is the lane's; with several each had its own, and those that
  // somehow had none are not left streaming for ever.
  const lanes = run.lanes.map((lane) => (lane.status === 'streaming' ? endLane(lane, end.lanes?.[lane.lane] ?? end) : lane))
  return { ...run, status: end.status, lanes, end: readEnd(end) }
}

function endLane(lane: LaneState, end: Omit<LaneEnd, 'model'>): LaneState {
  return { ...lane, status: end.status, end: addEnd(lane.before, readEnd(end)) }
}
