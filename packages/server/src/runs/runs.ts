/**
 * The runs of this process. A run belongs to the server, not to the connection that asked for it: it is written into its
 * session's log from `stream_start` to `stream_end`, whether or not it has readers.
 *
 * A start is idempotent by the run's id: every later start with the same id resolves with the same run.
 */
import { MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'

import type { ObservedRun, Observer } from '../operations/observer.ts'
import { traceRun } from '../operations/traces.ts'

import { type RunPlace, startAdmitted } from './admission.ts'

import type { Charge, Quote } from './charge.ts'
import type { Cluster } from './cluster.ts'
import { createEndedRuns } from './ended-runs.ts'
import { interruption } from './lane.ts'
import { type PerformContext, performRun } from './perform.ts'
import type { RunPlan } from './plan.ts'
import { hashQuery } from './query-hash.ts'
import type { Recovery } from './recovery.ts'
import type { RecordedEnd, Run } from './run.ts'
import { type OnBegin, type Recorder, Starts } from './starts.ts'
import type { StepLimits } from './steps.ts'

export interface RunLimits extends StepLimits {
  readonly runMsMax: number
  readonly idleMsMax: number
  readonly runsPerNode: number
  readonly endedRunsBytesMax: number
}

export interface RunsOptions {
  readonly engine: Engine
  readonly limits: RunLimits
  readonly onError: (error: unknown, context: { run: string; lane?: string }) => void
  readonly onBegin?: OnBegin | undefined
  readonly observer?: Pick<Observer, 'sessionCreated' | 'runStarted' | 'firstToken' | 'runEnded' | 'runLost'>
  /** With an engine that is durable or shared. */
  readonly cluster?: Cluster | undefined
  readonly recovery: Pick<Recovery, 'recover' | 'compact'>
  /** Charges the usage of runs to who asked; default nobody. */
  readonly charge?: Charge | undefined
  readonly quote?: Quote | undefined
  /** Milliseconds that never go back; default `performance.now`. */
  readonly now?: () => number
  /** Milliseconds since 1970; default `Date.now`. */
  readonly wallNow?: () => number
}

/** A request for a run that was admitted. */
interface Accepted {
  readonly acceptedAt: number
  readonly askedAt: number
  readonly place: RunPlace | undefined
}

export interface Runs {
  /**
   * Starts a run, unless another node has started it; resolves when its start is in the log. Rejects with `too_many_runs`,
   * `server_stopping` or the engine's error, or as its admission does.
   */
  start(plan: RunPlan): Promise<Run>
  /** A run of this process, in progress or recently ended. */
  get(id: string): Run | undefined
  /** A run of any node. Rejects with the engine's error. */
  find(id: string): Promise<Run | undefined>
  /** Whether a run in a session is this process's: being started, in progress, or recently ended. */
  isOurs(id: string, session: string): boolean
  /** Whether the run's start is being appended. */
  isStarting(id: string): boolean
  isActive(id: string): boolean
  readonly active: number
  /**
   * Forgets the runs of a deleted session: the named ones, and those that only this process knows. Never rejects: what
   * remains contains no text, and its ids may be used again.
   */
  forget(session: string, ids: readonly string[]): Promise<void>
  /** Rejects further starts with `server_stopping`. */
  refuse(): void
  /** Ends all runs as `interrupted`, and resolves when their ends are in the log. */
  close(): Promise<void>
}

export function createRuns(options: RunsOptions): Runs {
  const { engine, limits, onError, onBegin, cluster, recovery, charge, quote, observer = {}, wallNow = Date.now } = options
  const { now = () => performance.now() } = options
  const { runsPerNode, endedRunsBytesMax } = limits
  const active = new Map<string, { readonly run: Run; readonly abort: AbortController }>()
  const ended = createEndedRuns(endedRunsBytesMax)
  const closing = new AbortController()
  const { signal } = closing
  const starts = new Starts({ engine, cluster, recover: recovery.recover, onError, onBegin, signal })
  const context: PerformContext = { engine, recovery, charge, quote, limits, signal, onError, observer, now }
  let isRefusing = false

  return {
    async start(plan) {
      if (isRefusing) throw new MillraceError('server_stopping')
      const accepted = { acceptedAt: now(), askedAt: wallNow() }
      return startAdmitted(plan, {
        find: async (id) => cluster?.directory.find(id),
        async start(take) {
          // In the same turn as the start that it is counted with.
          if (active.size + starts.count >= runsPerNode) throw new MillraceError('too_many_runs')
          const { askedAt } = accepted
          return starts.start({ ...plan, askedAt }, (recorder) => launch(plan, recorder, { ...accepted, place: take() }))
        },
      })
    },
    get,
    find: async (id) => get(id) ?? cluster?.directory.find(id),
    isOurs: (id, session) => starts.sessionOf(id) === session || get(id)?.session === session,
    isStarting: (id) => starts.sessionOf(id) !== undefined,
    isActive: (id) => active.has(id),
    get active() {
      return active.size
    },
    async forget(session, ids) {
      await Promise.allSettled([...new Set([...ids, ...ended.of(session)])].map(forget))
    },
    refuse() {
      isRefusing = true
    },
    async close() {
      isRefusing = true
      const runs = [...active.values()]
      for (const { abort } of runs) abort.abort(interruption)
      closing.abort()
      await Promise.all(runs.map(({ run }) => run.ended))
    },
  }

  function get(id: string): Run | undefined {
    return active.get(id)?.run ?? ended.get(id)
  }

  async function forget(id: string): Promise<void> {
    ended.forget(id)
    await cluster?.directory.forget(id)
  }

  /** Synchronous, in the same microtask as the append of the start resolves: at no moment is the run unknown here. */
  function launch(plan: RunPlan, { start, recordEnd }: Recorder, { acceptedAt, askedAt, place }: Accepted): Run {
    const { id, session, query, details, asked, continues, lanes } = plan
    const abort = new AbortController()
    const laneStops = new Map(lanes.map(({ lane }) => [lane, new AbortController()]))
    const { promise, resolve } = Promise.withResolvers<RecordedEnd>()
    let end: RecordedEnd | undefined
    const run: Run = {
      id,
      session,
      queryHash: hashQuery(id, query, details),
      asked,
      continues,
      lanes: lanes.map(({ lane, model }) => ({ lane, model })),
      start,
      ended: promise,
      get end() {
        return end
      },
      stop: (lane) => (lane === undefined ? abort : laneStops.get(lane))?.abort(),
    }
    active.set(id, { run, abort })
    const observed = observeStart(observer, plan, run)
    const messages = new Map(lanes.map(({ lane }) => [lane, plan.messages(lane)]))
    const perform = () => performRun({ run, observed, lanes, messages, abort, laneStops, acceptedAt, askedAt }, context)
    void traceRun(observed, perform).then(({ end: outcome, isOthers }) => {
      end = outcome
      active.delete(id)
      place?.leave()
      ended.add(run, outcome)
      if (isOthers) observer.runLost?.(observed, outcome)
      else observer.runEnded?.(observed, outcome)
      // Needed only once retention has deleted the end from the session's log.
      recordEnd(outcome).catch(() => {})
      resolve(outcome)
    })
    return run
  }
}

type StartObserver = Pick<Observer, 'sessionCreated' | 'runStarted'>

function observeStart(
  observer: StartObserver,
  { principal, details }: RunPlan,
  { id: run, session, lanes, continues, start }: Run,
): ObservedRun {
  const observed = { run, session, principal, lanes, continues, metadata: details?.metadata }
  if (start.offset === 0) observer.sessionCreated?.({ session, principal })
  observer.runStarted?.(observed)
  return observed
}
