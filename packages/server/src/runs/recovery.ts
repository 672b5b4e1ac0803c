/**
 * Ends the runs whose process died: without an end in the log their readers would wait for ever. A session is recovered
 * when it is opened, by `open`; nothing is searched when the server starts, and reading never writes. Where servers share
 * the engine, a session is recovered each time it is opened, and again when a node dies that had runs in it. Which nodes
 * these are is learned from the pages that readers of this server are given, with `observe`.
 */
import { idPattern, type Position } from '@millrace/protocol'
import { LRUCache } from 'lru-cache'
import type { Engine, LogState, Page } from '../log/log.ts'
import { isDamaged } from '../log/quarantine.ts'
import type { Observer } from '../operations/observer.ts'
import type { Charge, Quote } from './charge.ts'
import type { Liveness, Recorded } from './cluster.ts'
import { coalesce } from './coalesce.ts'
import { endKeyOf } from './end-append.ts'
import { retryUntil } from './retry-until.ts'
import { Checkpoint, endEvents, interruptedEnd, interruptedLanes, restoreClaimed, type UnfinishedRun } from './unfinished.ts'

/** Opens a log for a reader or a question: recovers a session first. Undefined where there is no such log. */
export type OpenLog = (log: string) => Promise<LogState | undefined>

export interface RecoveryOptions {
  readonly engine: Engine
  /** Whether a run in a log is this process's: it is in progress, or has written its own end. */
  readonly isOurs: (run: string, log: string) => boolean
  /** What is recorded of a run beside its session's log. */
  readonly readRecorded: (run: string) => Promise<Recorded | undefined>
  /** Charges the usage of the runs that it ends; default nobody. */
  readonly charge?: Charge | undefined
  readonly quote?: Quote | undefined
  readonly observer?: Pick<Observer, 'runEnded'>
  /** Where servers share the engine: a run is alive as long as its node is. */
  readonly liveness?: Liveness | undefined
  /** Called with a run that waited, where every call of it is decided and no run goes on; default nobody is. */
  readonly onDecided?: ((log: string, run: string) => void) | undefined
  /** A session in which nothing is in progress has questions that wait. */
  readonly onQueued?: ((log: string) => void) | undefined
  /** Aborts when no time is left for recovery. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

/** A log evicted from the checkpoints is read from its start when it is opened again. */
const checkpointsMax = 10_000
const pageSize = { eventsMax: 2048, bytesMax: 256 * 1024 }
/** Logs recovered at the same time when a node dies: it may have had thousands of runs. */
const recoveriesMax = 8

export class Recovery {
  readonly #options: RecoveryOptions
  readonly #engine: Engine
  /** By log. The only record of unfinished runs of other processes. */
  readonly #checkpoints = new LRUCache<string, Checkpoint>({ max: checkpointsMax })

  /** Ends the dead runs in a log. Rejects with the engine's error. */
  readonly recover: (log: string) => Promise<void>

