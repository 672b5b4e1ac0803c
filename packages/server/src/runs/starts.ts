/**
 * Starts runs: each id once, or not at all. Where logs outlive the process, the id is claimed in the run directory first;
 * then the run's start is appended to its session's log. A start whose outcome is unknown is rolled back.
 */
import { randomUUID } from 'node:crypto'
import { askedOf, MillraceError, type Position } from '@millrace/protocol'
import type { RunPlan } from './plan.ts'
import { hashQuery } from './query-hash.ts'
import { openRemoteRun, readStart } from './remote-run.ts'
import { Rollbacks, type RollbacksOptions } from './rollbacks.ts'
import type { RecordedEnd, Run } from './run.ts'
import { sessionEvent } from './session-event.ts'

/** Called when a run's start is in the log of its session. */
export type OnBegin = (run: Pick<RunPlan, 'session' | 'query' | 'owner'> & { readonly isFirst: boolean }) => void

export interface StartsOptions extends RollbacksOptions {
  readonly onBegin: OnBegin | undefined
}

/** A run of this process whose start is in the log. */
export interface Recorder {
  readonly start: Position
  /** Records the end in the run directory, too. */
  readonly recordEnd: (end: RecordedEnd) => Promise<void>
}

/** Codes with which an append is rejected that has not entered the log, and never will. */
const finalCodes: ReadonlySet<string> = new Set([
  'head_moved',
  'run_conflict',
  'run_not_continuable',
  'position_foreign',
  'event_too_large',
])

export class Starts {
  readonly #options: StartsOptions
  /** Sessions, by run. */
  readonly #starting = new Map<string, string>()
  readonly #rollbacks: Rollbacks

  constructor(options: StartsOptions) {
    this.#options = options
    this.#rollbacks = new Rollbacks(options)
  }

  /** The session of a run that is being started. */
  sessionOf(id: string): string | undefined {
    return this.#starting.get(id)
  }

  /** Runs being started, and starts being rolled back. */
  get count(): number {
    return this.#starting.size + this.#rollbacks.count
  }

  /**
   * Calls `perform` where this process is to perform the run; a run of another process, or of an earlier attempt, is read
   * from its log. Rejects with the engine's error.
   */
  async start(plan: RunPlan, perform: (recorder: Recorder) => Run): Promise<Run> {
    const { id } = plan
    if (this.#rollbacks.has(id)) await this.#rollbacks.settled(id)
    // Without an await before it, where nothing is rolled back: starts are counted against a limit.
    this.#starting.set(id, plan.session)
    const fence = `void ${randomUUID()}`
    let isOffered = false
    try {
      const claimed = await this.#claim(plan, fence)
      if (claimed !== undefined && 'run' in claimed) return claimed.run
      isOffered = true
      return await this.#record(plan, fence, claimed?.epoch, perform)
    } catch (error) {
      const mayBeRecorded = isOffered && !finalCodes.has((error as MillraceError).code)
      this.#rollbacks.begin({ plan, fence, mayBeRecorded })
      throw error
    } finally {
      this.#starting.delete(id)
    }
  }

  async #record(
    plan: RunPlan,
    fence: string,
    claimEpoch: string | undefined,
    perform: (recorder: Recorder) => Run,
  ): Promise<Run> {
    const { cluster, onBegin } = this.#options
    const { id, session, query, owner } = plan
    await plan.prepare?.()
    const { start, isOurs } = await this.#appendStart(plan, fence)
    const recordStart = async (at: Position) => {
      if (claimEpoch !== undefined) await cluster?.directory.started(id, claimEpoch, at)
    }
    if (!isOurs) return this.#findExisting(plan, start, recordStart)
    // Other servers find the run by this record. A sole server finds it in the session's log as well.
    if (cluster?.liveness.isSole) recordStart(start).catch(() => {})
    else await recordStart(start)
    onBegin?.({ session, query, owner, isFirst: start.offset === 0 })
    return perform({
      start,
      async recordEnd(end) {
        if (claimEpoch !== undefined) await cluster?.directory.ended(id, claimEpoch, end)
      },
    })
  }

  async #claim(plan: RunPlan, fence: string): Promise<{ readonly run: Run } | { readonly epoch: string } | undefined> {
    const { cluster } = this.#options
    if (cluster === undefined) return undefined
    const { id, session, query, details, principal, askedAt, asked, continues, lanes, epoch } = plan
    await cluster.liveness.join()
    return cluster.directory.claim(id, {
      session,
      queryHash: hashQuery(id, query, details),
      asked: asked ?? null,
      ...(continues !== undefined && { continues }),
      ...(principal !== undefined && { principal }),
      ...(askedAt !== undefined && { askedAt }),
      lanes: toLanes(lanes),
      node: cluster.liveness.id,
      ...(epoch !== undefined && { epoch }),
      fence,
    })
  }

  async #appendStart(plan: RunPlan, fence: string): Promise<{ start: Position; isOurs: boolean }> {
    const { engine, cluster } = this.#options
    const { id, session, query, details = {}, continues, lanes, epoch, expect } = plan
    const node = cluster === undefined || cluster.liveness.isSole ? {} : { node: cluster.liveness.id }
    const continued = continues === undefined ? {} : { continues }
    const data = { run: id, session, query, ...askedOf(details), lanes: toLanes(lanes), ...continued, ...node }
    const event = sessionEvent('stream_start', data)
    // Of several requests to continue one run, on whichever nodes, the first is recorded.
    const key = continues === undefined ? `run ${id}` : `continued ${continues}`
    const options = { key, unless: fence, ...(epoch !== undefined && { epoch }), ...(expect !== undefined && { expect }) }
    const { position, duplicate } = await engine.append(session, [event], options)
    return { start: { epoch: position.epoch, offset: position.offset - 1 }, isOurs: !duplicate }
  }

  /** The run that is recorded already: of the same request in an earlier attempt. Throws where it is of another request. */
  async #findExisting(
    { id, session, asked, continues, lanes }: RunPlan,
    first: Position,
    recordStart: (start: Position) => Promise<void>,
  ): Promise<Run> {
    const { engine, cluster } = this.#options
    const { start = first, event } = (await readStart(engine, { session, run: id }, first)) ?? {}
    if (event === undefined || JSON.stringify(event.lanes) !== JSON.stringify(toLanes(lanes))) {
      throw continues === undefined
        ? new MillraceError('run_conflict')
        : new MillraceError('run_not_continuable', { message: 'This answer was continued by another run; continue that one.' })
    }
    if (cluster === undefined) {
      const queryHash = hashQuery(id, event.query, event)
      return openRemoteRun(engine, { id, session, queryHash, asked, continues, lanes: event.lanes, start }, { stop() {} })
    }
    await recordStart(start)
    const run = await cluster.directory.find(id)
    if (run === undefined) throw new MillraceError('session_not_found')
    return run
  }
}

function toLanes(lanes: RunPlan['lanes']): { lane: string; model: string }[] {
  return lanes.map(({ lane, model }) => ({ lane, model }))
}
