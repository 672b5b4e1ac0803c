/** Stops runs. Concurrent stops of one run share its lookup, its stop and the wait for its end. */
import { MillraceError } from '@millrace/protocol'
import type { RecordedEnd, Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import { stopRun } from '../runs/stop.ts'

export interface Stops {
  /** Resolves with the run's end. `allow` is called for each caller. Rejects with `run_not_found`, as `allow`, or as `stopRun` does. */
  stop(run: string, allow: (run: Run) => void | Promise<void>): Promise<RecordedEnd>
}

export function createStops(runs: Runs): Stops {
  const finding = new Map<string, Promise<Run>>()
  const stopping = new Map<string, Promise<RecordedEnd>>()

  return {
    async stop(id, allow) {
      const run = await once(finding, id, async () => {
        const found = await runs.find(id)
        if (found === undefined) throw new MillraceError('run_not_found')
        return found
      })
      await allow(run)
      return once(stopping, id, () => stopRun(run))
    },
  }
}

/** The promise in progress for this key, or a new one. */
function once<T>(underWay: Map<string, Promise<T>>, key: string, begin: () => Promise<T>): Promise<T> {
  const known = underWay.get(key)
  if (known !== undefined) return known
  const begun = begin().finally(() => underWay.delete(key))
  underWay.set(key, begun)
  return begun
}