  constructor(options: RecoveryOptions) {
    this.#options = options
    this.#engine = options.engine
    this.recover = coalesce((log) => this.#recover(log))
  }

  /**
   * Recovers a session and resolves with its state, also where recovery failed because the engine is unavailable. Rejects
   * with `log_damaged`, or as `Engine.inspect`.
   */
  readonly open: OpenLog = async (log) => {
    if (!this.#isNeeded || !isSession(log) || !this.#needsRecovery(log)) return this.#engine.inspect(log)
    try {
      await this.recover(log)
    } catch (error) {
      if (isDamaged(error)) throw error
      const state = await this.#engine.inspect(log)
      this.#options.onError(error)
      return state
    }
    return this.#engine.inspect(log)
  }

  /** Recovers a log however long the engine is unavailable: readers wait for the ends of its dead runs. Never rejects. */
  async recoverEventually(log: string): Promise<void> {
    const { signal, onError } = this.#options
    await retryUntil(() => this.recover(log), signal).catch(onError)
  }

  /**
   * For a caller that waits for the end of another process's run: ends the run when its node dies, however long the engine
   * is unavailable. Never rejects.
   */
  async follow(log: string): Promise<void> {
    const { liveness, signal, onError } = this.#options
    if (liveness === undefined) return this.recoverEventually(log)
    await retryUntil(async () => {
      const checkpoint = await this.#readToHead(log)
      if (checkpoint !== undefined) this.#watchNodes(checkpoint)
    }, signal).catch(onError)
  }

  /** Recovers the logs that are known to have unfinished runs of a node that died. Never rejects. */
  async recoverRunsOf(node: string): Promise<void> {
    // The node of a run whose start was deleted may be known only beside the log.
    const mayBeOf = (run: UnfinishedRun) => run.node === node || run.isCut
    const logs = [...this.#checkpoints].filter(([, { runs }]) => [...runs.values()].some(mayBeOf)).values()
    const next = async () => {
      for (const [log] of logs) await this.recoverEventually(log)
    }
    await Promise.all(Array.from({ length: recoveriesMax }, next))
  }

  /** Notes which runs of other nodes start and end in a page that a reader was given, and watches their nodes. */
  observe(log: string, page: Page): void {
    const { liveness, onError } = this.#options
    // The events of a channel may have any name.
    if (liveness === undefined || !isSession(log)) return
    const { events, position } = page
    const known = this.#checkpoints.get(log)
    if (known?.position.epoch === position.epoch) {
      if (position.offset <= known.position.offset) return
      const [first] = events
      if (first !== undefined && first.offset <= known.position.offset + 1) {
        known.apply(page)
        // Another server may be about to start the next question, or may have died before.
        if (events.some(({ type }) => type === 'stream_end')) this.#reportQueue(log, known)
        return this.#watchNodes(known)
      }
    }
    // The events between the checkpoint and the page are unknown.
    if (events.some(({ type }) => type === 'stream_start'))
      this.#readToHead(log).then((checkpoint) => checkpoint && this.#watchNodes(checkpoint), onError)
  }

  /** Applies a page that another reader has got, so that it is not read again; only where the log was read up to `after`. */
  note(log: string, after: Position, page: Page): void {
    if (!this.#isNeeded) return
    const known = this.#checkpoints.get(log)
    const isNew = known === undefined && after.offset === 0
    const checkpoint = isNew ? new Checkpoint(page.gap?.to ?? after) : known
    if (checkpoint?.position.epoch !== page.position.epoch || checkpoint.position.offset < after.offset) return
    if (isNew) this.#checkpoints.set(log, checkpoint)
    checkpoint.apply(page)
  }

  /** Compacts a log that is at rest. Where that fails, it is tried again when the log is opened next. */
  async compact(log: string): Promise<void> {
    try {
      await this.#engine.compact?.(log)
    } catch (error) {
      const known = this.#checkpoints.get(log)
      if (known !== undefined) known.isRecovered = false
      throw error
    }
  }

  /** Otherwise no log has runs of another process. */
  get #isNeeded(): boolean {
    return Boolean(this.#engine.isDurable || this.#engine.isShared)
  }

  #needsRecovery(log: string): boolean {
    const known = this.#checkpoints.get(log)
    if (this.#options.liveness !== undefined || !known?.isRecovered) return true
    // This process was about to start a run which turned out to be a dead process's.
    return [...known.runs.keys()].some((run) => !this.#options.isOurs(run, log))
  }

  async #recover(log: string): Promise<void> {
    const { isOurs, liveness, onError, onDecided = () => {} } = this.#options
    const checkpoint = await this.#readToHead(log)
    if (checkpoint === undefined) return
    const { runs, unsure, position } = checkpoint
    // Their ends were recorded, and only the engine's answer was lost.
    for (const [run, report] of unsure) if (!runs.has(run)) report()
    unsure.clear()
    for (const [run, unfinished] of runs) {
      if (isOurs(run, log)) continue
      const node = unfinished.isCut ? await this.#nodeOfCutRun(run, unfinished) : unfinished.node
      if (node === null) runs.delete(run)
      else if (this.#isOthers(node) && !(await liveness?.isDead(node))) liveness?.watchNode(node)
      else {
        await this.#end(log, checkpoint, run, unfinished)
        runs.delete(run)
        this.compact(log).catch(onError)
      }
    }
    for (const run of checkpoint.waiting.decided()) onDecided(log, run)
    this.#reportQueue(log, checkpoint)
    const isFirst = !checkpoint.isRecovered
    checkpoint.isRecovered = true
    // The process that ended the log's last run may have died before it compacted the log.
    if (isFirst && runs.size === 0 && position.offset > 0) this.compact(log).catch(onError)
  }

  async #end(log: string, { position, unsure }: Checkpoint, run: string, unfinished: UnfinishedRun): Promise<void> {
    const { charge, quote, readRecorded, observer } = this.#options
    const { startedAt, continues, metadata } = unfinished
    const lanes = interruptedLanes(unfinished, quote)
    // Who asked is recorded beside the log, which others can read.
    const { principal, askedAt = startedAt } = (await readRecorded(run))?.claim ?? {}
    await charge?.({ run, principal, askedAt, lanes: [...lanes.values()] })
    const end = interruptedEnd(lanes)
    const models = [...lanes].map(([lane, { model }]) => ({ lane, model }))
    const report = () => observer?.runEnded?.({ run, session: log, principal, lanes: models, continues, metadata }, end)
    // The key makes it one end where two processes recover the log at the same time.
    const options = { epoch: position.epoch, key: endKeyOf(run) }
    const append = this.#engine.append(log, endEvents(run, unfinished, lanes, end), options)
    const { duplicate } = await append.catch((error: unknown) => {
      unsure.set(run, report)
      throw error
    })
    if (!duplicate) report()
  }

  /** Undefined where there is no such log. */
  async #readToHead(log: string): Promise<Checkpoint | undefined> {
    const state = await this.#engine.inspect(log)
    if (state === undefined) return void this.#checkpoints.delete(log)
    const checkpoint = this.#checkpointOf(log, state)
    while (checkpoint.position.offset < state.head.offset) {
      checkpoint.apply(await this.#engine.read(log, checkpoint.position, pageSize))
      await new Promise(setImmediate)
    }
    return checkpoint
  }

  #checkpointOf(log: string, { start, head }: LogState): Checkpoint {
    const known = this.#checkpoints.get(log)
    const checkpoint = known?.position.epoch === head.epoch ? known : new Checkpoint(start)
    this.#checkpoints.set(log, checkpoint)
    return checkpoint
  }

  /** Once for each head: who starts the next question opens the session, too. */
  #reportQueue(log: string, checkpoint: Checkpoint): void {
    const { runs, queued, position } = checkpoint
    if (runs.size > 0 || queued.size === 0 || checkpoint.reportedAt === position.offset) return
    checkpoint.reportedAt = position.offset
    this.#options.onQueued?.(log)
  }

  #watchNodes({ runs }: Checkpoint): void {
    for (const { node } of runs.values()) if (this.#isOthers(node)) this.#options.liveness?.watchNode(node)
  }

  /** Of a run whose start retention has deleted. Null where it has ended, or where nobody can tell. */
  async #nodeOfCutRun(run: string, unfinished: UnfinishedRun): Promise<string | undefined | null> {
    const recorded = await this.#options.readRecorded(run)
    if (recorded === undefined) return this.#options.liveness === undefined ? undefined : null
    if (recorded.end !== undefined) return null
    restoreClaimed(unfinished, recorded.claim)
    return unfinished.node
  }

  #isOthers(node: string | undefined): node is string {
    const { liveness } = this.#options
    return liveness !== undefined && node !== undefined && node !== liveness.id
  }
}

/** Only a session's log contains runs. */
function isSession(log: string): boolean {
  return idPattern.test(log)
}
