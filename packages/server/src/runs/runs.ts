/**
 * Runs: each belongs to the server, not to the connection that asked for it. A run is written into its
 * session's log from `stream_start` to `stream_end`; readers come and go without it noticing.
 *
 * Starting is idempotent by the run's id: the first start with an id counts, every later one is handed
 * the same run.
 */
import { formatPosition, type LaneEnd, MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { ModelMessage } from '../models/model.ts'
import type { Cluster } from './cluster.ts'
import { createEndedRuns } from './ended-runs.ts'
import { interruption, runLane } from './lane.ts'
import type { LanePlan, RunPlan } from './plan.ts'
import { publicError } from './public-error.ts'
import { hashQuery } from './query-hash.ts'
import type { Recovery } from './recovery.ts'
import type { RecordedEnd, Run } from './run.ts'
import { runEnd } from './run-end.ts'
import { type Begun, createStarts, type OnBegin } from './starts.ts'
import { estimateTokens } from './tokens.ts'
import { createRunWriter, type RunWriter } from './writer.ts'

export interface RunLimits {
  /** One run, in milliseconds; default 10 minutes. */
  readonly runMsMax?: number
  /** A lane without a token, in milliseconds; default 2 minutes. */
  readonly idleMsMax?: number
  /** Runs in progress; default 4,096. */
  readonly runsMax?: number
  /**
   * Bytes for ended runs that are known without asking the engine, which with an engine that forgets them with the
   * process is all that keeps their ids from running again; default 32 MiB, which is about 50,000 runs.
   */
  readonly endedRunsBytesMax?: number
}

export interface RunsOptions {
  readonly engine: Engine
  readonly limits?: RunLimits | undefined
  readonly onError: (error: unknown, context: { run: string; lane?: string }) => void
  readonly onBegin?: OnBegin | undefined
  /** Where logs outlive the process, or servers share them. */
  readonly cluster?: Cluster | undefined
  readonly recovery: Pick<Recovery, 'recover' | 'compact'>
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
  /** Whether a run in a session is this process's: in progress, ended by itself, or about to stand in the log. */
  isOurs(id: string, session: string): boolean
  /** Whether its start is on its way into the log. */
  isStarting(id: string): boolean
  isActive(id: string): boolean
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
  cluster,
  recovery,
  now = () => performance.now(),
}: RunsOptions): Runs {
  const { runMsMax = 600_000, idleMsMax = 120_000, runsMax = 4096, endedRunsBytesMax = 32 * 1024 * 1024 } = limits
  const active = new Map<string, Run>()
  const ended = createEndedRuns(endedRunsBytesMax)
  const aborts = new Map<Run, AbortController>()
  const closing = new AbortController()
  const starts = createStarts({ engine, cluster, recover: recovery.recover, onError, onBegin, signal: closing.signal })
  let isRefusing = false

  return {
    async start(plan) {
      if (isRefusing) throw new MillraceError('server_stopping')
      if (active.size + starts.count >= runsMax) throw new MillraceError('too_many_runs')
      const acceptedAt = now()
      return starts.begin(plan, (begun) => launch(plan, begun, acceptedAt))
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
      for (const abort of aborts.values()) abort.abort(interruption)
      closing.abort()
      await Promise.all(runs.map((run) => run.ended))
    },
  }

  function get(id: string): Run | undefined {
    return active.get(id) ?? ended.get(id)
  }

  async function forget(id: string): Promise<void> {
    ended.forget(id)
    await cluster?.directory.forget(id)
  }

  /** In the same turn in which its start has come to stand in the log, so that it is never nobody's. */
  function launch(plan: RunPlan, { start, recordEnd }: Begun, acceptedAt: number): Run {
    const { id, session, query, asked, continues, lanes } = plan
    const abort = new AbortController()
    const { promise, resolve } = Promise.withResolvers<RecordedEnd>()
    let end: RecordedEnd | undefined
    const run: Run = {
      id,
      session,
      queryHash: hashQuery(id, query),
      asked,
      continues,
      lanes: lanes.map(({ lane, model }) => ({ lane, model })),
      start,
      ended: promise,
      get end() {
        return end
      },
      stop: () => abort.abort(),
    }
    active.set(id, run)
    aborts.set(run, abort)
    // Each is let go when its model has it: a conversation is not kept here for as long as its answer takes.
    const messages = new Map(lanes.map(({ lane }) => [lane, plan.messages(lane)]))
    void perform({ run, lanes, messages, abort, acceptedAt }).then((outcome) => {
      end = outcome
      active.delete(id)
      aborts.delete(run)
      ended.add(run, outcome)
      // What it is needed for is rare, and found in the session's log for as long as that keeps it.
      recordEnd(outcome).catch(() => {})
      resolve(outcome)
    })
    return run
  }

  /** Never rejects. */
  async function perform({ run, lanes, messages, abort, acceptedAt }: Launched): Promise<RecordedEnd> {
    const fail = (error: MillraceError) => {
      onError(error, { run: run.id })
      abort.abort(error)
    }
    // Readers come and go; an engine short of room keeps the log of a run in progress because it is watched.
    const unwatch = engine.watch(run.session, () => {})
    const writer = createRunWriter({
      engine,
      log: run.session,
      start: run.start,
      run: run.id,
      signal: closing.signal,
      onFailure: fail,
      onUnavailable: (error) => onError(error, { run: run.id }),
    })
    let isRecorded = false
    const deadline = setTimeout(() => {
      // Where the run waits for the engine, that is what it fails with.
      writer.giveUp()
      if (!isRecorded && !abort.signal.aborted) fail(new MillraceError('model_timeout'))
    }, runMsMax)
    const ends = new Map<string, LaneEnd>()
    await Promise.all(
      lanes.map(async (lane) => {
        const laneEnd = await performLane(run.id, lane, messages, { writer, signal: abort.signal, acceptedAt })
        ends.set(lane.lane, laneEnd)
        if (lanes.length > 1) writer.write('lane_end', { run: run.id, lane: lane.lane, ...laneEnd })
      }),
    )
    isRecorded = true
    const outcome = runEnd(new Map(lanes.map(({ lane }) => [lane, ends.get(lane) as LaneEnd])))
    const { data, position } = await writer.end('stream_end', { run: run.id, ...outcome })
    clearTimeout(deadline)
    unwatch()
    recovery.compact(run.session).catch((error) => onError(error, { run: run.id }))
    const { run: _run, ...end } = data
    return position === undefined ? end : { ...end, position: formatPosition(position, run.session) }
  }

  async function performLane(
    run: string,
    { lane, model, open }: LanePlan,
    messages: Messages,
    cluster: LaneShared,
  ): Promise<LaneEnd> {
    const end = await runLane({
      ...cluster,
      run,
      lane,
      model,
      idleMsMax,
      inputTokens: estimateTokens((messages.get(lane) ?? []).map(({ text }) => text)),
      now,
      open(signal) {
        const told = messages.get(lane) ?? []
        messages.delete(lane)
        return open(told, signal)
      },
      onError: (error) => onError(error, { run, lane }),
    })
    try {
      await cluster.writer.settled()
      return end
    } catch (error) {
      // What was said last is not in the log: whatever the model thinks, its answer is not whole.
      return { ...end, status: 'failed', error: publicError(error) }
    }
  }
}

/** What each lane's model is to see. */
type Messages = Map<string, readonly ModelMessage[]>

/** A run as far as it is performed. */
interface Launched {
  readonly run: Run
  readonly lanes: readonly LanePlan[]
  readonly messages: Messages
  readonly abort: AbortController
  readonly acceptedAt: number
}

interface LaneShared {
  readonly writer: RunWriter
  readonly signal: AbortSignal
  readonly acceptedAt: number
}
