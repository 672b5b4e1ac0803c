/** Stops a run of any node, and waits for its end in bounded time. */
import { type ErrorCode, MillraceError } from '@millrace/protocol'
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
