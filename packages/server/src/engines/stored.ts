/**
 * Events as engines keep them: JSON as text, bytes as they are; and many of them in the room of a few, since the words
 * of an answer are alike, each by itself and one to the next. It knows no packages of Millrace's: a worker runs it.
 */
import { deflateSync, inflateSync } from 'node:zlib'
import type { EventData, LogEvent } from '../log/log.ts'

/** JSON as text; bytes as they are. */
export type StoredData = string | Uint8Array

export interface StoredEvent {
  readonly offset: number
  readonly type: string
  readonly time: number
  readonly data: StoredData
}

/** What a pack holds: enough to be worth it, and no more than a reader takes at once. */
export const packed = { eventsMin: 8, eventsMax: 512 }

export function toStored(data: EventData): StoredData {
  return data instanceof Uint8Array ? data : JSON.stringify(data)
}

/** Throws where the text is no JSON. */
export function fromStored({ data, ...event }: StoredEvent): LogEvent {
  return { ...event, data: typeof data === 'string' ? JSON.parse(data) : data }
}

/** In a pack bytes are base64, and marked. */
type Packed = readonly [type: string, time: number, data: string, isBytes?: 1]

/** MUST be given events one after another, without a hole. */
export function pack(events: readonly StoredEvent[]): Uint8Array {
  const all = events.map(
    ({ type, time, data }): Packed =>
      typeof data === 'string' ? [type, time, data] : [type, time, Buffer.from(data).toString('base64'), 1],
  )
  return deflateSync(JSON.stringify(all))
}

/** The events up to an offset, that of the last one. Throws where the checksum of zlib's format says that a byte is another. */
export function unpack(last: number, bytes: Uint8Array): StoredEvent[] {
  const all = JSON.parse(inflateSync(bytes).toString()) as readonly Packed[]
  const before = last - all.length
  return all.map(([type, time, data, isBytes], index) => ({
    offset: before + index + 1,
    type,
    time,
    data: isBytes ? new Uint8Array(Buffer.from(data, 'base64')) : data,
  }))
}
