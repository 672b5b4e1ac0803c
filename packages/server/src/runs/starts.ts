/**
 * How a run begins: once for its id, or not at all. Where logs outlive the process it is claimed first; then its start
 * is put into the log of its session. One that was refused on the way may stand there all the same, or come to stand
 * there yet, with nobody who performs it: it is taken back, however long that takes, and its id is free again.
 */
import { randomUUID } from 'node:crypto'
import { MillraceError, type Position } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { Cluster } from './cluster.ts'
import type { RunPlan } from './plan.ts'
import { hashQuery } from './query-hash.ts'
import { openRemoteRun, readStart } from './remote-run.ts'
import { retryUntil } from './retry-until.ts'
import type { RecordedEnd, Run } from './run.ts'
import { sessionEvent } from './writer.ts'

/** Told that a run stands in the log of its session, and whether it is the first thing in there. */
export type OnBegin = (run: Pick<RunPlan, 'session' | 'query'> & { readonly isFirst: boolean }) => void

export interface StartsOptions {
  readonly engine: Engine
  readonly cluster: Cluster | undefined
  /** Ends what is dead in a log. */
  readonly recover: (log: string) => Promise<void>
  readonly onError: (error: unknown, context: { run: string }) => void
  readonly onBegin: OnBegin | undefined
  /** Aborts when there is no time left to take anything back. */
  readonly signal: AbortSignal
}

export interface Starts {
  /** `perform` is called where the run is this process's to perform, else the run comes from its log. Rejects with the engine's refusal. */
  begin(plan: RunPlan, perform: (begun: Begun) => Run): Promise<Run>
  /** The session in whose log a run is about to stand. */
  sessionOf(id: string): string | undefined
  /** Those, and those that are being taken back. */
  readonly count: number
}

export interface Begun {
  readonly start: Position
  /** Notes that the end stands in the log, beside it. */
  readonly recordEnd: (end: RecordedEnd) => Promise<void>
}

/** Refusals after which nothing stands in the log, and nothing will. */
const refusals: ReadonlySet<string> = new Set(['run_conflict', 'run_not_continuable', 'position_foreign', 'event_too_large'])

