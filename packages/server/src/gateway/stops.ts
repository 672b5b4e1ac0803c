/** Stops runs. Concurrent stops of one run share its lookup, its stop and the wait for its end. */
import { MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { RecordedEnd, Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import { type RecordedLaneEnd, stopLane, stopRun } from '../runs/stop.ts'
import type { Decisions } from '../sessions/decisions.ts'

export interface StopRequest {
  readonly run: string
  /** Only this lane. */
  readonly lane?: string | undefined
  /** Where the run is, if it ended so long ago that its id alone is not recognized. */
  readonly session?: string | undefined
  /** The id of the principal who stops it. */
  readonly by?: string | undefined
}

export interface Stops {
  /**
   * Resolves with the end of the run, or of the lane. One that waits is stopped by withdrawing its calls. `allow` is called for
   * each caller. Rejects with `run_not_found`, as `allow`, or as `stopRun` and `stopLane` do.
   */
  stop(request: StopRequest, allow: (session: string) => void | Promise<void>): Promise<RecordedEnd | RecordedLaneEnd>
}

export interface StopsOptions {
  readonly runs: Pick<Runs, 'find'>
  readonly engine: Engine
  readonly decisions: Pick<Decisions, 'withdraw'>
}

export function createStops({ runs, engine, decisions }: StopsOptions): Stops {
  const finding = new Map<string, Promise<Run | undefined>>()
  const stopping = new Map<string, Promise<RecordedEnd | RecordedLaneEnd>>()

  return {
    async stop(request, allow) {
      const { run: id, lane } = request
      const run = await once(finding, id, () => runs.find(id))
      const session = run?.session ?? request.session
      if (session === undefined) throw new MillraceError('run_not_found')
      await allow(session)
      return once(stopping, JSON.stringify([id, lane]), () => stop(run, { ...request, session }))
    },
  }

  async function stop(run: Run | undefined, request: StopRequest & { readonly session: string }) {
    const { lane } = request
    const end = run && (await (lane === undefined ? stopRun(run) : stopLane(engine, run, lane)))
    if (end !== undefined && !hasWaited(end)) return end
    const stopped = (await decisions.withdraw(request)) ?? end
    if (stopped === undefined) throw new MillraceError('run_not_found')
    return stopped
  }
}

function hasWaited({ status, lanes = {} }: Pick<RecordedEnd, 'status' | 'lanes'>): boolean {
  return status === 'waiting' || Object.values(lanes).some((lane) => lane.status === 'waiting')
}

/** The promise in progress for this key, or a new one. */
function once<T>(underWay: Map<string, Promise<T>>, key: string, begin: () => Promise<T>): Promise<T> {
  const known = underWay.get(key)
  if (known !== undefined) return known
  const begun = begin().finally(() => underWay.delete(key))
  underWay.set(key, begun)
  return begun
}
