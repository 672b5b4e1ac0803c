/** The rows of the tables, and the checksum that is stored in each, because SQLite has none of its own. */
import { crc32 } from 'node:zlib'
import type { StoredEvent } from '../shared/packing.ts'

/** An event, or a pack under the offset and time of its last event. */
export interface Row {
  readonly offset: number
  readonly type: string | null
  readonly time: number
  readonly size: number
  readonly data: string | Uint8Array
  /** Null where an earlier version has written the row. */
  readonly sum: number | null
}

/** A log's row as it is stored. */
export interface LogRow {
  readonly id: number
  readonly name: string
  readonly epoch: string
  readonly start: number
  readonly head: number
  readonly bytes: number
  readonly touched: number
  readonly written: number
  readonly sum: number | null
}

/** The row of a journal without its sums. */
export interface JournalRow {
  readonly seq: number
  /** 0 where the row is about no log, or about one that was deleted. */
  readonly log: number
  readonly offset: number
  readonly count: number
  /** Of the log, after the batch. */
  readonly start: number
  readonly bytes: number
  readonly time: number
  /** Of the batch. */
  readonly size: number
  readonly key: string | null
  /** The text as `shorten` returns it; null where the tables have the events. */
  readonly data: string | null
}

export function sumOfEvent(log: number, { offset, type, time, data }: StoredEvent): number {
  return crc32(data, crc32(`${log} ${offset} ${time} ${typeof data} ${type}`))
}

/** A pack has zlib's sum of its own; this one ties it to its log. */
export function sumOfPack(log: number, { offset, time, data }: Pick<Row, 'offset' | 'time' | 'data'>): number {
  return crc32(data, crc32(`${log} ${offset} ${time}`))
}

export function sumOfLog({ id, name, epoch, start, head, bytes, touched, written }: Omit<LogRow, 'sum'>): number {
  return crc32(`${id} ${epoch} ${start} ${head} ${bytes} ${touched} ${written} ${name}`)
}

/** Its own sum: where only the data was changed, the log that it belongs to is known. */
export function sumOfHeader({ seq, log, offset, count, start, bytes, time, size, key }: JournalRow): number {
  return signed(crc32(`${seq} ${log} ${offset} ${count} ${start} ${bytes} ${time} ${size} ${key}`))
}

export function sumOfBatch(header: number, text: string | null): number {
  return text === null ? header : signed(crc32(text, header >>> 0))
}

/** SQLite stores a number of 32 bits with its sign in four bytes, and without in six. */
function signed(sum: number): number {
  return sum | 0
}

/** A row of an older version has no sum, and passes. */
export function isSum(kept: number | null, sum: number): boolean {
  return kept === null || kept === sum
}

/** In the order of the columns. The sum is the text's, so that it also shows whether the text was restored correctly. */
export function toValues(row: JournalRow, text: string | null = row.data) {
  const { seq, log, offset, count, start, bytes, time, size, key, data } = row
  const header = sumOfHeader(row)
  return [seq, log, offset, count, start, bytes, time, size, key, data, header, sumOfBatch(header, text)] as const
}

export function emptyRow(seq: number): JournalRow {
  return { seq, log: 0, offset: 0, count: 0, start: 0, bytes: 0, time: 0, size: 0, key: null, data: null }
}
