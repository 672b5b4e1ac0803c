/** Stops a run of any node, and waits for its end in bounded time. */
import { MillraceError } from '@millrace/protocol'
import type { RecordedEnd, Run } from './run.ts'

/** Longer than the lease of a dead node. */
const stopMsMax = 15_000
/** Between two messages to the run's node: the engine may lose one. */
const resendMs = 1000

/** Rejects with `run_not_ended`, or as `Run.ended` does. */
export async function stopRun(run: Run, mostMs: number = stopMsMax): Promise<RecordedEnd> {
  if (run.end !== undefined) return run.end
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new MillraceError('run_not_ended')), mostMs)
  const resend = setInterval(() => run.stop(), resendMs)
  run.stop()
  try {
    return await Promise.race([run.ended, late])
  } finally {
    clearTimeout(timer)
    clearInterval(resend)
  }
}
