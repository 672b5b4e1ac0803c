/**
 * Runs: each belongs to the server, not to the connection that asked for it. A run is written into its
 * session's log from `stream_start` to `stream_end`; readers come and go without it noticing.
 *
 * Starting is idempotent by the run's id: the first start with an id counts, every later one is handed
 * the same run.
 */
import { formatPosition, type LaneEnd, MillraceError, type Position } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import { interruption, runLane } from './lane.ts'
import type { LanePlan, RunPlan } from './plan.ts'
import { publicError } from './public-error.ts'
import type { Run, StandingEnd } from './run.ts'
import { runEnd } from './run-end.ts'
import { createStarts, type Shared } from './starts.ts'
import { estimateTokens } from './tokens.ts'
import { createRunWriter, type RunWriter } from './writer.ts'

export interface RunLimits {
  /** One run, in milliseconds; default 10 minutes. */
  readonly runMsMax?: number
  /** A lane without a token, in milliseconds; default 2 minutes. */
  readonly idleMsMax?: number
  /** Runs in progress; default 4,096. */
  readonly runsMax?: number
  /** Ended runs that are still known by their id; default 10,000. */
  readonly endedRunsMax?: number
}

export interface RunsOptions {
  readonly engine: Engine
  readonly limits?: RunLimits | undefined
  readonly onError: (error: unknown, context: { run: string; lane?: string }) => void
  /** A run stands in the log of its session. */
  readonly onBegin?: ((session: string) => void) | undefined
  /** Where servers share the engine. */
  readonly shared?: Shared | undefined
  /** Ends what is dead in a log. */
  readonly recover: (log: string) => Promise<void>
  /** Milliseconds that never go back; default `performance.now`. */
  readonly now?: () => number
}

export interface Runs {
  /** Begins a run, unless another node has begun it; resolves when its start stands in the log. Rejects with `too_many_runs` or the engine's refusal. */
  start(plan: RunPlan): Promise<Run>
  /** A run of this process, in progress or ended not long ago. */
  get(id: string): Run | undefined
  /** A run of any node. Rejects with the engine's refusal. */
  find(id: string): Promise<Run | undefined>
  /** Whether a run is this process's: in progress, ended by itself, or about to stand in the log. */
  has(id: string): boolean
  /** Whether its start is on its way into the log. */
  isStarting(id: string): boolean
  readonly active: number
  /**
   * Lets runs of a session go that is deleted: those named, and those that only this process knows of. Never rejects: no
   * word is in what stays, and the ids are free without it.
   */
  forget(session: string, ids: readonly string[]): Promise<void>
  /** Refuses to start any more, with `server_stopping`. */
  refuse(): void
  /** Ends all runs as `interrupted` and waits for their ends to stand in the log. */
  close(): Promise<void>
}

