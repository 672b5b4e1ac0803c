/** Stops a run of any node, or one of its lanes, and waits for its end in bounded time. */
import { type ErrorCode, formatPosition, type LaneEnd, MillraceError, type SessionEvents } from '@millrace/protocol'
import type { Engine, LogEvent } from '../log/log.ts'
import { createSignal } from './remote-run.ts'
import type { RecordedEnd, Run } from './run.ts'

/** Longer than the lease of a dead node. */
const stopMsMax = 15_000
/** Between two messages to the run's node: the engine may lose one. */
const resendMs = 1000

/** Rejects with `run_not_ended`, or as `Run.ended` does. */
export async function stopRun(run: Run, mostMs: number = stopMsMax): Promise<RecordedEnd> {
  if (run.end !== undefined) return run.end
  const resend = setInterval(() => run.stop(), resendMs)
  run.stop()
  try {
    return await waitForEnd(run, 'run_not_ended', mostMs)
  } finally {
    clearInterval(resend)
  }
}

/** Rejects with `late` where it takes too long, or as `Run.ended` does. */
export async function waitForEnd(run: Run, late: ErrorCode, mostMs: number = stopMsMax): Promise<RecordedEnd> {
  if (run.end !== undefined) return run.end
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new MillraceError(late)), mostMs)
  try {
    return await Promise.race([run.ended, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The end of a lane as it is recorded. */
export type RecordedLaneEnd = Omit<LaneEnd, 'model'> & Pick<RecordedEnd, 'position'>

/** Rejects with `invalid_request` where the run has no such lane, with `run_not_ended`, or as the engine does. */
export async function stopLane(engine: Engine, run: Run, lane: string, mostMs: number = stopMsMax): Promise<RecordedLaneEnd> {
  if (!run.lanes.some((one) => one.lane === lane)) {
    const names = run.lanes.map((one) => one.lane).join(', ')
    throw new MillraceError('invalid_request', { message: `The run has no lane of this name, but ${names}; name one of them.` })
  }
  // Its end is that of the run.
  if (run.lanes.length === 1) return stopRun(run, mostMs)
  if (run.end !== undefined) return run.end.lanes?.[lane] ?? run.end
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(), mostMs)
  const resend = setInterval(() => run.stop(lane), resendMs)
  run.stop(lane)
  try {
    return await readLaneEnd(engine, run, lane, over.signal)
  } finally {
    clearTimeout(timer)
    clearInterval(resend)
  }
}

async function readLaneEnd(
  engine: Engine,
  { id, session, start }: Run,
  lane: string,
  signal: AbortSignal,
): Promise<RecordedLaneEnd> {
  const notified = createSignal()
  const unwatch = engine.watch(session, notified.ring)
  try {
    for (let position = start; !signal.aborted; ) {
      const page = await engine.read(session, position)
      for (const event of page.events) {
        const end = endOf(event, id, lane)
        if (end !== undefined) return { ...end, position: formatPosition({ epoch: start.epoch, offset: event.offset }, session) }
      }
      position = page.position
      if (position.offset >= page.head.offset) await notified.wait(resendMs)
    }
    throw new MillraceError('run_not_ended')
  } finally {
    unwatch()
  }
}

function endOf({ type, data }: LogEvent, run: string, lane: string): Omit<LaneEnd, 'model'> | undefined {
  if ((data as { run?: string } | null)?.run !== run) return undefined
  if (type === 'lane_end') {
    const { run: _run, lane: name, ...end } = data as unknown as SessionEvents['lane_end']
    return name === lane ? end : undefined
  }
  if (type !== 'stream_end') return undefined
  const { run: _run, lanes, ...end } = data as unknown as SessionEvents['stream_end']
  return lanes?.[lane] ?? end
}
