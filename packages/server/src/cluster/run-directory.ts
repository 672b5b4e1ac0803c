/**
 * Runs by id, over all nodes and restarts. Each run has a small log in which a node claims the id before it does anything
 * else. So one id is one run, and any node can find it, wait for it and stop it. The log contains no text of the question:
 * that is in the session's log, and is deleted with it.
 */
import { MillraceError, type Position } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { Liveness, Recorded, RunDirectory } from '../runs/cluster.ts'
import { createSignal, findStart, openRemoteRun, type RemoteRunHooks, readStart } from '../runs/remote-run.ts'
import type { Run } from '../runs/run.ts'
import type { Membership } from './membership.ts'
import { RunLog } from './run-log.ts'

export interface RunDirectoryOptions {
  readonly engine: Engine
  readonly liveness: Liveness
  /** Sends a message to a node, which may be dead. */
  readonly send: Membership['send']
  /** Ends the runs in a session's log whose nodes die while a caller waits for the end of one. */
  readonly follow: (session: string) => void
  /** Whether this node has claimed the run and is about to start it. */
  readonly isStarting: (id: string) => boolean
  /** Whether this node performs the run. */
  readonly isActive: (id: string) => boolean
}

/** How long a node may take from its claim to the recorded start. */
const startMsMax = 10_000
const startPollMs = 200

export function createRunDirectory(options: RunDirectoryOptions): RunDirectory {
  const { engine, isStarting } = options
  const runs = new RecordedRuns(options)
  const logOf = (id: string) => new RunLog(engine, id)

  return {
    async claim(id, claim) {
      for (let after: Position | undefined; ; ) {
        const epoch = await logOf(id).claim(claim, after)
        if (epoch !== undefined) return { epoch }
        const recorded = await runs.waitForStart(id, () => false)
        const run = recorded && (await runs.open(id, recorded))
        if (run !== undefined) return { run }
        // The claim came to nothing, so the next one counts. Where the log was deleted between the two calls, the first one.
        after = recorded?.at
      }
    },
    started: (id, epoch, start) => logOf(id).append({ type: 'started', data: start }, epoch),
    ended: (id, epoch, end) => logOf(id).append({ type: 'ended', data: end }, epoch),
    release: (id, fence) => logOf(id).append({ type: 'released', data: { fence } }),
    async find(id) {
      const followed = runs.followed(id)
      if (followed !== undefined) return followed
      const recorded = await runs.waitForStart(id, () => isStarting(id))
      try {
        return recorded && (await runs.open(id, recorded))
      } catch (error) {
        if ((error as MillraceError).code === 'session_not_found') return undefined
        throw error
      }
    },
    read: (id) => logOf(id).read(),
    forget: (id) => logOf(id).delete(),
  }
}

class RecordedRuns {
  readonly #options: RunDirectoryOptions
  /** Runs that a caller here waits for: their logs are followed once, however many callers there are. */
  readonly #followed = new Map<string, Run>()

  constructor(options: RunDirectoryOptions) {
    this.#options = options
  }

  followed(id: string): Run | undefined {
    return this.#followed.get(id)
  }

  /** Waits while the claimed start may still be recorded. Without a start afterwards, the claim came to nothing. */
  async waitForStart(id: string, isStartingHere: () => boolean): Promise<Recorded | undefined> {
    const { engine, liveness } = this.#options
    const log = new RunLog(engine, id)
    const deadline = performance.now() + startMsMax
    const notified = createSignal()
    const unwatch = log.watch(notified.ring)
    try {
      for (;;) {
        const recorded = await log.read()
        if (recorded === undefined || recorded.start !== undefined || recorded.isReleased) return recorded
        const { node } = recorded.claim
        if (node === liveness.id ? !isStartingHere() : await liveness.isDead(node)) return recorded
        // A killed node is declared dead only by a node that watches it.
        if (node !== liveness.id) liveness.watchNode(node)
        if (performance.now() > deadline) throw new MillraceError('engine_failed')
        await notified.wait(startPollMs)
      }
    } finally {
      unwatch()
    }
  }

  /** Undefined where the run was never recorded. Rejects with `session_not_found` where its session's log was deleted. */
  async open(id: string, recorded: Recorded): Promise<Run | undefined> {
    const first = await this.#startOf(id, recorded)
    if (first === undefined) return undefined
    const { session, queryHash, asked, continues, lanes, node: claimant } = recorded.claim
    const found = await readStart(this.#options.engine, { session, run: id }, first)
    if (found === undefined) throw new MillraceError('session_not_found')
    const hooks = this.#hooksOf(id, session, found.event?.node ?? claimant)
    const remote = { id, session, queryHash, asked: asked ?? undefined, continues, lanes, start: found.start }
    const run = openRemoteRun(this.#options.engine, remote, {
      ...hooks,
      end: recorded.end,
      onFollow: () => {
        this.#followed.set(id, run)
        hooks.onFollow()
        return () => void this.#followed.delete(id)
      },
    })
    return run
  }

  #hooksOf(id: string, session: string, node: string) {
    const { engine, liveness, send, follow, isActive } = this.#options
    return {
      // `stopRun` sends the message again.
      stop: (lane?: string) => void send(node, { type: 'stop', run: id, ...(lane !== undefined && { lane }) }).catch(() => {}),
      readEnd: async () => (await new RunLog(engine, id).read())?.end,
      isOver: async () => (node === liveness.id ? !isActive(id) : liveness.isDead(node)),
      onFollow() {
        if (node === liveness.id) return
        // The run's node may be dead, and no other reader of this session may be here to find out.
        liveness.watchNode(node)
        follow(session)
      },
    } satisfies Omit<RemoteRunHooks, 'onFollow'> & { onFollow(): void }
  }

  /**
   * Where a claimed run was recorded; undefined where it never was, nor will be. A dead node may have recorded it in the
   * session's log only: first its late append is fenced off, then that log is searched.
   */
  async #startOf(id: string, { claim, at, start, isReleased }: Recorded): Promise<Position | undefined> {
    if (start !== undefined || isReleased) return isReleased ? undefined : start
    const { engine, liveness } = this.#options
    const { session, epoch, fence } = claim
    // A sole server's dead predecessor has no append left to fence off, and the fence would create the log.
    if (!liveness.isSole) await this.#fenceOff(session, fence, epoch)
    const found = await findStart(engine, { session, run: id })
    if (found !== undefined) await new RunLog(engine, id).append({ type: 'started', data: found }, at.epoch)
    return found
  }

  async #fenceOff(session: string, fence: string, epoch: string | undefined): Promise<void> {
    try {
      await this.#options.engine.append(session, [], { key: fence, ...(epoch !== undefined && { epoch }) })
    } catch (error) {
      // The start is rejected for the same reason.
      if ((error as MillraceError).code !== 'position_foreign') throw error
    }
  }
}
