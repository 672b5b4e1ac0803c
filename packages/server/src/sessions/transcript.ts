/** Folds a session's log into its conversation: PROTOCOL.md, `GET /api/sessions/:id`. */
import {
  type Asked,
  addToParts,
  askedOf,
  decideInRun,
  type FileInfo,
  formatPosition,
  type LaneEnd,
  type LanePart,
  moveQueued,
  type QueuedQuestion,
  type QueueMove,
  type RunEnd,
  type SaidPart,
  type SessionEvents,
} from '@millrace/protocol'
import type { LogEvent } from '../log/log.ts'

export interface LaneRecord extends Partial<Omit<LaneEnd, 'status' | 'model'>> {
  readonly lane: string
  readonly model: string
  status: 'streaming' | LaneEnd['status']
  text: string
  reasoning: string
  readonly data: { readonly name: string; readonly value: unknown }[]
  readonly files: FileRecord[]
  /** All of its answer, in order. */
  readonly parts: LanePart[]
}

/** A file of an answer, without its bytes. */
export interface FileRecord extends FileInfo {
  /** The next event after it contains the bytes. */
  readonly position: string
}

export interface RunRecord extends Partial<Omit<RunEnd, 'status' | 'lanes'>>, Asked {
  readonly run: string
  readonly query: string
  /**
   * The run that this one follows; null for the first of a conversation, or where that run is no longer kept. Absent where it
   * resumes another, whose place it has.
   */
  readonly parent?: string | null | undefined
  /** The run that this one resumes. */
  readonly continues?: string
  /** What was being answered was stopped for it. */
  readonly steer?: boolean
  /** Milliseconds since 1970. */
  readonly startedAt: number
  status: 'streaming' | RunEnd['status']
  readonly lanes: LaneRecord[]
}

export interface Transcript {
  readonly id: string
  /** `runs` contains all events up to here. */
  readonly position: string
  /** False where retention has deleted the beginning. */
  readonly complete: boolean
  readonly runs: readonly RunRecord[]
  /** Questions that wait, in the order in which they will be asked. */
  readonly queue: readonly QueuedRecord[]
  /** Somebody has stopped an answer since anything was asked: the queue waits. */
  readonly isPaused: boolean
}

export interface QueuedRecord extends QueuedQuestion {
  /** Milliseconds since 1970. */
  readonly addedAt: number
}

/** A run as far as it was read. */
export interface Folded {
  record: RunRecord
  /** Of its start in the log. */
  readonly offset: number
  /** Approximate memory. */
  bytes: number
}

/** Events of a log, folded. */
export interface Fold {
  /** By id, in the order of their starts. */
  readonly runs: Map<string, Folded>
  /** The run that started last and resumes none: what the next one follows that names no other. */
  newest: string | null
  /** Questions that wait, by id, with the offsets of their last events. */
  readonly queue: Map<string, { readonly record: QueuedRecord; readonly offset: number }>
  isPaused: boolean
}

export function emptyFold(): Fold {
  return { runs: new Map(), newest: null, queue: new Map(), isPaused: false }
}

const runBytes = 1000
const partBytes = 200

