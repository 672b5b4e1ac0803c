/** Batches as they stand in Redis, and what a reader is given of them. */
import { type Json, MillraceError, type Position } from '@millrace/protocol'
import type { EventData, LogEvent, NewEvent, Page, ReadOptions } from '../../log/log.ts'
import { sizeOf } from '../../log/recent.ts'
import { fromStored, unpack } from '../stored.ts'

/** A batch as it stands in Redis, or a pack of them. */
export type Entry = readonly [last: number, count: string, time: string, data: string, isPacked: 0 | 1]

export function encode(events: readonly NewEvent[]): string {
  return JSON.stringify(
    events.map(({ type, data }) => (data instanceof Uint8Array ? [type, Buffer.from(data).toString('base64'), 1] : [type, data])),
  )
}

/** One batch after another, as far as they are asked for. Throws where one is not as an engine has written it. */
export function* decodeAll(entries: readonly Entry[]): Generator<LogEvent> {
  try {
    for (const entry of entries) yield* decode(entry)
  } catch (cause) {
    throw new MillraceError('log_damaged', { cause })
  }
}

function decode([last, count, time, text, isPacked]: Entry): LogEvent[] {
  if (isPacked) return unpack(last, Buffer.from(text, 'base64')).map(fromStored)
  const events = JSON.parse(text) as readonly (readonly [type: string, data: Json, isBytes?: 1])[]
  const first = last - Number(count) + 1
  return events.map(([type, data, isBytes], index) => {
    const value: EventData = isBytes ? new Uint8Array(Buffer.from(data as string, 'base64')) : data
    return { offset: first + index, type, time: Number(time), data: value }
  })
}

export interface Answer {
  readonly head: number
  readonly start: number
  readonly entries: readonly Entry[]
}

/** A batch is read as a whole; what the reader has of it, or has not asked for, is left out. */
export function toPage(after: Position, { head, start, entries }: Answer, { eventsMax, bytesMax }: Required<ReadOptions>): Page {
  const { epoch } = after
  const from = Math.max(after.offset, start)
  const events: LogEvent[] = []
  let size = 0
  for (const event of decodeAll(entries)) {
    if (event.offset <= from) continue
    if (events.length === eventsMax || (size >= bytesMax && events.length > 0)) break
    events.push(event)
    size += sizeOf(event.data)
  }
  const page = { events, position: { epoch, offset: events.at(-1)?.offset ?? from }, head: { epoch, offset: head } }
  return from === after.offset ? page : { ...page, gap: { from: after, to: { epoch, offset: from } } }
}
