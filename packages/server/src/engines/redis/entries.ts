/** Batches as they stand in Redis, and what a reader is given of them. */
import { type Json, MillraceError, type Position } from '@millrace/protocol'
import { sizeOf } from '../../log/event-size.ts'
import type { EventData, LogEvent, NewEvent, Page, ReadOptions } from '../../log/log.ts'
import { createUnpacked, fromStored, unpackAside } from '../shared/packing.ts'

/** A batch as it stands in Redis, or a pack of them. */
export type Entry = readonly [last: number, count: string, time: string, data: string, isPacked: 0 | 1]

export function encode(events: readonly NewEvent[]): string {
  return JSON.stringify(
    events.map(({ type, data }) => (data instanceof Uint8Array ? [type, Buffer.from(data).toString('base64'), 1] : [type, data])),
  )
}

/** Throws `log_damaged` where a batch is not as an engine has written it. */
export function decode([last, count, time, text]: Entry): LogEvent[] {
  try {
    const events = JSON.parse(text) as readonly (readonly [type: string, data: Json, isBytes?: 1])[]
    const first = last - Number(count) + 1
    return events.map(([type, data, isBytes], index) => {
      const value: EventData = isBytes ? new Uint8Array(Buffer.from(data as string, 'base64')) : data
      return { offset: first + index, type, time: Number(time), data: value }
    })
  } catch (cause) {
    throw new MillraceError('log_damaged', { cause })
  }
}

export interface Packs {
  /** The events of a batch or of a pack, of a log of this epoch; rejects with `log_damaged`. */
  read(epoch: string, entry: Entry): Promise<readonly LogEvent[]>
}

export function createPacks(): Packs {
  const unpacked = createUnpacked<Promise<readonly LogEvent[]>>()

  return {
    async read(epoch, entry) {
      const [last, count, , , isPacked] = entry
      if (!isPacked) return decode(entry)
      // With the count: a Redis that lost a pack, and none of its events, may pack others up to the same one.
      const key = `${epoch} ${last} ${count}`
      const events = unpacked.get(key) ?? unpack(entry)
      unpacked.set(key, events)
      try {
        return await events
      } catch (cause) {
        unpacked.delete(key)
        throw new MillraceError('log_damaged', { cause })
      }
    },
  }

  async function unpack([last, , , text]: Entry): Promise<readonly LogEvent[]> {
    return (await unpackAside(last, Buffer.from(text, 'base64'))).map(fromStored)
  }
}

export interface Answer {
  readonly head: number
  readonly start: number
  readonly batches: readonly (readonly LogEvent[])[]
}

/** A batch is read as a whole; what the reader has of it, or has not asked for, is left out. */
export function toPage(after: Position, { head, start, batches }: Answer, { eventsMax, bytesMax }: Required<ReadOptions>): Page {
  const { epoch } = after
  const from = Math.max(after.offset, start)
  const events: LogEvent[] = []
  let size = 0
  for (const event of batches.flat()) {
    if (event.offset <= from) continue
    if (events.length === eventsMax || (size >= bytesMax && events.length > 0)) break
    events.push(event)
    size += sizeOf(event.data)
  }
  const page = { events, position: { epoch, offset: events.at(-1)?.offset ?? from }, head: { epoch, offset: head } }
  return from === after.offset ? page : { ...page, gap: { from: after, to: { epoch, offset: from } } }
}
