/**
 * Reads what comes from outside, a session's snapshot and its events, into the shapes the reducer
 * trusts. Answers `undefined` for what does not have the shape of PROTOCOL.md; never throws.
 */
import type { Gap, Lane, LaneEnd, RunEnd, SessionEvent } from '@millrace/protocol'
import { addRun } from './join.ts'
import type { End, FileState, LaneState, RunState, SessionState, Status } from './state.ts'

/** An event as it arrives; `gap` is not in the log and has no position. */
export type DecodedEvent = (SessionEvent & { readonly position: string }) | { readonly type: 'gap'; readonly data: Gap }

export type EventType = DecodedEvent['type']

type Fields = Readonly<Record<string, unknown>>

const isOfRun = (data: Fields) => isText(data.run)

const shapes: { readonly [T in EventType]: (data: Fields) => boolean } = {
  stream_start: (data) => isText(data.run) && isText(data.query) && isListOf(data.lanes, isLane) && isTextOrNone(data.continues),
  message: (data) => isText(data.run) && isText(data.lane) && isText(data.text),
  reasoning: (data) => isText(data.run) && isText(data.lane) && isText(data.reasoning),
  tool_call_start: isOfRun,
  tool_call_delta: isOfRun,
  tool_call: isOfRun,
  tool_result: isOfRun,
  approval_request: isOfRun,
  tool_decision: isOfRun,
  source: isOfRun,
  step_end: isOfRun,
  data: (data) => isText(data.run) && isText(data.lane) && isText(data.name) && 'value' in data,
  file: (data) => isText(data.run) && isText(data.lane) && isFile(data),
  file_data: (data) => data instanceof Uint8Array,
  upload: (data) => isText(data.upload) && isFile(data),
  lane_end: (data) => isText(data.run) && isText(data.lane) && isEnd(data),
  stream_end: (data) => isText(data.run) && isEnd(data),
  gap: (data) => isText(data.from) && isText(data.to),
}

export function isEventType(type: string): type is EventType {
  return Object.hasOwn(shapes, type)
}

export function readEvent(type: EventType, data: unknown, position: string): DecodedEvent | undefined {
  if (!isFields(data) || !shapes[type](data)) return undefined
  // The shape was just checked against the type; TypeScript cannot follow a table lookup.
  return (type === 'gap' ? { type, data } : { type, data, position }) as unknown as DecodedEvent
}

/** Reads the body of `GET /api/sessions/:id`. */
export function readSnapshot(body: unknown): SessionState | undefined {
  if (!isFields(body) || !isText(body.id) || !isText(body.position)) return undefined
  if (!isListOf(body.runs, isSnapshotRun)) return undefined
  const runs = body.runs.map(toRun).reduce(addRun, [])
  return { session: body.id, position: body.position, complete: body.complete !== false, stale: false, runs }
}

interface SnapshotLane extends Lane, Partial<LaneEnd> {
  readonly model: string
  readonly text: string
  readonly reasoning?: string
  readonly data?: LaneState['data']
  readonly files?: readonly FileState[]
}
interface SnapshotRun extends Partial<Omit<RunEnd, 'lanes'>> {
  readonly run: string
  readonly query: string
  readonly continues?: string
  readonly lanes: readonly SnapshotLane[]
}

function toRun(run: SnapshotRun): RunState {
  const status = readStatus(run.status)
  const { continues } = run
  const base = {
    run: run.run,
    query: run.query,
    ...(continues !== undefined && { continues }),
    status,
    lanes: run.lanes.map(toLane),
  }
  return status === 'streaming' ? base : { ...base, end: readEnd(run) }
}

function toLane(lane: SnapshotLane): LaneState {
  const status = readStatus(lane.status)
  const { text, reasoning = '', data = [], files = [] } = lane
  const base = { lane: lane.lane, model: lane.model, text, reasoning, data, files, status }
  return status === 'streaming' ? base : { ...base, end: readEnd(lane) }
}

/** The part of an end that the state keeps; the status stands beside it. */
export function readEnd(end: Partial<End>): End {
  return {
    usage: end.usage ?? { inputTokens: 0, outputTokens: 0, totalTokens: 0, estimated: true },
    timings: end.timings ?? { firstTokenMs: null, durationMs: 0 },
    ...(end.finishReason === undefined ? {} : { finishReason: end.finishReason }),
    ...(end.error === undefined ? {} : { error: end.error }),
  }
}

const statuses: readonly unknown[] = ['streaming', 'completed', 'waiting', 'stopped', 'failed', 'interrupted']

/** A status of a later server is shown as ended: waiting for ever would be the worse mistake. */
function readStatus(status: unknown): Status {
  return statuses.includes(status) ? (status as Status) : 'interrupted'
}

function isSnapshotRun(run: unknown): run is SnapshotRun {
  if (!isFields(run) || !isText(run.run) || !isText(run.query) || !isTextOrNone(run.continues)) return false
  return isListOf(run.lanes, isSnapshotLane)
}

function isSnapshotLane(lane: unknown): lane is SnapshotLane {
  if (!isFields(lane) || !isLane(lane) || !isText(lane.text)) return false
  return lane.files === undefined || isListOf(lane.files, isSnapshotFile)
}

function isSnapshotFile(file: unknown): file is FileState {
  return isFields(file) && isFile(file) && isText(file.position)
}

function isFile(file: Fields): boolean {
  return isText(file.mediaType) && isTextOrNone(file.name) && typeof file.size === 'number'
}

function isLane(lane: unknown): lane is Lane {
  return isFields(lane) && isText(lane.lane) && isText(lane.model)
}

function isEnd(end: Fields): boolean {
  return isText(end.status) && isFields(end.usage) && isFields(end.timings)
}

function isListOf<T>(value: unknown, isItem: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.every(isItem)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || isText(value)
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
