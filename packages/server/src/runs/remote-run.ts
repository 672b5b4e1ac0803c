/** A run of another process, read from the log of its session. */
import { formatPosition, MillraceError, type Position, type SessionEvents } from '@millrace/protocol'
import type { Engine, LogEvent } from '../log/log.ts'
import { retryWhileUnavailable } from '../log/retry.ts'
import type { RecordedEnd, Run } from './run.ts'

/** The delay after a lost notification. */
const followPollMs = 5000

export interface RecordedStart {
  /** Before the run's first event, in the log's current epoch. */
  readonly start: Position
  /** Absent where retention has deleted it. */
  readonly event?: SessionEvents['stream_start']
}

/** Reads a run's start where it was recorded. Undefined where that log was deleted. Rejects with the engine's error. */
export async function readStart(engine: Engine, { session, run }: RunPlace, first: Position): Promise<RecordedStart | undefined> {
  for (let start = first; ; ) {
    try {
      const { events } = await engine.read(session, start, { eventsMax: 1 })
      const event = startOf(events[0], run)
      if (event !== undefined) return { start, event }
      return start === first ? { start } : undefined
    } catch (error) {
      const { code } = error as MillraceError
      if (code === 'session_not_found') return undefined
      if (code !== 'position_foreign' && code !== 'position_ahead') throw error
      // The log lost its newest events and continues in another epoch, or another log has its name.
      const state = await engine.inspect(session)
      if (state === undefined || state.head.epoch === start.epoch) return undefined
      start = { epoch: state.head.epoch, offset: first.offset }
    }
  }
}

/** Searches the log of a session for a run's start. */
export async function findStart(engine: Engine, { session, run }: RunPlace): Promise<Position | undefined> {
  const state = await engine.inspect(session)
  if (state === undefined) return undefined
  for (let position = state.start; position.offset < state.head.offset; ) {
    const page = await engine.read(session, position)
    const found = page.events.find((event) => startOf(event, run) !== undefined)
    if (found !== undefined) return { epoch: position.epoch, offset: found.offset - 1 }
    position = page.position
  }
  return undefined
}

interface RunPlace {
  readonly session: string
  readonly run: string
}

function startOf(event: LogEvent | undefined, run: string): SessionEvents['stream_start'] | undefined {
  const start = event?.type === 'stream_start' ? (event.data as unknown as SessionEvents['stream_start']) : undefined
  return start?.run === run ? start : undefined
}

export type RemoteRun = Omit<Run, 'ended' | 'end' | 'stop'>

export interface RemoteRunHooks {
  readonly stop: (lane?: string) => void
  /** Where it is already known. */
  readonly end?: RecordedEnd | undefined
  /** Reads the end from the run directory: retention may have deleted it from the log. */
  readonly readEnd?: () => Promise<RecordedEnd | undefined>
  /** Whether no process performs the run any more. */
  readonly isOver?: () => Promise<boolean>
  /** Called when a caller waits for the end; the returned function is called when none does any more. */
  readonly onFollow?: () => () => void
}

export function openRemoteRun(engine: Engine, run: RemoteRun, hooks: RemoteRunHooks): Run {
  const { stop, end } = hooks
  let ended = end && Promise.resolve(end)
  return {
    ...run,
    get ended() {
      ended ??= follow(engine, run, hooks)
      return ended
    },
    end,
    stop,
  }
}

async function follow(
  engine: Engine,
  { id, session, start }: RemoteRun,
  { readEnd, isOver, onFollow }: RemoteRunHooks,
): Promise<RecordedEnd> {
  const notified = createSignal()
  const unwatch = engine.watch(session, notified.ring)
  const onOver = onFollow?.()
  let isCut = false
  let roundsOver = 0
  // An unavailable engine ends nothing.
  const ask = <T>(act: () => Promise<T>) => retryWhileUnavailable(act, { isOver: () => false, onUnavailable: () => {} })
  try {
    for (let position = start; ; ) {
      // Before the log is read: a run that is over by now has its end in the log, or the process that noticed appends it.
      if (isCut && (await ask(async () => isOver?.()))) roundsOver += 1
      const page = await ask(() => engine.read(session, position))
      const end = page.events.find((event) => isEndOf(event, id))
      if (end !== undefined) {
        const { run: _run, ...outcome } = end.data as unknown as SessionEvents['stream_end']
        return { ...outcome, position: formatPosition({ epoch: start.epoch, offset: end.offset }, session) }
      }
      position = page.position
      if (page.gap !== undefined) {
        const recorded = await ask(async () => readEnd?.())
        if (recorded !== undefined) return recorded
        isCut = true
      }
      if (position.offset < page.head.offset) continue
      if (roundsOver > 1) throw new MillraceError('position_expired', { message: 'The end of this run is no longer kept.' })
      await notified.wait(followPollMs)
    }
  } finally {
    unwatch()
    onOver?.()
  }
}

function isEndOf({ type, data }: LogEvent, run: string): boolean {
  return type === 'stream_end' && (data as { run: string }).run === run
}

/** A bell that can be awaited. A notification before the wait ends it at once. */
export function createSignal() {
  let { promise, resolve } = Promise.withResolvers<void>()
  return {
    ring: (): void => resolve(),
    async wait(mostMs: number): Promise<void> {
      const timer = setTimeout(resolve, mostMs)
      await promise
      clearTimeout(timer)
      ;({ promise, resolve } = Promise.withResolvers<void>())
    },
  }
}
