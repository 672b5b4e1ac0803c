/** The size of events for every limit in bytes: an estimate, far cheaper than serializing them. */
import type { NewEvent } from './log.ts'

export function sizeOfAll(events: readonly NewEvent[]): number {
  let bytes = 0
  for (const { data } of events) bytes += sizeOf(data)
  return bytes
}

/** Of one event's data. */
export function sizeOf(data: unknown): number {
  if (typeof data === 'string') return data.length
  if (data instanceof Uint8Array) return data.byteLength
  if (typeof data !== 'object' || data === null) return 8
  let bytes = 2
  // Several times as fast as a loop with `in`, and V8 makes no array for it.
  for (const value of Object.values(data)) bytes += 8 + sizeOf(value)
  return bytes
}
