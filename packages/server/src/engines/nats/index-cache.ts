/**
 * What this engine knows of each log: where its batches are in the stream, and which keys are taken. It is folded from
 * the batches in their order, never changed otherwise, and given up for the logs used longest ago.
 */
import type { Batch } from './batch.ts'

export interface LogIndex {
  /** Sequence of the last message folded; 0 before any. */
  seq: number
  /** Id of the batch in it, which may have been stored before. */
  said: string
  /** Id of the last batch; the next one names it. */
  id: string
  /** Undefined where there is no log. */
  epoch: string | undefined
  head: number
  start: number
  /** Offset up to which those who wrote have let its events go; what else is missing has gone by age, or was lost. */
  trimmedTo: number
  time: number
  bytes: number
  batches: BatchRef[]
  readonly keys: Map<string, number>
  /** What was known before it was folded anew; what there is MUST be held against it before anybody is given it. */
  before: PreviousIndex | undefined
}

export interface PreviousIndex {
  readonly epoch: string
  readonly head: number
  readonly start: number
  /** Of the last batch, and when it was written. */
  readonly id: string
  readonly time: number
  /** Something of it is missing, whatever it looks like. */
  readonly isBroken?: boolean
}

/** Where a batch is. */
export interface BatchRef {
  readonly id: string
  readonly seq: number
  readonly last: number
  readonly count: number
  readonly time: number
  readonly bytes: number
  readonly key: string | undefined
}

export interface IndexCache {
  get(log: string): LogIndex
  forget(log: string): void
}

/** Of each event beside its data; the same as in the other engines. */
const overheadBytes = 100
/** Batches that are known of, in all logs. */
const placesMax = 1_000_000

export function createIndexCache(): IndexCache {
  /** In the order of their last use. */
  const logs = new Map<string, LogIndex>()

  return {
    get(log) {
      const known = logs.get(log) ?? emptyLog()
      logs.delete(log)
      logs.set(log, known)
      let places = 0
      // Counted from the newest: what does not fit any more is read again when it is asked for.
      if (logs.size % 64 === 0) {
        for (const [name, { batches }] of [...logs].reverse()) {
          places += batches.length + 10
          if (places > placesMax) logs.delete(name)
        }
      }
      return known
    },
    forget: (log) => void logs.delete(log),
  }
}

function emptyLog(): LogIndex {
  const keys = new Map<string, number>()
  return {
    seq: 0,
    said: '',
    id: '',
    epoch: undefined,
    head: 0,
    start: 0,
    trimmedTo: 0,
    time: 0,
    bytes: 0,
    batches: [],
    keys,
    before: undefined,
  }
}

export function fold(known: LogIndex, seq: number, batch: Batch): void {
  known.seq = seq
  known.said = batch.id
  known.id = batch.id
  if (batch.isRenewed && known.epoch !== undefined) known.epoch = batch.epoch
  if (batch.isEnd || batch.epoch !== known.epoch) {
    // Another log of the same name, or what is left of one whose beginning has gone by age.
    Object.assign(known, { epoch: batch.isEnd ? undefined : batch.epoch, start: batch.last - batch.count, bytes: 0, batches: [] })
    known.keys.clear()
    if (batch.isEnd) known.start = 0
  }
  known.head = batch.last
  known.trimmedTo = batch.start
  known.time = Math.max(known.time, batch.time)
  const { id, last, count, time, key } = batch
  const bytes = batch.size + overheadBytes * count
  known.batches.push({ id, seq, last, count, time, bytes, key })
  known.bytes += bytes
  if (key !== undefined) known.keys.set(key, last)
  // One without events is gone with the event behind it.
  trim(known, (oldest) => (oldest.count > 0 ? oldest.last <= batch.start : oldest.last < batch.start))
}

/** Lets the oldest batches go, as long as they may. */
export function trim(known: LogIndex, mayGo: (oldest: BatchRef, known: LogIndex) => boolean): void {
  let gone = 0
  for (const place of known.batches) {
    // The newest says how far the log had come, also when its events are gone.
    if (place.last === known.head && place.count === 0) break
    if (!mayGo(place, known)) break
    gone += 1
    known.start = place.last
    known.bytes -= place.bytes
    if (place.key !== undefined && known.keys.get(place.key) === place.last) known.keys.delete(place.key)
  }
  if (gone > 0) known.batches.splice(0, gone)
}

/**
 * Lets go of the batches behind one, in whose place another has been stored. False where it is not known, or where
 * more than events would have to be taken back.
 */
export function rewind(known: LogIndex, id: string): boolean {
  const index = known.batches.findIndex((place) => place.id === id)
  const place = known.batches[index]
  if (place === undefined || known.batches.slice(index + 1).some(({ count }) => count === 0)) return false
  for (const { key, last, bytes } of known.batches.splice(index + 1)) {
    known.bytes -= bytes
    if (key !== undefined && known.keys.get(key) === last) known.keys.delete(key)
  }
  Object.assign(known, { id, head: place.last })
  return true
}
