/**
 * Stored events: JSON as text, bytes unchanged. A pack is many events compressed together: consecutive deltas of an
 * answer are alike. Imports no package of Millrace's, because SQLite's worker runs it.
 */
import { promisify } from 'node:util'
import { deflate, deflateSync, inflate, inflateSync } from 'node:zlib'
import { LRUCache } from 'lru-cache'
import type { EventData, LogEvent } from '../../log/log.ts'

export type StoredData = string | Uint8Array

export interface StoredEvent {
  readonly offset: number
  readonly type: string
  readonly time: number
  readonly data: StoredData
}

export interface StoredText extends StoredEvent {
  readonly data: string
}

/**
 * Bounds of a pack: enough events to be worth it, and no more than a page or two, since reading one event unpacks all.
 * Events with bytes are left out: files are compressed already, and base64 would make them larger.
 */
export const packed = { eventsMin: 8, eventsMax: 512, bytesMax: 256 * 1024 }
/** A reader goes through a pack in several pages, and other readers read beside it. */
const unpackedMax = 16

export function toStored(data: EventData): StoredData {
  return data instanceof Uint8Array ? data : JSON.stringify(data)
}

/** Throws when the text is not JSON. */
export function fromStored({ data, ...event }: StoredEvent): LogEvent {
  return { ...event, data: typeof data === 'string' ? JSON.parse(data) : data }
}

type Packed = readonly [type: string, time: number, data: string]

/** The offsets of `events` MUST have no hole. */
export function pack(events: readonly StoredText[]): Uint8Array {
  return deflateSync(toText(events))
}

/** `last` is the offset of the last event. Throws when zlib's checksum shows that a byte was changed. */
export function unpack(last: number, bytes: Uint8Array): StoredText[] {
  return fromText(last, inflateSync(bytes).toString())
}

/** `pack` without blocking the event loop. */
export async function packAside(events: readonly StoredText[]): Promise<Uint8Array> {
  return promisify(deflate)(toText(events))
}

/** `unpack` without blocking the event loop. */
export async function unpackAside(last: number, bytes: Uint8Array): Promise<StoredText[]> {
  return fromText(last, (await promisify(inflate)(bytes)).toString())
}

/** The packs read last. A key MUST always stand for the same events. */
export function createUnpacked<T extends object>(): LRUCache<string, T> {
  return new LRUCache({ max: unpackedMax })
}

function toText(events: readonly StoredText[]): string {
  return JSON.stringify(events.map(({ type, time, data }): Packed => [type, time, data]))
}

function fromText(last: number, text: string): StoredText[] {
  const all = JSON.parse(text) as readonly Packed[]
  const before = last - all.length
  return all.map(([type, time, data], index) => ({ offset: before + index + 1, type, time, data }))
}