/** Folds one event. Events of a run MUST be passed in order, its start first. */
export function fold(log: Fold, event: LogEvent, epoch: string): void {
  const { type, data, time, offset } = event
  const { runs } = log
  if (type === 'queue_added' || type === 'queue_changed') return foldQueued(log, data as unknown as QueuedQuestion, time, offset)
  if (type === 'queue_moved') return foldMove(log, data as unknown as QueueMove)
  if (type === 'queue_removed') return void log.queue.delete((data as { entry: string }).entry)
  if (type === 'stream_start') {
    const { run, query, lanes, continues, ...start } = data as unknown as SessionEvents['stream_start']
    const parent = start.parent === undefined ? log.newest : start.parent
    const asked = { ...askedOf(start), ...(continues === undefined && { parent }) }
    if (continues === undefined) log.newest = run
    const steer = log.queue.get(run)?.record.steer
    log.queue.delete(run)
    log.isPaused = false
    const records = lanes.map(
      (lane): LaneRecord => ({ ...lane, status: 'streaming', text: '', reasoning: '', data: [], files: [], parts: [] }),
    )
    const continued = continues === undefined ? {} : { continues }
    const record: RunRecord = {
      run,
      query,
      ...asked,
      ...continued,
      ...(steer && { steer }),
      startedAt: time,
      status: 'streaming',
      lanes: records,
    }
    const askedBytes = Object.keys(asked).length === 0 ? 0 : 4 * JSON.stringify(asked).length
    runs.set(run, { record, offset, bytes: runBytes * (1 + lanes.length) + 2 * query.length + askedBytes })
    return
  }
  if (type === 'tool_decision') log.isPaused ||= (data as { decision?: string }).decision === 'withdraw'
  if (type === 'stream_end') log.isPaused = (data as { status: string }).status === 'stopped'
  const folded = runs.get((data as { run: string }).run)
  // A file's bytes, which name no run. Or retention has deleted the run's start, and half an answer would mislead.
  if (folded === undefined) return
  if (type === 'tool_decision') return decide(folded, data as unknown as SessionEvents['tool_decision'])
  const run = folded.record
  // No event of a run follows its end, and the records of ended runs are shared with callers.
  if (run.status !== 'streaming') return
  if (type === 'stream_end') {
    const { run: _run, lanes, ...end } = data as unknown as SessionEvents['stream_end']
    Object.assign(run, end)
    for (const lane of run.lanes) Object.assign(lane, lanes?.[lane.lane] ?? end)
    for (const lane of run.lanes) {
      folded.bytes += flatten(lane)
      Object.freeze(lane)
    }
    Object.freeze(run)
    return
  }
  const lane = run.lanes.find((each) => each.lane === (data as { lane: string }).lane)
  if (lane === undefined) return
  // Only files have one, and most events are tokens.
  const position = type === 'file' ? formatPosition({ epoch, offset }) : ''
  addToParts(lane.parts, event as unknown as Parameters<typeof addToParts>[1], position)
  if (type === 'message') folded.bytes += 2 * (data as SessionEvents['message']).text.length
  else if (type === 'reasoning') folded.bytes += 2 * (data as SessionEvents['reasoning']).reasoning.length
  else if (type === 'data') {
    const { name, value } = data as SessionEvents['data']
    lane.data.push({ name, value })
    folded.bytes += partBytes + 2 * JSON.stringify(value).length
  } else if (type === 'file') {
    const { run: _run, lane: _lane, ...file } = data as unknown as SessionEvents['file']
    folded.bytes += partBytes + 2 * (file.name ?? '').length
    lane.files.push({ ...file, position })
  } else if (type === 'lane_end') {
    const { run: _run, lane: _lane, ...end } = data as unknown as SessionEvents['lane_end']
    Object.assign(lane, end)
  } else folded.bytes += partBytes + 2 * JSON.stringify(data).length
}

function foldQueued(log: Fold, question: QueuedQuestion, addedAt: number, offset: number): void {
  const before = log.queue.get(question.entry)
  log.isPaused &&= before !== undefined
  log.queue.set(question.entry, { record: { ...question, addedAt: before?.record.addedAt ?? addedAt }, offset })
}

function foldMove({ queue }: Fold, move: QueueMove): void {
  const moved = moveQueued(
    Array.from(queue, ([entry, value]) => ({ entry, value })),
    move,
  )
  queue.clear()
  for (const { entry, value } of moved) queue.set(entry, value)
}

/** What somebody has decided about a call of an ended run, whose record is shared with callers. */
function decide(folded: Folded, decision: SessionEvents['tool_decision']): void {
  const { lanes, status } = decideInRun(folded.record, decision)
  folded.record = Object.freeze({ ...folded.record, status, lanes: lanes.map((lane) => Object.freeze(lane)) })
  folded.bytes += partBytes + 2 * JSON.stringify(decision).length
}

/** The text of a lane, or its reasoning. Of one part it is the same text, once in memory. */
export function textOfParts(parts: readonly LanePart[], type: SaidPart['type']): string {
  let text = ''
  for (const part of parts) if (part.type === type) text += part.text
  return text
}

/** Returns what it takes in memory that was not counted. V8 keeps concatenated text as a tree of its pieces, several times its size, until a character is read. */
function flatten(lane: LaneRecord): number {
  const { parts } = lane
  let bytes = 0
  for (const type of ['text', 'reasoning'] as const) {
    const said = parts.filter((part): part is SaidPart => part.type === type)
    for (const { text } of said) text.charCodeAt(0)
    lane[type] = textOfParts(parts, type)
    lane[type].charCodeAt(0)
    if (said.length > 1) bytes += 2 * lane[type].length
  }
  return bytes
}
