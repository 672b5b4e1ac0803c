/** Stops runs. Concurrent stops of one run share its lookup, its stop and the wait for its end. */
import { MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { RecordedEnd, Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import { type RecordedLaneEnd, stopLane, stopRun } from '../runs/stop.ts'

export interface Stops {
  /** Resolves with the run's end. `allow` is called for each caller. Rejects with `run_not_found`, as `allow`, or as `stopRun` does. */
  stop(run: string, allow: (run: Run) => void | Promise<void>): Promise<RecordedEnd>
  /** The same for one lane. Rejects also as `stopLane` does. */
  stopLane(run: string, lane: string, allow: (run: Run) => void | Promise<void>): Promise<RecordedLaneEnd>
}

export function createStops(runs: Pick<Runs, 'find'>, engine: Engine): Stops {
  const finding = new Map<string, Promise<Run>>()
  const stopping = new Map<string, Promise<RecordedEnd>>()
  const stoppingLanes = new Map<string, Promise<RecordedLaneEnd>>()

  return {
    async stop(id, allow) {
      const run = await find(id)
      await allow(run)
      return once(stopping, id, () => stopRun(run))
    },
    async stopLane(id, lane, allow) {
      const run = await find(id)
      await allow(run)
      return once(stoppingLanes, `${id} ${lane}`, () => stopLane(engine, run, lane))
    },
  }

  function find(id: string): Promise<Run> {
    return once(finding, id, async () => {
      const found = await runs.find(id)
      if (found === undefined) throw new MillraceError('run_not_found')
      return found
    })
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
