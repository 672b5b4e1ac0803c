/**
 * Appends a run's events to its session's log, one batch at a time: events that arrive while a batch is written form the
 * next one, so a slow engine gets larger batches and not more of them. Where an engine wants its writers paced, the writer
 * also pauses after an append that the engine was slow to acknowledge.
 * A batch that an unavailable engine rejects is kept and tried again, and enters the log once.
 */
import type { MillraceError, Position, SessionEvents, SessionEventType } from '@millrace/protocol'
import { sizeOfAll } from '../log/event-size.ts'
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
/** Waiting events, and the size of their data, beyond which models are paused. */
const backlogMax = { events: 256, bytes: 512 * 1024 }
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
  /** Of their data. */
  #waitingBytes = 0
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
    this.#push([sessionEvent(type, data)])
  }

  /** Writes a file as two events with nothing between them. The bytes MUST NOT be changed afterwards. */
  writeFile(file: SessionEvents['file'], bytes: Uint8Array): void {
    this.#push([sessionEvent('file', file), { type: 'file_data', data: bytes }])
  }

  /** While true, a lane SHOULD await `settled()` before it writes. */
  get isFull(): boolean {
    return this.#waiting.length >= backlogMax.events || this.#waitingBytes >= backlogMax.bytes
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
  #push(events: readonly NewEvent[]): void {
    if (this.#failure !== undefined) return
    for (const event of events) this.#waiting.push(event)
    this.#waitingBytes += sizeOfAll(events)
    this.#written += events.length
    if (!this.#isWriting) void this.#writeAll()
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#takeBatch()
        const isPaced = this.#options.engine.wantsPacing
        const startedAt = isPaced ? performance.now() : 0
        const wasAvailable = await this.#store.store(batch)
        // The run failed meanwhile, and has ended or is about to.
        if (this.#failure !== undefined) return
        this.#acknowledged += batch.length
        this.#resolveWaiters(this.#acknowledged)
        if (isPaced && wasAvailable) await this.#pauseAfter(performance.now() - startedAt)
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
    this.#waitingBytes = 0
    this.#failure = error
    this.#resolveWaiters(Number.POSITIVE_INFINITY)
    this.#options.onFailure(error)
  }

  /** All that waits, where it fits; otherwise the events that do. */
  #takeBatch(): NewEvent[] {
    const all = this.#waiting
    if (this.#waitingBytes <= batchBytesMax) {
      this.#waiting = []
      this.#waitingBytes = 0
      return all
    }
    const batch = all.splice(0, this.#countFitting())
    this.#waitingBytes -= sizeOfAll(batch)
    return batch
  }

  /** At least one event, and both of a file. */
  #countFitting(): number {
    let bytes = 0
    let count = 0
    while (count < this.#waiting.length) {
      const length = this.#waiting[count]?.type === 'file' ? 2 : 1
      bytes += sizeOfAll(this.#waiting.slice(count, count + length))
      if (count > 0 && bytes > batchBytesMax) break
      count += length
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

  #pauseAfter(tookMs: number): Promise<void> | undefined {
    this.#quickestMs = Math.min(this.#quickestMs, tookMs)
    const ms = Math.min(pauseMsMax, (tookMs - this.#quickestMs - slackMs) * pauseFactor)
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
