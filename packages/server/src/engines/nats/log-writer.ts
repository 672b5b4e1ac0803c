/** Appends to logs and ends them. Its callers make one call at a time for each log. */
import { MillraceError } from '@millrace/protocol'
import type { Appended, AppendOptions, NewEvent } from '../../log/log.ts'
import { isDamaged } from '../../log/quarantine.ts'
import { newId } from '../shared/new-epoch.ts'
import { decodeBatch, encodeBatch, encodeEnd, type NewBatch, unlistedKeys } from './batch.ts'
import { erase } from './erase.ts'
import type { LogIndex } from './log-index.ts'
import type { LogIndexer } from './log-indexer.ts'
import { exceedsLimits, type Limits, nextBatch, resultWithoutBatch } from './next-batch.ts'
import type { LogStream } from './stream.ts'

/** What NATS counts beside the data of a message: subject and headers. */
const headerBytesMax = 1024

export class LogWriter {
  readonly #stream: LogStream
  readonly #indexer: LogIndexer
  readonly #limits: Limits

  constructor(stream: LogStream, indexer: LogIndexer, limits: Limits) {
    this.#stream = stream
    this.#indexer = indexer
    this.#limits = limits
  }

  async append(
    log: string,
    index: LogIndex,
    events: readonly NewEvent[],
    asked: AppendOptions,
    deadline: number,
  ): Promise<Appended> {
    for (let isFresh = false; ; ) {
      if (!isFresh && (index.seq === 0 || index.previous !== undefined)) {
        await this.#indexer.refresh(log, index, deadline)
        isFresh = true
      }
      if (asked.key !== undefined || asked.unless !== undefined) await this.#indexer.completeKeys(log, index, deadline)
      if (exceedsLimits(index, events.length, asked, this.#limits)) await this.#indexer.complete(log, index, deadline)
      const result = resultWithoutBatch(index, events, asked)
      if (result !== undefined && isFresh) {
        if (result instanceof MillraceError) throw result
        return result
      }
      // An index that is not fresh may give the result of an earlier state.
      const stored =
        result === undefined && (await this.#store(log, index, nextBatch(index, events, asked, this.#limits), deadline))
      if (stored) return stored
      await this.#indexer.refresh(log, index, deadline)
      isFresh = true
    }
  }

  /** Ends a log. False where it does not exist. */
  async delete(log: string, index: LogIndex, deadline: number, timeoutMs: number): Promise<boolean> {
    try {
      const hasEnded = await this.#storeEnd(log, index, deadline)
      // Also where an earlier delete was interrupted: then the log has ended, and its data is still in the files.
      await erase(this.#stream, log, index.seq, timeoutMs)
      return hasEnded
    } catch (error) {
      if (!isDamaged(error)) throw error
      await this.#forceEnd(log, index, deadline, timeoutMs)
      return true
    }
  }

  /** Undefined where another node has stored a batch first. */
  async #store(log: string, index: LogIndex, batch: NewBatch, deadline: number): Promise<Appended | undefined> {
    const data = this.#encode(batch)
    const { start } = index
    const seq = await this.#stream.store(log, data, index.seq, deadline)
    if (seq === undefined) {
      await this.#indexer.refresh(log, index, deadline)
      // It is this batch that was stored, if the response was lost for longer than JetStream recognizes a repeated message.
      if (!index.batches.some(({ id }) => id === batch.id)) return undefined
    } else {
      this.#indexer.add(log, index, seq, decodeBatch(data))
      if (batch.start > start) this.#stream.purge(log, index.batches[0]?.seq ?? seq)
    }
    if (batch.events.length > 0) this.#stream.notify(log, index.head)
    return { position: { epoch: batch.epoch, offset: batch.last }, duplicate: false }
  }

  #encode(batch: NewBatch): Uint8Array {
    const data = encodeBatch(batch)
    const bytesMax = this.#stream.bytesMax - headerBytesMax
    if (data.byteLength <= bytesMax) return data
    // The list of keys MUST NOT make an event too large.
    const bare = typeof batch.keys === 'number' ? data : encodeBatch({ ...batch, keys: unlistedKeys })
    if (bare.byteLength > bytesMax) throw new MillraceError('event_too_large')
    return bare
  }

  /** False where the log has ended already. */
  async #storeEnd(log: string, index: LogIndex, deadline: number): Promise<boolean> {
    const id = newId()
    const data = encodeEnd(id)
    for (;;) {
      await this.#indexer.refresh(log, index, deadline)
      if (index.epoch === undefined) return index.id === id
      const seq = await this.#stream.store(log, data, index.seq, deadline)
      if (seq === undefined) continue
      this.#indexer.add(log, index, seq, decodeBatch(data))
      this.#stream.notify(log, 0)
    }
  }

  /** Ends a damaged log, which is read as ended once all messages before its end are erased. */
  async #forceEnd(log: string, index: LogIndex, deadline: number, timeoutMs: number): Promise<void> {
    const end = encodeEnd(newId())
    for (;;) {
      const last = await this.#stream.last(log, deadline)
      const seq = await this.#stream.store(log, end, last?.seq ?? 0, deadline)
      if (seq === undefined) continue
      await erase(this.#stream, log, seq, timeoutMs)
      this.#indexer.forget(log, index)
      return this.#stream.notify(log, 0)
    }
  }
}
