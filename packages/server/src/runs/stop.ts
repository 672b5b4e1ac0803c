/** Stops a run, whosever it is, and waits for its end in bounded time. */
import { MillraceError } from '@millrace/protocol'
import type { RecordedEnd, Run } from './run.ts'

/** Longer than a node that is gone is waited for. */
const stopMsMax = 15_000
/** A message to another node may be lost with the engine that was to bring it. */
const againMs = 1000

/** Rejects with `run_not_ended`, or as `Run.ended` does. */
export async function stopRun(run: Run, mostMs: number = stopMsMax): Promise<RecordedEnd> {
  if (run.end !== undefined) return run.end
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new MillraceError('run_not_ended')), mostMs)
  const again = setInterval(() => run.stop(), againMs)
  run.stop()
  try {
    return await Promise.race([run.ended, late])
  } finally {
    clearTimeout(timer)
    clearInterval(again)
  }
}
