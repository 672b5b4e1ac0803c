/**
 * Keeps the index of a log up to date with the stream, and gives the log a new epoch where the stream has lost what the
 * index knew. Its callers make one call at a time for each log.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '../shared/new-epoch.ts'
import type { Notifier } from '../shared/notifier.ts'
import type { RecentEvents } from '../shared/recent-events.ts'
import { type Batch, decodeBatch, encodeBatch, idOf, type NewBatch } from './batch.ts'
import { addBatch, addKeys, emptyIndex, knownFrom, type LogIndex, oldestTimeOf, openIndex, trim } from './log-index.ts'
import { type Limits, nextBatch } from './next-batch.ts'
import type { LogStream, Stored } from './stream.ts'

export interface IndexerOptions {
  readonly stream: LogStream
  readonly recent: RecentEvents
  readonly notifier: Notifier
  readonly limits: Limits
}

/**
 * A server of a cluster that was cut off or paused may take ten seconds to find out that it no longer leads. Until then
 * it returns an earlier state of the log, and that is not a loss.
 */
export const staleMsMax = 12_000
export const stalePauseMs = 500

export class LogIndexer {
  readonly #stream: LogStream
  readonly #recent: RecentEvents
  readonly #notifier: Notifier
  readonly #limits: Limits

  constructor({ stream, recent, notifier, limits }: IndexerOptions) {
    this.#stream = stream
    this.#recent = recent
    this.#notifier = notifier
    this.#limits = limits
  }

  /** Brings the index up to the last batch, with every batch from the offset `from` on. An empty index is opened from the last batch alone. */
  async refresh(log: string, index: LogIndex, deadline: number, from = Number.POSITIVE_INFINITY): Promise<LogIndex> {
    const last = await this.#readLast(log, index, deadline)
    if (last === undefined) {
      if (index.seq > 0) this.#reset(log, index)
    } else if (last.seq !== index.seq || idOf(last.data) !== index.id) await this.#advance(log, index, last, deadline)
    await this.#reconcile(log, index, deadline)
    const oldest = Date.now() - this.#limits.ageMsMax
    // JetStream removes what has expired without a notification: only the whole index knows what is left.
    if (from < knownFrom(index) || (oldestTimeOf(index) ?? oldest) < oldest) await this.complete(log, index, deadline)
    trim(index, ({ time }) => time < oldest)
    return index
  }

  /** Reads every batch of the log into the index. */
  async complete(log: string, index: LogIndex, deadline: number): Promise<void> {
    if (index.isWhole) return
    const whole = await this.#readAll(log, index, index.seq, deadline)
    if (whole.id === index.id && whole.epoch === index.epoch && whole.start <= knownFrom(index)) {
      Object.assign(index, whole)
      return
    }
    this.#replace(log, index, whole)
    await this.#reconcile(log, index, deadline)
  }

  /** Reads the keys of the log into the index. */
  async completeKeys(log: string, index: LogIndex, deadline: number): Promise<void> {
    if (index.hasKeys) return
    const message = index.keysSeq > 0 ? await this.#stream.get(index.keysSeq, deadline) : undefined
    const batch = message && decodeBatch(message.data)
    // The epoch tells whether it is a batch of this log at all.
    if (batch?.epoch === index.epoch && typeof batch?.keys === 'object') addKeys(index, batch.keys)
    else await this.complete(log, index, deadline)
  }

  /** Adds a batch that follows the last one. */
  add(log: string, index: LogIndex, seq: number, batch: Batch): void {
    addBatch(index, seq, batch)
    if (batch.isEnd || batch.isRenewed) this.#end(log)
    this.#publish(log, index, batch)
  }

  /** Makes the index from the stream again, where the stream has not what the index says. */
  async rebuild(log: string, index: LogIndex, to: number, deadline: number): Promise<void> {
    this.#reset(log, index)
    this.#replace(log, index, await this.#readAll(log, index, to, deadline))
  }

  /** Forgets a log that has ended. */
  forget(log: string, index: LogIndex): void {
    this.#reset(log, index)
    index.previous = undefined
  }

  /** The last message of the log. One that is older than the index has may come from a server that no longer leads. */
  async #readLast(log: string, { seq, time }: LogIndex, deadline: number): Promise<Stored | undefined> {
    for (const until = performance.now() + staleMsMax; ; await sleep(stalePauseMs)) {
      const last = await this.#stream.last(log, deadline)
      const isOlder = (last?.seq ?? 0) < seq && time >= Date.now() - this.#limits.ageMsMax
      if (!isOlder || !this.#stream.isInCluster || performance.now() > until) return last
    }
  }

