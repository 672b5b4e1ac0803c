/**
 * Runs by their id, over all nodes and restarts: each has a small log, in which the node that takes it says so before
 * anything else. So one id is one run, whichever nodes it is asked of and whenever, and any node can find it, wait for
 * it and stop it. No word of what was asked is in it: that stands in the log of the session, and goes with it.
 */
import { type Json, MillraceError, type Position } from '@millrace/protocol'
import type { Engine, LogEvent } from '../log/log.ts'
import type { Claim, Liveness, Recorded, RunDirectory } from '../runs/cluster.ts'
import { createSignal, findStart, openRemoteRun, readStart } from '../runs/remote-run.ts'
import type { RecordedEnd, Run } from '../runs/run.ts'
import type { Membership } from './membership.ts'

export interface RunDirectoryOptions {
  readonly engine: Engine
  readonly liveness: Liveness
  /** Sends a message to a node, which may be dead. */
  readonly send: Membership['send']
  /** Ends the runs in a session's log whose nodes die while a caller waits for the end of one. */
  readonly follow: (session: string) => void
  /** This node has claimed a run, and is about to start it. */
  readonly isStarting: (id: string) => boolean
  /** This node performs a run. */
  readonly isActive: (id: string) => boolean
}

/** How long a node may take from its claim to the start in the log. */
const startMsMax = 10_000
const startPollMs = 200

