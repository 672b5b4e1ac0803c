/** A session's log, folded into what a person would call the conversation: PROTOCOL.md, `GET /api/sessions/:id`. */
import {
  type FileInfo,
  formatPosition,
  type LaneEnd,
  type MillraceError,
  type Position,
  type RunEnd,
  type SessionEvents,
} from '@millrace/protocol'
import type { Engine, LogEvent } from '../log/log.ts'

export interface LaneRecord extends Partial<Omit<LaneEnd, 'status' | 'model'>> {
  readonly lane: string
  readonly model: string
  status: 'streaming' | LaneEnd['status']
  text: string
  reasoning: string
  readonly data: { readonly name: string; readonly value: unknown }[]
  readonly files: FileRecord[]
}

/** A file of an answer, without its bytes. */
export interface FileRecord extends FileInfo {
  /** The next event after it has the bytes. */
  readonly position: string
}

export interface RunRecord extends Partial<Omit<RunEnd, 'status' | 'lanes'>> {
  readonly run: string
  readonly query: string
  /** The run that this one goes on with. */
  readonly continues?: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  status: 'streaming' | RunEnd['status']
  readonly lanes: LaneRecord[]
}

export interface Transcript {
  readonly id: string
  /** Everything up to here is in `runs`. */
  readonly position: string
  /** False where retention has cut the beginning. */
  readonly complete: boolean
  readonly runs: readonly RunRecord[]
}

/** What is folded before the event loop gets a turn: about two milliseconds. */
const page = { eventsMax: 2048, bytesMax: 256 * 1024 }

/** How often a log is begun anew that is lost, or deleted and made again, while it is read. */
const attemptsMax = 3

/** Undefined where there is no such session. */
export async function readTranscript(engine: Engine, session: string): Promise<Transcript | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fold(engine, session)
    } catch (error) {
      const { code } = error as MillraceError
      // Whoever asked has given no position.
      if (code === 'session_not_found') return undefined
      if (code !== 'position_foreign' || attempt === attemptsMax) throw error
    }
  }
}

async function fold(engine: Engine, session: string): Promise<Transcript | undefined> {
  const state = await engine.inspect(session)
  if (state === undefined) return undefined
  const runs = new Map<string, RunRecord>()
  let complete = true
  let position: Position = { epoch: state.head.epoch, offset: 0 }
  for (;;) {
    const read = await engine.read(session, position, page)
    if (read.gap !== undefined) complete = false
    for (const event of read.events) apply(runs, event, position.epoch)
    position = read.position
    // What another node has appended, `read` may show later than `inspect`.
    if (position.offset >= Math.max(state.head.offset, read.head.offset)) break
    await new Promise(setImmediate)
  }
  return { id: session, position: formatPosition(position), complete, runs: [...runs.values()] }
}

function apply(runs: Map<string, RunRecord>, { type, data, time, offset }: LogEvent, epoch: string): void {
  if (type === 'stream_start') {
    const { run, query, lanes, continues } = data as unknown as SessionEvents['stream_start']
    const records = lanes.map(
      (lane): LaneRecord => ({ ...lane, status: 'streaming', text: '', reasoning: '', data: [], files: [] }),
    )
    const continued = continues === undefined ? {} : { continues }
    runs.set(run, { run, query, ...continued, startedAt: time, status: 'streaming', lanes: records })
    return
  }
  const run = runs.get((data as { run: string }).run)
  // Bytes, which are of no run; or its beginning was cut off by retention: half an answer without its question would mislead.
  if (run === undefined) return
  if (type === 'stream_end') {
    const { run: _run, lanes, ...end } = data as unknown as SessionEvents['stream_end']
    Object.assign(run, end)
    for (const lane of run.lanes) Object.assign(lane, lanes?.[lane.lane] ?? end)
    return
  }
  const lane = run.lanes.find((each) => each.lane === (data as { lane: string }).lane)
  if (lane === undefined) return
  if (type === 'message') lane.text += (data as SessionEvents['message']).text
  else if (type === 'reasoning') lane.reasoning += (data as SessionEvents['reasoning']).reasoning
  else if (type === 'data')
    lane.data.push({ name: (data as SessionEvents['data']).name, value: (data as SessionEvents['data']).value })
  else if (type === 'file') {
    const { run: _run, lane: _lane, ...file } = data as unknown as SessionEvents['file']
    lane.files.push({ ...file, position: formatPosition({ epoch, offset }) })
  } else if (type === 'lane_end') {
    const { run: _run, lane: _lane, ...end } = data as unknown as SessionEvents['lane_end']
    Object.assign(lane, end)
  }
}
