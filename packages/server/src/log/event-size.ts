/** How large events are, as every limit in bytes counts it: an estimate, far cheaper than writing them. */
import type { NewEvent } from './log.ts'

/** Bytes of the data of events. */
export function sizeOfAll(events: readonly NewEvent[]): number {
  return events.reduce((sum, { data }) => sum + sizeOf(data), 0)
}

/** Bytes of one event's data. */
export function sizeOf(data: unknown): number {
  if (typeof data === 'string') return data.length
  if (data instanceof Uint8Array) return data.byteLength
  if (typeof data !== 'object' || data === null) return 8
  let bytes = 2
  for (const value of Object.values(data)) bytes += 8 + sizeOf(value)
  return bytes
}
