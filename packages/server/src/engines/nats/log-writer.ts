/** Appends to logs and ends them. Its callers make one call at a time for each log. */
import { MillraceError } from '@millrace/protocol'
import type { Appended } from '../../log/log.ts'
import { isDamaged } from '../../log/quarantine.ts'
import { newId } from '../shared/new-epoch.ts'
import { decodeBatch, encodeBatch, encodeEnd, type NewBatch, unlistedKeys } from './batch.ts'
import { erase } from './erase.ts'
import type { LogIndex } from './log-index.ts'
import type { LogIndexer } from './log-indexer.ts'
import { type Append, exceedsLimits, type Limits, nextBatch, type Plan, planBatch } from './next-batch.ts'
import type { LogStream } from './stream.ts'

/** What NATS counts beside the data of a message: subject and headers. */
const headerBytesMax = 1024

type ToStore = NonNullable<Plan['batch']>

export class LogWriter {
  readonly #stream: LogStream
  readonly #indexer: LogIndexer
  readonly #limits: Limits

  constructor(stream: LogStream, indexer: LogIndexer, limits: Limits) {
    this.#stream = stream
    this.#indexer = indexer
    this.#limits = limits
  }

  /** Stores appends in their order, in as few batches as possible. What is stored when one fails stays, with its result. */
  async append(log: string, index: LogIndex, appends: readonly Append[]): Promise<(Appended | Error)[]> {
    const results: (Appended | Error)[] = []
    while (results.length < appends.length) {
      try {
        results.push(...(await this.#appendSome(log, index, appends.slice(results.length))))
      } catch (error) {
        const rest = appends.slice(results.length)
        // One of them cannot be encoded, or they are too large together.
        const isOfOne = !(error instanceof MillraceError) || error.code === 'event_too_large'
        if (isOfOne && rest.length > 1) results.push(...(await this.append(log, index, rest.slice(0, 1))))
        else results.push(...rest.map(() => error as Error))
      }
    }
    return results
  }

  /** The results of the first of the appends. */
  async #appendSome(log: string, index: LogIndex, appends: readonly Append[]): Promise<Plan['results']> {
    // Of the one that has waited longest.
    const { deadline } = appends[0] as Append
    for (let isFresh = false; ; ) {
      if (!isFresh && (index.seq === 0 || index.previous !== undefined)) {
        await this.#indexer.refresh(log, index, deadline)
        isFresh = true
      }
      const needsKeys = appends.some(({ asked }) => asked.key !== undefined || asked.unless !== undefined)
      if (needsKeys) await this.#indexer.completeKeys(log, index, deadline)
      const fresh = newId()
      const { results, batch } = planBatch(index, appends, fresh)
      // An index that is not fresh may give the results of an earlier state; that a batch was stored shows that it was fresh.
      if (batch === undefined ? isFresh : await this.#store(log, index, batch, fresh, deadline)) return results
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

  /** False where another node has stored a batch first. */
  async #store(log: string, index: LogIndex, { events, asked }: ToStore, fresh: string, deadline: number): Promise<boolean> {
    if (exceedsLimits(index, events.length, asked, this.#limits)) {
      const { epoch, head } = index
      await this.#indexer.complete(log, index, deadline)
      if (index.epoch !== epoch || index.head !== head) return false
    }
    const batch = nextBatch(index, events, asked, this.#limits, fresh)
    const data = this.#encode(batch)
    const { start } = index
    const seq = await this.#stream.store(log, data, index.seq, deadline)
    if (seq === undefined) {
      await this.#indexer.refresh(log, index, deadline)
      // It is this batch that was stored, if the response was lost for longer than JetStream recognizes a repeated message.
      if (!index.batches.some(({ id }) => id === batch.id)) return false
    } else {
      this.#indexer.add(log, index, seq, decodeBatch(data))
      if (batch.start > start) this.#stream.purge(log, index.batches[0]?.seq ?? seq)
    }
    if (events.length > 0) this.#stream.notify(log, index.head)
    return true
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
