/** Batches as Redis stores them, and the pages made of them. */
import { MillraceError, type Position } from '@millrace/protocol'
import { sizeOf } from '../../log/event-size.ts'
import type { LogEvent, Page, ReadOptions } from '../../log/log.ts'
import { parseEvents } from '../shared/event-text.ts'
import { createUnpacked, fromStored, unpackAside } from '../shared/packing.ts'

/** A stored batch, or a pack of batches. */
export type Entry = readonly [last: number, count: string, time: string, data: string, isPacked: 0 | 1]

/** Throws `log_damaged` when an engine has not written the batch like this. */
export function decode([last, count, time, text]: Entry): LogEvent[] {
  try {
    const first = last - Number(count) + 1
    return parseEvents(text).map((event, index) => ({ ...event, offset: first + index, time: Number(time) }))
  } catch (cause) {
    throw new MillraceError('log_damaged', { cause })
  }
}

export interface Packs {
  /** The events of a batch or pack of the log with this epoch; rejects with `log_damaged`. */
  read(epoch: string, entry: Entry): Promise<readonly LogEvent[]>
}

export function createPacks(): Packs {
  const unpacked = createUnpacked<Promise<readonly LogEvent[]>>()

  return {
    async read(epoch, entry) {
      const [last, count, , , isPacked] = entry
      if (!isPacked) return decode(entry)
      // With the count: a Redis that lost a pack, but not its events, may pack another number up to the same offset.
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

/** What the script `read` returns, decoded. */
export interface StoredBatches {
  readonly head: number
  readonly start: number
  readonly batches: readonly (readonly LogEvent[])[]
}

/** Batches are read whole; the page leaves out events before the reader's position and beyond the bounds. */
export function toPage(
  after: Position,
  { head, start, batches }: StoredBatches,
  { eventsMax, bytesMax }: Required<ReadOptions>,
): Page {
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
