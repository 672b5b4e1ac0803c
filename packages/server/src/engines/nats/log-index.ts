/**
 * What this engine knows of one log: where its batches are in the stream, and which keys are used. Computed from the
 * batches in their order, and changed by nothing else.
 *
 * An index that was opened from the log's last batch is partial: it has the batches from that one on, and for the rest
 * what that batch states. What needs older batches reads all of them.
 */
import { eventOverheadBytes } from '../../log/event-size.ts'
import { type Batch, type KeyEntry, noKeys } from './batch.ts'

export interface LogIndex {
  /** Sequence of the last message; 0 for an empty index. */
  seq: number
  /** Id of the batch in it, which the next batch names as `after`. */
  id: string
  /** Undefined where there is no log. */
  epoch: string | undefined
  head: number
  start: number
  /** Offset up to which writers have trimmed the log; other missing events have expired, or were lost. */
  trimmedTo: number
  time: number
  bytes: number
  /** Time of the oldest batch that is kept, or earlier. */
  oldestTime: number
  batches: BatchRef[]
  /** Whether `batches` has every batch that is kept. */
  isWhole: boolean
  /** Offset of the last event of the batch with each key. */
  keys: Map<string, number>
  /** Whether `keys` has every key. */
  hasKeys: boolean
  /** Sequence of the message that lists the keys, `noKeys` or `unlistedKeys`. */
  keysSeq: number
  /** An index of the whole log that is being read; where that is interrupted, it continues from here. */
  draft: LogIndex | undefined
  /** The index before a rebuild. No reader may get an event until the rebuilt index has been compared with it. */
  previous: PreviousIndex | undefined
}

export interface PreviousIndex {
  readonly epoch: string
  readonly head: number
  readonly start: number
  /** Id of the last batch, and its time. */
  readonly id: string
  readonly time: number
  /** Events are missing, whatever else the comparison says. */
  readonly isBroken?: boolean
}

/** Where a batch is in the stream. */
export interface BatchRef {
  readonly id: string
  readonly seq: number
  readonly last: number
  readonly count: number
  readonly time: number
  readonly bytes: number
  readonly key: string | undefined
}

export function emptyIndex(): LogIndex {
  return {
    seq: 0,
    id: '',
    epoch: undefined,
    head: 0,
    start: 0,
    trimmedTo: 0,
    time: 0,
    bytes: 0,
    oldestTime: 0,
    batches: [],
    isWhole: true,
    keys: new Map(),
    hasKeys: true,
    keysSeq: noKeys,
    draft: undefined,
    previous: undefined,
  }
}

/** Opens an empty index from the last batch of a log. */
export function openIndex(index: LogIndex, seq: number, batch: Batch): void {
  const isFirst = batch.isEnd || batch.after === ''
  const isListed = typeof batch.keys !== 'number'
  Object.assign(index, { isWhole: isFirst, hasKeys: isFirst || isListed || batch.keys === noKeys, epoch: batch.epoch })
  if (isListed) addKeys(index, batch.keys)
  addBatch(index, seq, batch)
}

/** Adds the next batch of the log. */
export function addBatch(index: LogIndex, seq: number, batch: Batch): void {
  index.seq = seq
  index.id = batch.id
  if (batch.isRenewed && index.epoch !== undefined) index.epoch = batch.epoch
  if (batch.isEnd || batch.epoch !== index.epoch) beginLog(index, batch)
  index.head = batch.last
  index.trimmedTo = batch.start
  index.time = Math.max(index.time, batch.time)
  const { id, last, count, time, key } = batch
  const bytes = batch.size + eventOverheadBytes * count
  index.batches.push({ id, seq, last, count, time, bytes, key })
  index.bytes += bytes
  if (key !== undefined) index.keys.set(key, last)
  index.keysSeq = typeof batch.keys === 'number' ? batch.keys : seq
  // A batch without events is trimmed with the event behind it.
  trim(index, (oldest) => (oldest.count > 0 ? oldest.last <= batch.start : oldest.last < batch.start))
  if (index.isWhole) return
  Object.assign(index, { start: batch.start, bytes: batch.bytesBefore + bytes, oldestTime: batch.oldestTime })
  for (const [name, offset] of index.keys) if (offset < batch.start) index.keys.delete(name)
}

/** Another log of the same name, or the rest of one whose beginning has expired. */
function beginLog(index: LogIndex, { epoch, isEnd, last, count }: Batch): void {
  const start = isEnd ? 0 : last - count
  Object.assign(index, { epoch: isEnd ? undefined : epoch, start, bytes: 0, batches: [] })
  Object.assign(index, { isWhole: true, keys: new Map(), hasKeys: true })
}

export function addKeys(index: LogIndex, keys: readonly KeyEntry[]): void {
  for (const [key, last] of keys) if (last >= index.start && !index.keys.has(key)) index.keys.set(key, last)
  index.hasKeys = true
}

/** Removes the oldest batches for as long as `mayRemove` says so. */
export function trim(index: LogIndex, mayRemove: (oldest: BatchRef) => boolean): void {
  let removed = 0
  for (const batch of index.batches) {
    // The newest batch states the log's head, also when the events before it have been removed.
    if (batch.last === index.head && batch.count === 0) break
    if (!mayRemove(batch)) break
    removed += 1
    index.start = batch.last
    index.bytes -= batch.bytes
    if (batch.key !== undefined && index.keys.get(batch.key) === batch.last) index.keys.delete(batch.key)
  }
  if (removed > 0) index.batches.splice(0, removed)
}

/** Offset from which on the index knows every batch that is kept. */
export function knownFrom({ isWhole, start, batches: [first] }: LogIndex): number {
  return isWhole || first === undefined ? start : first.last - first.count
}

/** Time of the oldest event that is kept, or earlier; undefined where there is none. */
export function oldestTimeOf({ isWhole, oldestTime, batches }: LogIndex): number | undefined {
  return isWhole ? batches.find(({ count }) => count > 0)?.time : oldestTime
}
