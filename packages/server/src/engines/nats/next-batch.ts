/** What an append does, by the index of its log. */
import { MillraceError } from '@millrace/protocol'
import type { Appended, AppendOptions, NewEvent } from '../../log/log.ts'
import { newId } from '../shared/new-epoch.ts'
import { type KeyEntry, type Keys, type NewBatch, noKeys, unlistedKeys } from './batch.ts'
import { type LogIndex, oldestTimeOf } from './log-index.ts'

/** What is kept of each log. */
export interface Limits {
  readonly bytesMax: number
  readonly ageMsMax: number
}

/**
 * Only a batch with a key lists the keys, and only as many as cost little beside the events. A log with more of them is
 * read as a whole before a server's first append with a key.
 */
const keysMax = { count: 128, chars: 8192 }

/** An append that waits. */
export interface Append {
  readonly events: readonly NewEvent[]
  /** Of the events. */
  readonly bytes: number
  readonly asked: AppendOptions
  readonly deadline: number
}

/** What the first appends of those that wait become: at most one batch, and a result for each. */
export interface Plan {
  readonly results: readonly (Appended | MillraceError)[]
  /** Absent where nothing is to be stored: then the results hold only for a fresh index. */
  readonly batch?: { readonly events: readonly NewEvent[]; readonly asked: AppendOptions }
}

/** Of one batch, far less than NATS accepts in a message; a larger append is a batch of its own. */
const plannedBytesMax = 256 * 1024

/** A batch has one key, of its last event, and one `keep`; so an append with a key ends it, and one with another `keep` begins the next. */
export function planBatch(index: LogIndex, appends: readonly Append[], fresh: string): Plan {
  const results: (Appended | MillraceError)[] = []
  const events: NewEvent[] = []
  let batch: AppendOptions | undefined
  let state: LogHead = index
  let bytes = 0
  for (const { events: added, bytes: addedBytes, asked } of appends) {
    const known = resultWithoutBatch(state, added, asked)
    if (known === undefined) {
      bytes += addedBytes
      if (batch !== undefined && (asked.keep !== batch.keep || bytes > plannedBytesMax)) break
      batch = asked
      events.push(...added)
      state = { ...state, epoch: state.epoch ?? fresh, head: state.head + added.length }
    }
    results.push(known ?? { position: { epoch: state.epoch as string, offset: state.head }, duplicate: false })
    if (known === undefined && asked.key !== undefined) break
  }
  return { results, ...(batch && { batch: { events, asked: batch } }) }
}

type LogHead = Pick<LogIndex, 'epoch' | 'head' | 'keys'>

/** The result or the error of an append that stores nothing; undefined if there is a batch to store. */
function resultWithoutBatch(
  { epoch: current, head: offset, keys }: LogHead,
  events: readonly NewEvent[],
  { epoch, key, unless, expect }: AppendOptions,
): Appended | MillraceError | undefined {
  if (epoch !== undefined && epoch !== current) return new MillraceError('position_foreign')
  const used = key === undefined ? undefined : keys.get(key)
  if (used !== undefined && current !== undefined) return { position: { epoch: current, offset: used }, duplicate: true }
  if (unless !== undefined && keys.has(unless)) return new MillraceError('fenced')
  const head = current === undefined ? undefined : { epoch: current, offset }
  if (expect !== undefined && expect !== (head?.offset ?? 0)) return new MillraceError('head_moved', { position: head })
  if (events.length > 0 || key !== undefined || head === undefined) return undefined
  return { position: head, duplicate: false }
}

/** Whether the next batch trims the log. Trimming begins an eighth above the limit, so that most appends trim nothing. */
export function exceedsLimits(
  index: LogIndex,
  count: number,
  { keep = Number.POSITIVE_INFINITY }: AppendOptions,
  { bytesMax, ageMsMax }: Limits,
): boolean {
  const time = Math.max(Date.now(), index.time)
  const keepMax = keep + Math.min(1000, keep / 8)
  const oldest = oldestTimeOf(index) ?? time
  return index.head + count - index.start > keepMax || index.bytes > bytesMax * 1.125 || oldest < time - ageMsMax
}

/** The batch behind the last one. If it exceeds the limits, the index MUST be whole. */
export function nextBatch(
  index: LogIndex,
  events: readonly NewEvent[],
  asked: AppendOptions,
  limits: Limits,
  fresh = newId(),
): NewBatch {
  const { epoch = fresh, id: after } = index
  const { key, keep = Number.POSITIVE_INFINITY } = asked
  const last = index.head + events.length
  const time = Math.max(Date.now(), index.time)
  let { start, bytes: bytesBefore } = index
  for (const batch of exceedsLimits(index, events.length, asked, limits) ? index.batches : []) {
    if (last - batch.last < keep && bytesBefore <= limits.bytesMax && batch.time >= time - limits.ageMsMax) break
    start = batch.last
    bytesBefore -= batch.bytes
  }
  const keys = key === undefined ? keysBefore(index) : listKeys(index, [key, last])
  const oldestTime = oldestTimeOf(index) ?? time
  return { id: newId(), after, epoch, last, time, start, bytesBefore, oldestTime, key, keys, isRenewed: false, events }
}

/** The message that lists the keys may have been trimmed together with all of them. */
function keysBefore({ hasKeys, keys, keysSeq }: LogIndex): number {
  return hasKeys && keys.size === 0 ? noKeys : keysSeq
}

function listKeys(index: LogIndex, added: KeyEntry): Keys {
  if (index.keys.size >= keysMax.count) return unlistedKeys
  const keys = [...index.keys, added]
  const chars = keys.reduce((sum, [key]) => sum + key.length, 0)
  return chars > keysMax.chars ? unlistedKeys : keys
}
