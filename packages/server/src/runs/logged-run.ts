/** A run that is not this process's, as the log of its session tells of it. */
import { formatPosition, type MillraceError, type Position, type SessionEvents } from '@millrace/protocol'
import type { Engine, LogEvent } from '../log/log.ts'
import type { Run, StandingEnd } from './run.ts'

/** A bell that was lost costs no more than this. */
const followPollMs = 5000

export interface Standing {
  /** Before the run's first event, in the epoch that the log has now. */
  readonly start: Position
  /** Absent where retention has taken it. */
  readonly event?: SessionEvents['stream_start']
}

/** The start of a run where it was put; undefined where that log is gone. Rejects with the engine's refusal. */
export async function readStart(engine: Engine, { session, run }: RunPlace, first: Position): Promise<Standing | undefined> {
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
      // Its end was lost, and it goes on in another epoch; or it is another of the same name.
      const state = await engine.inspect(session)
      if (state === undefined || state.head.epoch === start.epoch) return undefined
      start = { epoch: state.head.epoch, offset: first.offset }
    }
  }
}

interface RunPlace {
  readonly session: string
  readonly run: string
}

function startOf(event: LogEvent | undefined, run: string): SessionEvents['stream_start'] | undefined {
  const start = event?.type === 'stream_start' ? (event.data as unknown as SessionEvents['stream_start']) : undefined
  return start?.run === run ? start : undefined
}

export type Logged = Omit<Run, 'ended' | 'end' | 'stop'>

export interface LoggedRunHooks {
  readonly stop: () => void
  /** Somebody waits for the end; returns what is to be called when it has come. */
  readonly onFollow?: () => () => void
}

export function loggedRun(engine: Engine, run: Logged, { stop, onFollow }: LoggedRunHooks): Run {
  let ended: Promise<StandingEnd> | undefined
  return {
    ...run,
    get ended() {
      ended ??= follow(engine, run, onFollow)
      return ended
    },
    end: undefined,
    stop,
  }
}

async function follow(
  engine: Engine,
  { id, session, start }: Logged,
  onFollow: LoggedRunHooks['onFollow'],
): Promise<StandingEnd> {
  const rung = ringable()
  const unwatch = engine.watch(session, rung.ring)
  const onEnd = onFollow?.()
  try {
    for (let position = start; ; ) {
      const page = await engine.read(session, position)
      const end = page.events.find((event) => isEndOf(event, id))
      if (end !== undefined) {
        onEnd?.()
        const { run: _run, ...outcome } = end.data as unknown as SessionEvents['stream_end']
        return { ...outcome, position: formatPosition({ epoch: start.epoch, offset: end.offset }, session) }
      }
      position = page.position
      if (position.offset === page.head.offset) await rung.wait(followPollMs)
    }
  } finally {
    unwatch()
  }
}

function isEndOf({ type, data }: LogEvent, run: string): boolean {
  return type === 'stream_end' && (data as { run: string }).run === run
}

/** A bell that can be waited for; one that rings early is not missed. */
export function ringable() {
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