export function createRunDirectory({ engine, liveness, send, follow, isStarting, isActive }: RunDirectoryOptions): RunDirectory {
  /** Runs whose end somebody waits for: however many do, their logs are followed once. */
  const followed = new Map<string, Run>()

  return {
    async claim(id, claim) {
      for (let after: Position | undefined; ; ) {
        const epoch = await append(id, claim, after)
        if (epoch !== undefined) return { epoch }
        const recorded = await look(id, () => false)
        const start = recorded && (await startOf(id, recorded))
        if (recorded !== undefined && start !== undefined) return { run: await open(id, recorded, start) }
        // Whoever had it is gone or has let it go: the next one may have it. And where the log was let go between the
        // two calls, the first one.
        after = recorded?.at
      }
    },
    async started(id, epoch, { epoch: of, offset }) {
      await tell(id, epoch, { type: 'started', data: { epoch: of, offset } })
    },
    async ended(id, epoch, end) {
      await tell(id, epoch, { type: 'ended', data: end as unknown as Json })
    },
    async release(id, fence) {
      await engine.append(logOf(id), [{ type: 'released', data: { fence } }])
    },
    async find(id) {
      const known = followed.get(id)
      if (known !== undefined) return known
      const recorded = await look(id, () => isStarting(id))
      const start = recorded && (await startOf(id, recorded))
      if (recorded === undefined || start === undefined) return undefined
      try {
        return await open(id, recorded, start)
      } catch (error) {
        if ((error as MillraceError).code === 'session_not_found') return undefined
        throw error
      }
    },
    read,
    async forget(id) {
      await engine.delete(logOf(id))
    },
  }

  /** The epoch of the run's log; undefined where another has claimed it since. */
  async function append(id: string, claim: Claim, after: Position | undefined): Promise<string | undefined> {
    const key = `claimed ${after?.offset ?? 0}`
    try {
      const options = after === undefined ? { key } : { key, epoch: after.epoch }
      const claimed = { type: 'claimed', data: claim as unknown as Json }
      const { position, duplicate } = await engine.append(logOf(id), [claimed], options)
      return duplicate ? undefined : position.epoch
    } catch (error) {
      if ((error as MillraceError).code === 'position_foreign') return undefined
      throw error
    }
  }

  /** A log that is made anew has no claim in it, and nothing of the run that was claimed in the old one belongs there. */
  async function tell(id: string, epoch: string, event: { readonly type: string; readonly data: Json }): Promise<void> {
    try {
      await engine.append(logOf(id), [event], { epoch })
    } catch (cause) {
      if ((cause as MillraceError).code !== 'position_foreign') throw cause
      throw new MillraceError('engine_failed', { cause })
    }
  }

  /** Waits for a start that is on its way: without one, the node that claimed the run is gone, or has let it go. */
  async function look(id: string, isOurs: () => boolean): Promise<Recorded | undefined> {
    const deadline = performance.now() + startMsMax
    const rung = createSignal()
    const unwatch = engine.watch(logOf(id), rung.ring)
    try {
      for (;;) {
        const recorded = await read(id)
        if (recorded === undefined || recorded.start !== undefined || recorded.isReleased) return recorded
        const { node } = recorded.claim
        if (node === liveness.id ? !isOurs() : await liveness.isDead(node)) return recorded
        // A killed node is declared dead only by a node that watches it.
        if (node !== liveness.id) liveness.watchNode(node)
        if (performance.now() > deadline) throw new MillraceError('engine_failed')
        await rung.wait(startPollMs)
      }
    } finally {
      unwatch()
    }
  }

  async function read(id: string): Promise<Recorded | undefined> {
    const state = await engine.inspect(logOf(id))
    if (state === undefined) return undefined
    const { start, head } = state
    let recorded: Recorded | undefined
    // What another node has appended may be a page of its own.
    for (let position = start; position.offset < head.offset; ) {
      const page = await engine.read(logOf(id), position)
      for (const event of page.events) recorded = fold(recorded, event, head.epoch)
      position = page.position
    }
    return recorded
  }

  /**
   * Where the run of a claim was put; undefined where it never was, nor will be. A node that is gone may have put it
   * there without a word here: what it may still have under way is kept out first, then the log is looked through.
   */
  async function startOf(id: string, { claim, at, start, isReleased }: Recorded): Promise<Position | undefined> {
    if (start !== undefined || isReleased) return isReleased ? undefined : start
    const { session, epoch, fence } = claim
    // Nothing is under way to the log of a sole node's own past, which is not made for this either.
    if (!liveness.isSole) await keepOut(session, fence, epoch)
    const found = await findStart(engine, { session, run: id })
    if (found !== undefined) await tell(id, at.epoch, { type: 'started', data: { ...found } })
    return found
  }

  async function keepOut(session: string, fence: string, epoch: string | undefined): Promise<void> {
    try {
      await engine.append(session, [], { key: fence, ...(epoch !== undefined && { epoch }) })
    } catch (error) {
      // Then the start is refused as well.
      if ((error as MillraceError).code !== 'position_foreign') throw error
    }
  }

  /** Rejects with `session_not_found` where the log is gone that the run was put into. */
  async function open(id: string, { claim, end }: Recorded, first: Position): Promise<Run> {
    const { session, queryHash, asked, continues, lanes } = claim
    const recorded = await readStart(engine, { session, run: id }, first)
    if (recorded === undefined) throw new MillraceError('session_not_found')
    const node = recorded.event?.node ?? claim.node
    const isOver = async () => (node === liveness.id ? !isActive(id) : liveness.isDead(node))
    const run = openRemoteRun(
      engine,
      { id, session, queryHash, asked: asked ?? undefined, continues, lanes, start: recorded.start },
      {
        end,
        // Whoever waits for the end says it again.
        stop: () => void send(node, { type: 'stop', run: id }).catch(() => {}),
        readEnd: async () => (await read(id))?.end,
        isOver,
        onFollow() {
          followed.set(id, run)
          // The run's node may be dead, and no other reader of this session may be here to find out.
          if (node !== liveness.id) {
            liveness.watchNode(node)
            follow(session)
          }
          return () => void followed.delete(id)
        },
      },
    )
    return run
  }
}

const logOf = (id: string): string => `run/${id}`

function fold(before: Recorded | undefined, { type, data, offset }: LogEvent, epoch: string): Recorded | undefined {
  if (type === 'claimed') return { claim: data as unknown as Claim, at: { epoch, offset } }
  if (before === undefined) return undefined
  if (type === 'started') return { ...before, start: data as unknown as Position }
  if (type === 'ended') return { ...before, end: data as unknown as RecordedEnd }
  // One that comes late is of another claim.
  const isOf = (data as { fence?: string }).fence === before.claim.fence
  return type === 'released' && isOf ? { ...before, isReleased: true } : before
}
