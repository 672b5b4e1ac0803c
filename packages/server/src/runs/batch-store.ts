/**
 * Puts the batches of a run into its log, each once, also where the engine is unavailable for a while. A rejected append
 * may still have entered the log, so a retry looks for it first. Only retries pay for that; a key for each batch would
 * cost every token.
 */
import { MillraceError, type Position } from '@millrace/protocol'
import type { Appended, Engine, NewEvent } from '../log/log.ts'
import { isUnavailable, retryWhileUnavailable } from '../log/retry.ts'
import { endKeyOf } from './end-append.ts'

export interface BatchStoreOptions {
  readonly engine: Engine
  readonly log: string
  readonly run: string
  /** Before the run's first event, its `stream_start`. */
  readonly start: Position
  /** True when the batch is not needed any more: it is not tried again. */
  readonly isOver: () => boolean
  readonly onUnavailable: (error: MillraceError) => void
  /** Ends the pause before the next try. */
  readonly signal: AbortSignal
}

export class BatchStore {
  readonly #options: BatchStoreOptions
  readonly #appendOptions: { readonly epoch: string; readonly unless: string }
  /** Of this run's newest event that is known to be in the log. */
  #lastOffset: number
  #retries = 0
  /** Why a batch is being retried; undefined where none is. */
  lastError: MillraceError | undefined

  constructor(options: BatchStoreOptions) {
    this.#options = options
    this.#appendOptions = { epoch: options.start.epoch, unless: endKeyOf(options.run) }
    this.#lastOffset = options.start.offset + 1
  }

  /**
   * Stores one batch at a time. Resolves with true, and with false where the engine was unavailable meanwhile. Rejects with
   * an error that is final, or once the batch is not needed any more.
   */
  async store(batch: readonly NewEvent[]): Promise<boolean> {
    try {
      this.#lastOffset = (await this.#append(batch)).position.offset
      return true
    } catch (error) {
      if (!isUnavailable(error)) throw error
      this.#lastOffset = await this.#retry(batch, error)
      return false
    }
  }

  #append(batch: readonly NewEvent[]): Promise<Appended> {
    return this.#options.engine.append(this.#options.log, batch, this.#appendOptions)
  }

  async #retry(batch: readonly NewEvent[], first: MillraceError): Promise<number> {
    this.lastError = first
    let mayBeStored = false
    const act = async (last?: MillraceError) => {
      // A call that was rejected as `engine_busy` never reached the store, and a busy engine needs no further reads.
      mayBeStored ||= last?.code !== 'engine_busy'
      return (mayBeStored ? await this.#findStored() : undefined) ?? (await this.#append(batch)).position.offset
    }
    try {
      return await retryWhileUnavailable(act, { ...this.#options, first })
    } finally {
      this.lastError = undefined
    }
  }

  /**
   * The last offset of a rejected batch that is in the log nevertheless; undefined where it is not and never will be: no
   * earlier append enters the log after a later one is acknowledged.
   */
  async #findStored(): Promise<number | undefined> {
    const { engine, log, run } = this.#options
    const { epoch } = this.#appendOptions
    const key = `retry ${++this.#retries} ${run}`
    const { position: to } = await engine.append(log, [], { ...this.#appendOptions, key })
    let found: number | undefined
    for (let at = { epoch, offset: this.#lastOffset }; at.offset < to.offset; ) {
      const { events, position, gap } = await engine.read(log, at)
      // The deleted events may have been the batch, which must not be written twice.
      if (gap !== undefined) throw new MillraceError('position_expired')
      for (const { data, offset } of events) if ((data as { run?: string } | null)?.run === run) found = offset
      at = position
    }
    return found
  }
}
