/** A batch of events as one JSON text, with bytes as base64. */
import type { Json } from '@millrace/protocol'
import type { NewEvent } from '../../log/log.ts'

export function formatEvents(events: readonly NewEvent[]): string {
  return JSON.stringify(
    events.map(({ type, data }) => (data instanceof Uint8Array ? [type, Buffer.from(data).toString('base64'), 1] : [type, data])),
  )
}

/** Throws when the text is not from `formatEvents`. */
export function parseEvents(text: string): NewEvent[] {
  const events = JSON.parse(text) as readonly (readonly [type: string, data: Json, isBytes?: 1])[]
  return events.map(([type, data, isBytes]) => ({
    type,
    data: isBytes ? new Uint8Array(Buffer.from(data as string, 'base64')) : data,
  }))
}