export function createStarts({ engine, cluster, recover, onError, onBegin, signal }: StartsOptions): Starts {
  /** Sessions, by run. */
  const starting = new Map<string, string>()
  /** By run, what takes it back; it may be called again until it has. */
  const failed = new Map<string, () => Promise<void>>()

  return {
    async begin(plan, perform) {
      const { id } = plan
      const undo = failed.get(id)
      if (undo !== undefined) await undo()
      // In the same turn otherwise: starts on their way are counted.
      starting.set(id, plan.session)
      const fence = `void ${randomUUID()}`
      let isOffered = false
      try {
        const claimed = await claim(plan, fence)
        if (claimed !== undefined && 'run' in claimed) return claimed.run
        isOffered = true
        const { start, isOurs } = await appendStart(plan, fence)
        const note = async (at: Position) => claimed && cluster?.directory.started(id, claimed.epoch, at)
        if (!isOurs) return await findExisting(plan, start, note)
        // Where servers share the log, the others find the run by it; a sole one finds it in the log as well.
        if (cluster?.liveness.isSole) note(start).catch(() => {})
        else await note(start)
        onBegin?.({ session: plan.session, query: plan.query, isFirst: start.offset === 0 })
        return perform({ start, recordEnd: async (end) => claimed && cluster?.directory.ended(id, claimed.epoch, end) })
      } catch (error) {
        rollBack(plan, fence, isOffered && !refusals.has((error as MillraceError).code))
        throw error
      } finally {
        starting.delete(id)
      }
    },
    sessionOf: (id) => starting.get(id),
    get count() {
      return starting.size + failed.size
    },
  }

  async function claim(plan: RunPlan, fence: string): Promise<{ readonly run: Run } | { readonly epoch: string } | undefined> {
    if (cluster === undefined) return undefined
    const { id, session, query, asked, continues, lanes, epoch } = plan
    await cluster.liveness.join()
    return cluster.directory.claim(id, {
      session,
      queryHash: hashQuery(id, query),
      asked: asked ?? null,
      ...(continues !== undefined && { continues }),
      lanes: toLanes(lanes),
      node: cluster.liveness.id,
      ...(epoch !== undefined && { epoch }),
      fence,
    })
  }

  async function appendStart(plan: RunPlan, fence: string): Promise<{ start: Position; isOurs: boolean }> {
    const { id, session, query, continues, lanes, epoch } = plan
    const node = cluster === undefined || cluster.liveness.isSole ? {} : { node: cluster.liveness.id }
    const goesOn = continues === undefined ? {} : { continues }
    const event = sessionEvent('stream_start', { run: id, session, query, lanes: toLanes(lanes), ...goesOn, ...node })
    // Of several that want to go on with a run, on whichever nodes, the first one does.
    const key = continues === undefined ? `run ${id}` : `continued ${continues}`
    const options = { key, unless: fence, ...(epoch !== undefined && { epoch }) }
    const { position, duplicate } = await engine.append(session, [event], options)
    return { start: { epoch: position.epoch, offset: position.offset - 1 }, isOurs: !duplicate }
  }

  /** The start stands there already, of the same request in an earlier attempt; or what stands there is another. */
  async function findExisting(
    { id, session, asked, continues, lanes }: RunPlan,
    first: Position,
    note: (start: Position) => Promise<unknown>,
  ): Promise<Run> {
    const { start = first, event } = (await readStart(engine, { session, run: id }, first)) ?? {}
    if (event === undefined || JSON.stringify(event.lanes) !== JSON.stringify(toLanes(lanes))) {
      throw continues === undefined
        ? new MillraceError('run_conflict')
        : new MillraceError('run_not_continuable', { message: 'This answer was continued by another run; continue that one.' })
    }
    if (cluster === undefined) {
      const queryHash = hashQuery(id, event.query)
      return openRemoteRun(engine, { id, session, queryHash, asked, continues, lanes: event.lanes, start }, { stop() {} })
    }
    await note(start)
    const run = await cluster.directory.find(id)
    if (run === undefined) throw new MillraceError('session_not_found')
    return run
  }

  function rollBack(plan: RunPlan, fence: string, mayStand: boolean): void {
    const { id } = plan
    if (!mayStand && cluster === undefined) return
    let undoing: Promise<void> | undefined
    const undoOnce = async () => {
      undoing ??= undo(plan, fence, mayStand)
      try {
        await undoing
        if (failed.get(id) === undoOnce) failed.delete(id)
      } catch (error) {
        undoing = undefined
        throw error
      }
    }
    failed.set(id, undoOnce)
    retryUntil(undoOnce, signal).catch((error: unknown) => {
      if (failed.get(id) === undoOnce) failed.delete(id)
      // With no time left it is for whoever comes after this process.
      if (!signal.aborted) onError(error, { run: id })
    })
  }

  async function undo({ id, session, epoch, isNew }: RunPlan, fence: string, mayStand: boolean): Promise<void> {
    // Nobody else knows of a session that was to be made for this run.
    if (mayStand && isNew) await engine.delete(session)
    else if (mayStand) await endStart(session, epoch, fence)
    await cluster?.directory.release(id, fence)
  }

  /** Nothing comes into the log by this attempt any more; what has come in is a run that nobody performs. */
  async function endStart(session: string, asked: string | undefined, fence: string): Promise<void> {
    for (;;) {
      const epoch = asked && (await engine.inspect(session))?.head.epoch
      // Deleted, and not to be made anew for this.
      if (asked !== undefined && epoch === undefined) return
      try {
        await engine.append(session, [], { key: fence, ...(epoch !== undefined && { epoch }) })
        return await recover(session)
      } catch (error) {
        if ((error as MillraceError).code !== 'position_foreign') throw error
      }
    }
  }
}

function toLanes(lanes: RunPlan['lanes']): { lane: string; model: string }[] {
  return lanes.map(({ lane, model }) => ({ lane, model }))
}
