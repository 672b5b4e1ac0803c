/**
 * Appends a run's events to its session's log, one batch at a time: events that arrive while a batch is written form the
 * next one, so a slow engine gets larger batches and not more of them. Where an engine wants its writers paced, the writer
 * also pauses after an append that the engine was slow to acknowledge.
 * A batch that an unavailable engine rejects is kept and tried again, and enters the log once.
 */
import type { MillraceError, Position, SessionEvents, SessionEventType } from '@millrace/protocol'
import { sizeOf } from '../log/event-size.ts'
import type { Engine, NewEvent } from '../log/log.ts'
import { BatchStore } from './batch-store.ts'
import { EndAppend, type RecordedData } from './end-append.ts'
import { retryUntil, toError } from './retry-until.ts'
import { sessionEvent } from './session-event.ts'

/**
 * After an append that took longer than the quickest, which it spent waiting behind others, the writer pauses for this
 * multiple of the difference. Without it, many small appends would all wait behind each other: docs/decisions/0015.
 */
const pauseFactor = 8
const pauseMsMax = 50
/** Smaller differences are chance. */
const slackMs = 4
/** Waiting events beyond which models are paused. */
const backlogMax = 256
/** Data in one batch: more than an engine accepts at once may wait while it is unavailable. */
const batchBytesMax = 128 * 1024

export interface RunWriterOptions {
  readonly engine: Engine
  readonly log: string
  readonly run: string
  /** Before the run's first event, its `stream_start`. */
  readonly start: Position
  /** The engine rejected a batch: the run is to end. Called once. */
  readonly onFailure: (error: MillraceError) => void
  /** The engine is unavailable, and the run waits for it. */
  readonly onUnavailable: (error: MillraceError) => void
  /** Aborts when no time is left for retries. */
  readonly signal: AbortSignal
}

interface Waiter {
  /** Of the events written, how many have to be acknowledged. */
  readonly count: number
  readonly resolve: () => void
}

export class RunWriter {
  readonly #options: RunWriterOptions
  readonly #store: BatchStore
  readonly #end: EndAppend
  #waiting: NewEvent[] = []
  #isWriting = false
  #hasStoppedRetrying = false
  #failure: MillraceError | undefined
  #written = 0
  #acknowledged = 0
  /** Ordered by count. */
  readonly #waiters: Waiter[] = []
  /** The shortest append of this run, in milliseconds: what the engine takes when it is idle. */
  #quickestMs = Number.POSITIVE_INFINITY
  #endPause = () => {}

  constructor(options: RunWriterOptions) {
    this.#options = options
    const isOver = () => this.#hasStoppedRetrying || options.signal.aborted || this.#failure !== undefined
    this.#store = new BatchStore({ ...options, isOver })
    this.#end = new EndAppend({ ...options, onError: (error) => this.#fail(error) })
  }

  write<T extends SessionEventType>(type: T, data: SessionEvents[T]): void {
    this.#push(sessionEvent(type, data))
  }

  /** Writes a file as two events with nothing between them. The bytes MUST NOT be changed afterwards. */
  writeFile(file: SessionEvents['file'], bytes: Uint8Array): void {
    this.#push(sessionEvent('file', file), { type: 'file_data', data: bytes })
  }

  /** While true, a lane SHOULD await `settled()` before it writes. */
  get isFull(): boolean {
    // A file takes as much memory as a whole backlog of text.
    return this.#waiting.length >= backlogMax || this.#waiting.at(-1)?.type === 'file_data'
  }

  /** Resolves when everything written before the call is acknowledged. Rejects with the error that ended the writer. */
  async settled(): Promise<void> {
    await this.#allWritten()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Tries no batch again. Fails the run where a batch is being retried. */
  stopRetrying(): void {
    this.#hasStoppedRetrying = true
    if (this.#store.lastError !== undefined) this.#fail(this.#store.lastError)
  }

  /**
   * Writes the last event, after all others, also where the engine rejected one of them: without it readers would wait for
   * ever. Retries as long as there is time. Resolves when the end is in the log, or never will be; with another process's
   * end, where that process had declared this one dead.
   */
  async end<T extends SessionEventType>(type: T, data: SessionEvents[T]): Promise<RecordedData<T>> {
    await this.#allWritten()
    try {
      return await retryUntil(() => this.#end.append(type, data), this.#options.signal)
    } catch {
      return { data }
    }
  }

  /** The first events of a batch reach the engine before this returns. */
  #push(...events: NewEvent[]): void {
    if (this.#failure !== undefined) return
    this.#waiting.push(...events)
    this.#written += events.length
    if (!this.#isWriting) void this.#writeAll()
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#takeBatch()
        const tookMs = await this.#store.store(batch)
        // The run failed meanwhile, and has ended or is about to.
        if (this.#failure !== undefined) return
        this.#acknowledged += batch.length
        this.#resolveWaiters(this.#acknowledged)
        if (tookMs === undefined || !this.#options.engine.wantsPacing) continue
        this.#quickestMs = Math.min(this.#quickestMs, tookMs)
        await this.#pause(Math.min(pauseMsMax, (tookMs - this.#quickestMs - slackMs) * pauseFactor))
      }
    } catch (cause) {
      this.#fail(toError(cause))
    } finally {
      this.#isWriting = false
    }
  }

  #fail(error: MillraceError): void {
    if (this.#failure !== undefined) return
    this.#waiting = []
    this.#failure = error
    this.#resolveWaiters(Number.POSITIVE_INFINITY)
    this.#options.onFailure(error)
  }

  /** A file is a batch of its own: its two events must stay together, and with others might exceed what an engine accepts. */
  #takeBatch(): NewEvent[] {
    const file = this.#waiting.findIndex(({ type }) => type === 'file')
    return this.#waiting.splice(0, file === 0 ? 2 : this.#countFitting(file === -1 ? this.#waiting.length : file))
  }

  #countFitting(most: number): number {
    let count = 1
    for (let bytes = most > 1 ? sizeOf(this.#waiting[0]?.data) : 0; count < most; count++) {
      bytes += sizeOf(this.#waiting[count]?.data)
      if (bytes > batchBytesMax) break
    }
    return count
  }

  /** Waits for the events written so far, not for later ones. */
  #allWritten(): Promise<void> | undefined {
    if (this.#acknowledged === this.#written || this.#failure !== undefined) return undefined
    return new Promise((resolve) => {
      this.#waiters.push({ count: this.#written, resolve })
      this.#endPause()
    })
  }

  #resolveWaiters(count: number): void {
    while (this.#waiters[0] !== undefined && this.#waiters[0].count <= count) this.#waiters.shift()?.resolve()
  }

  #pause(ms: number): Promise<void> | undefined {
    if (ms <= 0 || this.#waiters.length > 0) return undefined
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
