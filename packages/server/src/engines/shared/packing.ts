/**
 * Events as engines keep them: JSON as text, bytes as they are; and many of them in the room of a few, since the words
 * of an answer are alike, each by itself and one to the next. It knows no packages of Millrace's: a worker runs it.
 */
import { promisify } from 'node:util'
import { deflate, deflateSync, inflate, inflateSync } from 'node:zlib'
import type { EventData, LogEvent } from '../../log/log.ts'

/** JSON as text; bytes as they are. */
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
 * What a pack holds: enough to be worth it, and no more than a page or two, since who reads one event unpacks them all.
 * Bytes are left out: files are compressed already, and base64 would make them larger.
 */
export const packed = { eventsMin: 8, eventsMax: 512, bytesMax: 256 * 1024 }
/** Packs held unpacked: a reader goes through each in several pages, and others read beside it. */
const unpackedMax = 16

export function toStored(data: EventData): StoredData {
  return data instanceof Uint8Array ? data : JSON.stringify(data)
}

/** Throws where the text is no JSON. */
export function fromStored({ data, ...event }: StoredEvent): LogEvent {
  return { ...event, data: typeof data === 'string' ? JSON.parse(data) : data }
}

type Packed = readonly [type: string, time: number, data: string]

/** MUST be given events one after another, without a hole. */
export function pack(events: readonly StoredText[]): Uint8Array {
  return deflateSync(toText(events))
}

/** The events up to an offset, that of the last one. Throws where the checksum of zlib's format says that a byte is another. */
export function unpack(last: number, bytes: Uint8Array): StoredText[] {
  return fromText(last, inflateSync(bytes).toString())
}

/** The same where an event loop must not be held up. */
export async function packAside(events: readonly StoredText[]): Promise<Uint8Array> {
  return promisify(deflate)(toText(events))
}

export async function unpackAside(last: number, bytes: Uint8Array): Promise<StoredText[]> {
  return fromText(last, (await promisify(inflate)(bytes)).toString())
}

/** The packs that were read last. A key MUST stand for the same events for ever. */
export function createUnpacked<T>(): { read(key: string, unpack: () => T): T; forget(key: string): void } {
  const packs = new Map<string, T>()
  return {
    read(key, unpack) {
      const events = packs.get(key) ?? unpack()
      packs.delete(key)
      packs.set(key, events)
      if (packs.size > unpackedMax) packs.delete(packs.keys().next().value as string)
      return events
    },
    forget: (key) => void packs.delete(key),
  }
}

function toText(events: readonly StoredText[]): string {
  return JSON.stringify(events.map(({ type, time, data }): Packed => [type, time, data]))
}

function fromText(last: number, text: string): StoredText[] {
  const all = JSON.parse(text) as readonly Packed[]
  const before = last - all.length
  return all.map(([type, time, data], index) => ({ offset: before + index + 1, type, time, data }))
}
