/**
 * Starts that failed with an unknown outcome. The append may still commit, so each is rolled back with a fence: a run
 * never exists without a process that performs it, and its id becomes free.
 */
import type { MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { Cluster } from './cluster.ts'
import type { RunPlan } from './plan.ts'
import { retryUntil } from './retry-until.ts'

export interface RollbacksOptions {
  readonly engine: Engine
  readonly cluster: Cluster | undefined
  /** Ends the dead runs in a log. */
  readonly recover: (log: string) => Promise<void>
  readonly onError: (error: unknown, context: { run: string }) => void
  /** Aborts when no time is left for retries. */
  readonly signal: AbortSignal
}

export interface FailedStart {
  readonly plan: RunPlan
  /** Key of a batch; once it is in the session's log, the start cannot be appended. */
  readonly fence: string
  /** The start may be in the log, or may still be appended. */
  readonly mayBeRecorded: boolean
}

export class Rollbacks {
  readonly #options: RollbacksOptions
  /** By run. */
  readonly #pending = new Map<string, () => Promise<void>>()

  constructor(options: RollbacksOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#pending.size
  }

  has(run: string): boolean {
    return this.#pending.has(run)
  }

  /** Resolves when no rollback of this run is pending. Rejects with the engine's error. */
  async settled(run: string): Promise<void> {
    await this.#pending.get(run)?.()
  }

  /** Rolls back until it succeeds, or until no time is left. */
  begin(start: FailedStart): void {
    const { cluster, signal, onError } = this.#options
    if (!start.mayBeRecorded && cluster === undefined) return
    const { id } = start.plan
    let rollingBack: Promise<void> | undefined
    const rollBack = async () => {
      rollingBack ??= this.#rollBack(start)
      try {
        await rollingBack
        remove()
      } catch (error) {
        rollingBack = undefined
        throw error
      }
    }
    const remove = () => {
      if (this.#pending.get(id) === rollBack) this.#pending.delete(id)
    }
    this.#pending.set(id, rollBack)
    retryUntil(rollBack, signal).catch((error: unknown) => {
      remove()
      // When the server closes, recovery by the next process ends the run.
      if (!signal.aborted) onError(error, { run: id })
    })
  }

  async #rollBack({ plan, fence, mayBeRecorded }: FailedStart): Promise<void> {
    const { engine, cluster } = this.#options
    const { id, session, epoch, isNew } = plan
    // A session created for this run is known to no one else.
    if (mayBeRecorded && isNew) await engine.delete(session)
    else if (mayBeRecorded) await this.#endStart(session, epoch, fence)
    await cluster?.directory.release(id, fence)
  }

  /** Fences the start off, and ends the run if it was recorded before. */
  async #endStart(session: string, requiredEpoch: string | undefined, fence: string): Promise<void> {
    const { engine, recover } = this.#options
    for (;;) {
      const epoch = requiredEpoch && (await engine.inspect(session))?.head.epoch
      // The session was deleted, and must not be created again.
      if (requiredEpoch !== undefined && epoch === undefined) return
      try {
        await engine.append(session, [], { key: fence, ...(epoch !== undefined && { epoch }) })
        return await recover(session)
      } catch (error) {
        if ((error as MillraceError).code !== 'position_foreign') throw error
      }
    }
  }
}
