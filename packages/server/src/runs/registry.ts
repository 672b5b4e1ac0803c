/**
 * Runs by their id over all nodes: each has a small log, in which the node that takes it says so before anything
 * else. So one id is one run, whichever nodes it is asked of, and any node can find it, wait for it and stop it.
 * No word of what was asked is in it: that stands in the log of the session, and goes with it.
 */
import { type Json, MillraceError, type Position } from '@millrace/protocol'
import type { Engine, LogEvent, LogState } from '../log/log.ts'
import { loggedRun, readStart, ringable } from './logged-run.ts'
import type { Nodes } from './nodes.ts'
import type { Run } from './run.ts'

/** What the log of a run keeps of what was asked. */
export interface Claim extends Pick<Run, 'session' | 'lanes'> {
  /** Null for the default model. */
  readonly asked: readonly string[] | null
  /** Absent for a question. */
  readonly continues?: string
  readonly node: string
}

export interface Registry {
  /**
   * Undefined where the id is the caller's to start; else the run that another has started with it. MUST NOT be called
   * while this node is starting a run of the same id: what it had claimed before has come to nothing.
   */
  claim(id: string, claim: Claim): Promise<Run | undefined>
  /** The run's start stands in its session's log. */
  started(id: string, start: Position): Promise<void>
  /** What this node claimed has come to nothing: the id is free, for all. */
  release(id: string): Promise<void>
  find(id: string): Promise<Run | undefined>
  /** Takes the run's own log away. */
  forget(id: string): Promise<void>
}

export interface RegistryOptions {
  readonly engine: Engine
  readonly nodes: Nodes
  /** This node has claimed a run, and is about to start it. */
  readonly isStarting: (id: string) => boolean
}

/** How long a node may take from its claim to the start in the log. */
const startMsMax = 10_000
const startPollMs = 200

interface Known {
  readonly claim: Claim
  /** Of the claim in the log of the run. */
  readonly at: Position
  readonly start?: Position
  readonly isReleased?: true
}

export function createRegistry({ engine, nodes, isStarting }: RegistryOptions): Registry {
  return {
    async claim(id, claim) {
      for (let after: Position | undefined; ; ) {
        if (await append(id, claim, after)) return undefined
        const known = await look(id, () => false)
        const run = known && (await open(id, known))
        if (run !== undefined) return run
        // Whoever had it is gone or has let it go, or its session is deleted: the next one may have it. And where the
        // log was let go between the two calls, the first one.
        after = known?.at
      }
    },
    async started(id, { epoch, offset }) {
      await engine.append(logOf(id), [{ type: 'started', data: { epoch, offset } }])
    },
    async release(id) {
      await engine.append(logOf(id), [{ type: 'released', data: { node: nodes.id } }])
    },
    async find(id) {
      const known = await look(id, () => isStarting(id))
      return known && open(id, known)
    },
    async forget(id) {
      await engine.delete(logOf(id))
    },
  }

  /** False where another has claimed it since. */
  async function append(id: string, claim: Claim, after: Position | undefined): Promise<boolean> {
    const key = `claimed ${after?.offset ?? 0}`
    try {
      const options = after === undefined ? { key } : { key, epoch: after.epoch }
      return !(await engine.append(logOf(id), [{ type: 'claimed', data: claim as unknown as Json }], options)).duplicate
    } catch (error) {
      if ((error as MillraceError).code === 'position_foreign') return false
      throw error
    }
  }

  /** Waits for a start that is on its way: without one, the node that claimed the run is gone, or has let it go. */
  async function look(id: string, isOurs: () => boolean): Promise<Known | undefined> {
    const deadline = performance.now() + startMsMax
    const rung = ringable()
    const unwatch = engine.watch(logOf(id), rung.ring)
    try {
      for (;;) {
        const state = await engine.inspect(logOf(id))
        if (state === undefined) return undefined
        const known = await readKnown(id, state)
        if (known === undefined || known.start !== undefined || known.isReleased) return known
        const { node } = known.claim
        if (node === nodes.id ? !isOurs() : await nodes.isGone(node)) return known
        if (performance.now() > deadline) throw new MillraceError('engine_failed')
        await rung.wait(startPollMs)
      }
    } finally {
      unwatch()
    }
  }

  async function readKnown(id: string, { start, head }: LogState): Promise<Known | undefined> {
    let known: Known | undefined
    // What another node has appended may be a page of its own.
    for (let position = start; position.offset < head.offset; ) {
      const page = await engine.read(logOf(id), position)
      for (const event of page.events) known = fold(known, event, head.epoch)
      position = page.position
    }
    return known
  }

  /** Undefined where it has not begun, or its session is gone. */
  async function open(id: string, { claim, start: first }: Known): Promise<Run | undefined> {
    const { session, asked, continues, lanes } = claim
    const standing = first && (await readStart(engine, { session, run: id }, first))
    if (standing === undefined) return undefined
    const { start, event } = standing
    const node = event?.node ?? claim.node
    const run = { id, session, query: event?.query ?? '', asked: asked ?? undefined, continues, lanes, start }
    return loggedRun(engine, run, {
      // Whoever waits for the end says it again.
      stop: () => void nodes.send(node, { type: 'stop', run: id }).catch(() => {}),
      onFollow() {
        // Perhaps nobody else here reads it, and its node is gone already.
        if (node !== nodes.id) nodes.onceGone(node, session, id)
        return () => nodes.ended(id)
      },
    })
  }
}

const logOf = (id: string): string => `run/${id}`

function fold(before: Known | undefined, { type, data, offset }: LogEvent, epoch: string): Known | undefined {
  if (type === 'claimed') return { claim: data as unknown as Claim, at: { epoch, offset } }
  if (before === undefined) return undefined
  if (type === 'started') return { ...before, start: data as unknown as Position }
  // One that comes late is of another claim.
  const isOf = before.start === undefined && (data as { node?: string }).node === before.claim.node
  return type === 'released' && isOf ? { ...before, isReleased: true } : before
}
