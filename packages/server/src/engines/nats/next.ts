/** What an append comes to, by what is known of its log. */
import { MillraceError } from '@millrace/protocol'
import type { Appended, AppendOptions, NewEvent } from '../../log/log.ts'
import { newId } from '../shared/new-epoch.ts'
import type { NewBatch } from './batch.ts'
import type { LogIndex } from './index-cache.ts'

/** What is kept of each log. */
export interface Limits {
  readonly bytesMax: number
  readonly ageMsMax: number
}

/** Undefined where there is something to store. */
export function toAppended(
  known: LogIndex,
  events: readonly NewEvent[],
  { epoch, key, unless, expect }: AppendOptions,
): Appended | MillraceError | undefined {
  if (epoch !== undefined && epoch !== known.epoch) return new MillraceError('position_foreign')
  const used = key === undefined ? undefined : known.keys.get(key)
  if (used !== undefined && known.epoch !== undefined) return { position: { epoch: known.epoch, offset: used }, duplicate: true }
  if (unless !== undefined && known.keys.has(unless)) return new MillraceError('fenced')
  const head = known.epoch === undefined ? undefined : { epoch: known.epoch, offset: known.head }
  if (expect !== undefined && expect !== (head?.offset ?? 0)) return new MillraceError('head_moved', { position: head })
  if (events.length > 0 || key !== undefined || known.epoch === undefined) return undefined
  return { position: { epoch: known.epoch, offset: known.head }, duplicate: false }
}

/** Behind what is known, and with what is kept from then on. */
export function newBatch(
  known: LogIndex,
  events: readonly NewEvent[],
  { key, keep = Number.POSITIVE_INFINITY }: AppendOptions,
  { bytesMax, ageMsMax }: Limits,
): NewBatch {
  const { epoch = newId(), id: after, batches } = known
  const last = known.head + events.length
  const time = Math.max(Date.now(), known.time)
  let { start, bytes } = known
  const oldest = batches.find(({ count }) => count > 0)?.time ?? time
  const isOver = last - start > keep + Math.min(1000, keep / 8) || bytes > bytesMax * 1.125 || oldest < time - ageMsMax
  for (const place of isOver ? batches : []) {
    if (last - place.last < keep && bytes <= bytesMax && place.time >= time - ageMsMax) break
    start = place.last
    bytes -= place.bytes
  }
  return { id: newId(), after, epoch, last, time, start, key, events }
}