export function createRuns({
  engine,
  limits = {},
  onError,
  onBegin,
  shared,
  recover,
  now = () => performance.now(),
}: RunsOptions): Runs {
  const { runMsMax = 600_000, idleMsMax = 120_000, runsMax = 4096, endedRunsMax = 10_000 } = limits
  const active = new Map<string, Run>()
  /** In the order of their ends. */
  const ended = new Map<string, Run>()
  const aborts = new Map<Run, AbortController>()
  const closing = new AbortController()
  const starts = createStarts({ engine, shared, recover, onError, onBegin, signal: closing.signal })
  let isRefusing = false

  return {
    async start(plan) {
      if (isRefusing) throw new MillraceError('server_stopping')
      if (active.size + starts.count >= runsMax) throw new MillraceError('too_many_runs')
      const acceptedAt = now()
      return starts.begin(plan, (start) => launch(plan, start, acceptedAt))
    },
    get,
    find: async (id) => get(id) ?? shared?.registry.find(id),
    has: (id) => starts.has(id) || active.has(id) || ended.has(id),
    isStarting: starts.has,
    get active() {
      return active.size
    },
    async forget(session, ids) {
      const ours = [...ended.values()].filter((run) => run.session === session).map(({ id }) => id)
      await Promise.allSettled([...new Set([...ids, ...ours])].map(forget))
    },
    refuse() {
      isRefusing = true
    },
    async close() {
      isRefusing = true
      const runs = [...active.values()]
      for (const abort of aborts.values()) abort.abort(interruption)
      closing.abort()
      await Promise.all(runs.map((run) => run.ended))
    },
  }

  function get(id: string): Run | undefined {
    return active.get(id) ?? ended.get(id)
  }

  async function forget(id: string): Promise<void> {
    ended.delete(id)
    await shared?.registry.forget(id)
  }

  /** In the same turn in which its start has come to stand in the log, so that it is never nobody's. */
  function launch(plan: RunPlan, start: Position, acceptedAt: number): Run {
    const { id, session, query, asked, continues } = plan
    const abort = new AbortController()
    const { promise, resolve } = Promise.withResolvers<StandingEnd>()
    let end: StandingEnd | undefined
    const run: Run = {
      id,
      session,
      query,
      asked,
      continues,
      lanes: plan.lanes.map(({ lane, model }) => ({ lane, model })),
      start,
      ended: promise,
      get end() {
        return end
      },
      stop: () => abort.abort(),
    }
    active.set(id, run)
    aborts.set(run, abort)
    void perform(plan, run, abort, acceptedAt).then((outcome) => {
      end = outcome
      active.delete(id)
      aborts.delete(run)
      ended.set(id, run)
      // What stays of one that is forgotten has no word in it, and goes by age.
      if (ended.size > endedRunsMax) forget(ended.keys().next().value as string).catch(() => {})
      resolve(outcome)
    })
    return run
  }

  /** Never rejects. */
  async function perform(plan: RunPlan, run: Run, abort: AbortController, acceptedAt: number): Promise<StandingEnd> {
    const fail = (error: MillraceError) => {
      onError(error, { run: run.id })
      abort.abort(error)
    }
    // Readers come and go; an engine short of room keeps the log of a run in progress because it is watched.
    const unwatch = engine.watch(run.session, () => {})
    const deadline = setTimeout(() => fail(new MillraceError('model_timeout')), runMsMax)
    const writer = createRunWriter({
      engine,
      log: run.session,
      start: run.start,
      endKey: `end ${run.id}`,
      signal: closing.signal,
      onFailure: fail,
    })
    const ends = new Map<string, LaneEnd>()
    await Promise.all(
      plan.lanes.map(async (lane) => {
        const laneEnd = await performLane(plan, lane, { writer, signal: abort.signal, acceptedAt })
        ends.set(lane.lane, laneEnd)
        if (plan.lanes.length > 1) writer.write('lane_end', { run: run.id, lane: lane.lane, ...laneEnd })
      }),
    )
    clearTimeout(deadline)
    const outcome = runEnd(new Map(plan.lanes.map(({ lane }) => [lane, ends.get(lane) as LaneEnd])))
    const { data, position } = await writer.end('stream_end', { run: run.id, ...outcome })
    unwatch()
    engine.compact?.(run.session).catch((error) => onError(error, { run: run.id }))
    const { run: _run, ...end } = data
    return position === undefined ? end : { ...end, position: formatPosition(position, run.session) }
  }

  async function performLane(plan: RunPlan, { lane, model, open }: LanePlan, shared: LaneShared): Promise<LaneEnd> {
    const messages = plan.messages(lane)
    const end = await runLane({
      ...shared,
      run: plan.id,
      lane,
      model,
      idleMsMax,
      inputTokens: estimateTokens(messages.map(({ text }) => text)),
      now,
      open: (signal) => open(messages, signal),
      onError: (error) => onError(error, { run: plan.id, lane }),
    })
    try {
      await shared.writer.settled()
      return end
    } catch (error) {
      // What was said last is not in the log: whatever the model thinks, its answer is not whole.
      return { ...end, status: 'failed', error: publicError(error) }
    }
  }
}

interface LaneShared {
  readonly writer: RunWriter
  readonly signal: AbortSignal
  readonly acceptedAt: number
}
