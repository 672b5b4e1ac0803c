/**
 * The conversations of sessions, folded from their logs. The fold of a log is kept, in bounded bytes, so that a question in
 * a long session reads only newer events. Runs that retention has deleted from the log are dropped here, too.
 */
import { formatPosition, type MillraceError, type Position } from '@millrace/protocol'
import type { Engine, LogState, Page } from '../log/log.ts'
import { coalesce } from '../runs/coalesce.ts'
import type { OpenLog } from '../runs/recovery.ts'
import { emptyFold, type Fold, fold, type RunRecord, type Transcript, textOfParts } from './transcript.ts'

export interface Transcripts {
  /** As `openLog`, for a caller that reads the session next: a log that was never read here is read once for both. */
  readonly open: OpenLog
  /** Undefined where there is no such session. Concurrent callers share the result. */
  read(session: string): Promise<Transcript | undefined>
  /** Drops the fold of a deleted session, so that no text of it remains. */
  forget(session: string): void
}

export interface TranscriptsOptions {
  readonly engine: Engine
  readonly openLog: OpenLog
  /** Called with each page before the log is opened: a page that recovery has from here it need not read itself. */
  readonly onPage?: ((log: string, after: Position, page: Page) => void) | undefined
  /** Of the runs kept in memory; default 64 MiB. */
  readonly bytesMax?: number | undefined
}

/** The fold of a log. At any moment `runs` contains the events up to `position`. */
interface Kept extends Fold {
  position: Position
  bytes: number
}

/** Events folded before the event loop continues: about two milliseconds. */
const page = { eventsMax: 2048, bytesMax: 256 * 1024 }
/** Attempts on a log that is lost, or deleted and re-created, while it is read. */
const attemptsMax = 3

export function createTranscripts(options: TranscriptsOptions): Transcripts {
  const { engine, openLog, onPage = () => {}, bytesMax = 64 * 1024 * 1024 } = options
  /** Ordered by their last read. */
  const kept = new Map<string, Kept>()
  let bytes = 0

  const read = coalesce(readOn)

  return {
    async open(session) {
      // Where it cannot be read, `openLog` or the next read says why.
      if (!kept.has(session)) await read(session).catch(() => {})
      return openLog(session)
    },
    read,
    forget,
  }

  async function readOn(session: string): Promise<Transcript | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await foldOn(session)
      } catch (error) {
        const { code } = error as MillraceError
        // The caller named no position, so the session does not exist.
        if (code === 'session_not_found') return undefined
        if (code !== 'position_foreign' || attempt === attemptsMax) throw error
      }
    }
  }

  async function foldOn(session: string): Promise<Transcript | undefined> {
    const before = kept.has(session) ? undefined : await engine.inspect(session)
    if (before !== undefined) await readPages(session, open(session, before.head), before)
    const state = await openLog(session)
    if (state === undefined) {
      forget(session)
      return undefined
    }
    const log = open(session, state.head)
    const start = await readPages(session, log, state)
    for (const [run, { offset }] of log.runs) if (offset <= start) log.runs.delete(run)
    for (const [entry, { offset }] of log.queue) if (offset <= start) log.queue.delete(entry)
    keep(session, log)
    const runs = [...log.runs.values()].map(({ record }) => copy(withKeptParent(record, log.runs)))
    const queue = [...log.queue.values()].map(({ record }) => record)
    const isPaused = log.isPaused && queue.length > 0
    return { id: session, position: formatPosition(log.position), complete: start === 0, runs, queue, isPaused }
  }

  function open(session: string, { epoch, offset }: Position): Kept {
    const known = kept.get(session)
    if (known?.position.epoch === epoch && known.position.offset <= offset) return known
    forget(session)
    const fresh: Kept = { ...emptyFold(), position: { epoch, offset: 0 }, bytes: 0 }
    kept.set(session, fresh)
    return fresh
  }

  /** Resolves with the offset up to which retention has deleted events. */
  async function readPages(session: string, log: Kept, { start, head }: LogState): Promise<number> {
    for (let cut = start.offset; ; ) {
      const found = await engine.read(session, log.position, page)
      onPage(session, log.position, found)
      cut = Math.max(cut, found.gap?.to.offset ?? 0)
      for (const event of found.events) fold(log, event, log.position.epoch)
      log.position = found.position
      // Events of other nodes may be in `inspect` before they are in `read`.
      if (log.position.offset >= Math.max(head.offset, found.head.offset)) return cut
      await new Promise(setImmediate)
    }
  }

  /** Does nothing where it was forgotten while it was read. */
  function keep(session: string, log: Kept): void {
    if (kept.get(session) !== log) return
    forget(session)
    log.bytes = sum(log)
    kept.set(session, log)
    bytes += log.bytes
    for (const oldest of kept.keys()) {
      if (bytes <= bytesMax) break
      forget(oldest)
    }
  }

  function forget(session: string): void {
    bytes -= kept.get(session)?.bytes ?? 0
    kept.delete(session)
  }
}

function sum({ runs, queue }: Pick<Fold, 'runs' | 'queue'>): number {
  let bytes = 1000
  for (const { record } of queue.values()) bytes += 4 * JSON.stringify(record).length
  for (const run of runs.values()) bytes += run.bytes
  return bytes
}

function withKeptParent(run: RunRecord, kept: ReadonlyMap<string, unknown>): RunRecord {
  if (typeof run.parent !== 'string' || kept.has(run.parent)) return run
  const { parentLane: _, ...rest } = run
  return { ...rest, parent: null }
}

/** An ended run does not change, and is shared. Of one in progress only the parts have the text. */
function copy(run: RunRecord): RunRecord {
  if (run.status !== 'streaming') return run
  const lanes = run.lanes.map((lane) => ({
    ...lane,
    text: textOfParts(lane.parts, 'text'),
    reasoning: textOfParts(lane.parts, 'reasoning'),
    data: [...lane.data],
    files: [...lane.files],
    parts: [...lane.parts],
  }))
  return { ...run, lanes }
}
