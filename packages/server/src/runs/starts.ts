/**
 * How a run begins: once for its id, or not at all. Where servers share the engine it is claimed first; then its start
 * is put into the log of its session. One that was refused on the way may stand there all the same, or come to stand
 * there yet, with nobody who performs it: it is taken back, however long that takes, and its id is free again.
 */
import { randomUUID } from 'node:crypto'
import { MillraceError, type Position } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import { insist } from './insist.ts'
import { loggedRun, readStart } from './logged-run.ts'
import type { Nodes } from './nodes.ts'
import type { RunPlan } from './plan.ts'
import type { Registry } from './registry.ts'
import type { Run } from './run.ts'
import { sessionEvent } from './writer.ts'

/** Where servers share the engine. */
export interface Shared {
  readonly nodes: Nodes
  readonly registry: Registry
}

export interface StartsOptions {
  readonly engine: Engine
  readonly shared: Shared | undefined
  /** Ends what is dead in a log. */
  readonly recover: (log: string) => Promise<void>
  readonly onError: (error: unknown, context: { run: string }) => void
  readonly onBegin: ((session: string) => void) | undefined
  /** Aborts when there is no time left to take anything back. */
  readonly signal: AbortSignal
}

export interface Starts {
  /** `perform` is called where the run is this process's to perform, else the run comes from its log. Rejects with the engine's refusal. */
  begin(plan: RunPlan, perform: (start: Position) => Run): Promise<Run>
  /** Whether a run is about to stand in the log. */
  has(id: string): boolean
  /** Those, and those that are being taken back. */
  readonly count: number
}

/** Refusals after which nothing stands in the log, and nothing will. */
const refusals: ReadonlySet<string> = new Set(['run_conflict', 'run_not_continuable', 'position_foreign', 'event_too_large'])

export function createStarts({ engine, shared, recover, onError, onBegin, signal }: StartsOptions): Starts {
  const starting = new Set<string>()
  /** By run, what takes it back; it may be called again until it has. */
  const failed = new Map<string, () => Promise<void>>()

  return {
    async begin(plan, perform) {
      const { id } = plan
      const undo = failed.get(id)
      if (undo !== undefined) await undo()
      // In the same turn otherwise: starts on their way are counted.
      starting.add(id)
      const fence = `void ${randomUUID()}`
      let isOffered = false
      try {
        const other = await claim(plan)
        if (other !== undefined) return other
        isOffered = true
        const { start, isOurs } = await putStart(plan, fence)
        return isOurs ? perform(start) : await findStanding(plan, start)
      } catch (error) {
        takeBack(plan, isOffered && !refusals.has((error as MillraceError).code) ? fence : undefined)
        throw error
      } finally {
        starting.delete(id)
      }
    },
    has: (id) => starting.has(id),
    get count() {
      return starting.size + failed.size
    },
  }

  async function claim({ id, session, asked, continues, lanes }: RunPlan): Promise<Run | undefined> {
    if (shared === undefined) return undefined
    await shared.nodes.join()
    const goesOn = continues === undefined ? {} : { continues }
    return shared.registry.claim(id, { session, asked: asked ?? null, ...goesOn, lanes: toLanes(lanes), node: shared.nodes.id })
  }

  async function putStart(plan: RunPlan, fence: string): Promise<{ start: Position; isOurs: boolean }> {
    const { id, session, query, continues, lanes, epoch } = plan
    const node = shared === undefined ? {} : { node: shared.nodes.id }
    const goesOn = continues === undefined ? {} : { continues }
    const event = sessionEvent('stream_start', { run: id, session, query, lanes: toLanes(lanes), ...goesOn, ...node })
    // Of several that want to go on with a run, on whichever nodes, the first one does.
    const key = continues === undefined ? `run ${id}` : `continued ${continues}`
    const options = { key, unless: fence, ...(epoch !== undefined && { epoch }) }
    const { position, duplicate } = await engine.append(session, [event], options)
    const start = { epoch: position.epoch, offset: position.offset - 1 }
    if (duplicate) return { start, isOurs: false }
    await shared?.registry.started(id, start)
    onBegin?.(session)
    return { start, isOurs: true }
  }

  /** The start stands there already, of the same request in an earlier attempt; or what stands there is another. */
  async function findStanding({ id, session, asked, continues, lanes }: RunPlan, first: Position): Promise<Run> {
    const { start = first, event } = (await readStart(engine, { session, run: id }, first)) ?? {}
    if (event === undefined || JSON.stringify(event.lanes) !== JSON.stringify(toLanes(lanes))) {
      throw continues === undefined
        ? new MillraceError('run_conflict')
        : new MillraceError('run_not_continuable', { message: 'This answer was continued by another run; continue that one.' })
    }
    if (shared === undefined)
      return loggedRun(engine, { id, session, query: event.query, asked, continues, lanes: event.lanes, start }, { stop() {} })
    await shared.registry.started(id, start)
    const run = await shared.registry.find(id)
    if (run === undefined) throw new MillraceError('session_not_found')
    return run
  }

  function takeBack(plan: RunPlan, fence: string | undefined): void {
    const { id } = plan
    if (fence === undefined && shared === undefined) return
    let undoing: Promise<void> | undefined
    const undoOnce = async () => {
      undoing ??= undo(plan, fence)
      try {
        await undoing
        if (failed.get(id) === undoOnce) failed.delete(id)
      } catch (error) {
        undoing = undefined
        throw error
      }
    }
    failed.set(id, undoOnce)
    insist(undoOnce, signal).catch((error: unknown) => {
      if (failed.get(id) === undoOnce) failed.delete(id)
      // With no time left it is for whoever comes after this process.
      if (!signal.aborted) onError(error, { run: id })
    })
  }

  async function undo({ id, session, epoch, isNew }: RunPlan, fence: string | undefined): Promise<void> {
    // Nobody else knows of a session that was to be made for this run.
    if (fence !== undefined && isNew) await engine.delete(session)
    else if (fence !== undefined) await endStart(session, epoch, fence)
    await shared?.registry.release(id)
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
