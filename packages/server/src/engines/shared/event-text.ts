/** A batch of events as one JSON text, with bytes as base64. */
import type { Json } from '@millrace/protocol'
import type { EventData, NewEvent } from '../../log/log.ts'

export type EncodedEvent = readonly [type: string, data: Json, isBytes?: 1]

export function encodeEvents(events: readonly NewEvent[]): EncodedEvent[] {
  return events.map(({ type, data }) =>
    data instanceof Uint8Array ? [type, Buffer.from(data).toString('base64'), 1] : [type, data],
  )
}

export function decodeData([, data, isBytes]: EncodedEvent): EventData {
  return isBytes ? new Uint8Array(Buffer.from(data as string, 'base64')) : data
}

export function formatEvents(events: readonly NewEvent[]): string {
  return JSON.stringify(encodeEvents(events))
}

/** Throws when the text is not from `formatEvents`. */
export function parseEvents(text: string): NewEvent[] {
  const events = JSON.parse(text) as readonly EncodedEvent[]
  return events.map((event) => ({ type: event[0], data: decodeData(event) }))
}