  async #advance(log: string, index: LogIndex, { seq, data }: Stored, deadline: number): Promise<void> {
    const batch = decodeBatch(data)
    const isNew = index.seq === 0 && index.previous === undefined
    if (isNew || batch.isEnd) {
      if (!isNew) this.forget(log, index)
      openIndex(index, seq, batch)
      return this.#publish(log, index, batch)
    }
    if (seq > index.seq && batch.after === index.id) return this.add(log, index, seq, batch)
    if (!(await this.#catchUp(log, index, seq, deadline))) await this.rebuild(log, index, seq, deadline)
  }

  /** Adds the batches up to a sequence. False where one does not follow: between it and the index, events have expired or were lost. */
  async #catchUp(log: string, index: LogIndex, to: number, deadline: number): Promise<boolean> {
    let follows = index.seq > 0 && to > index.seq
    if (!follows) return false
    const take = ({ seq, data }: Stored, isFromLeader: boolean) => {
      const batch = decodeBatch(data)
      follows = batch.after === index.id
      if (!follows) return isFromLeader ? 'enough' : 'doubtful'
      this.add(log, index, seq, batch)
      return seq < to ? 'more' : 'enough'
    }
    await this.#stream.each(log, index.seq + 1, take, deadline)
    return follows
  }

  /**
   * An index of the whole log up to a sequence, or beyond it where another node has meanwhile trimmed the log past it: an
   * index that ended before it would show a log without events, or an earlier state. An interrupted call leaves a draft,
   * with which the next one continues.
   */
  async #readAll(log: string, index: LogIndex, to: number, deadline: number): Promise<LogIndex> {
    const isResumed = index.draft !== undefined && index.draft.seq < to
    if (!isResumed) index.draft = emptyIndex()
    const draft = index.draft as LogIndex
    let isStale = false
    const take = ({ seq, data }: Stored, isFromLeader: boolean) => {
      const batch = decodeBatch(data)
      if (batch.after !== draft.id) {
        if (!isFromLeader) return 'doubtful'
        // The draft may be of a stream that has been replaced since.
        isStale = isResumed
        if (isStale) return 'enough'
        // The log begins here, or begins again behind what was lost.
        Object.assign(draft, emptyIndex())
      }
      addBatch(draft, seq, batch)
      return seq < to ? 'more' : 'enough'
    }
    await this.#stream.each(log, draft.seq + 1, take, deadline)
    index.draft = undefined
    return isStale ? this.#readAll(log, index, to, deadline) : draft
  }

  /** Gives a log a new epoch if events that the index had are lost, so that their readers get `position_foreign`. */
  async #reconcile(log: string, index: LogIndex, deadline: number): Promise<void> {
    const { previous } = index
    if (previous === undefined || index.seq === 0) return
    const isComplete = index.start <= previous.start && index.batches.some(({ id }) => id === previous.id)
    const isTrimmed = index.trimmedTo >= previous.head || previous.time < Date.now() - this.#limits.ageMsMax
    if (index.epoch !== previous.epoch || isTrimmed || (isComplete && !previous.isBroken)) {
      index.previous = undefined
      return
    }
    const renewed: NewBatch = { ...nextBatch(index, [], {}, this.#limits), epoch: newId(), start: index.start, isRenewed: true }
    const data = encodeBatch(renewed)
    const seq = await this.#stream.store(log, data, index.seq, deadline)
    // Another node has written: compare again with what it wrote.
    if (seq === undefined) return void (await this.refresh(log, index, deadline))
    index.previous = undefined
    this.add(log, index, seq, decodeBatch(data))
    this.#stream.notify(log, 0)
  }

  #replace(log: string, index: LogIndex, whole: LogIndex): void {
    if (index.seq > 0) this.#reset(log, index)
    Object.assign(index, whole, { previous: index.previous, time: Math.max(index.time, whole.time) })
    this.#notifier.notify(log, index.head)
  }

  #reset(log: string, index: LogIndex): void {
    const { epoch, head, id, time, draft } = index
    const previous = index.previous ?? (epoch === undefined ? undefined : { epoch, head, start: knownFrom(index), id, time })
    Object.assign(index, emptyIndex(), { time, previous, draft })
    if (epoch !== undefined) this.#end(log)
  }

  #publish(log: string, index: LogIndex, { isEnd, epoch, last: head, time, start, events }: Batch): void {
    if (!isEnd && index.previous === undefined) this.#recent.push(log, { epoch, head, start, time, events })
    if (events.length > 0) this.#notifier.notify(log, head)
  }

  #end(log: string): void {
    this.#recent.forget(log)
    this.#notifier.notify(log, 0)
  }
}
