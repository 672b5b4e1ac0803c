/**
 * For engines: the newest events of the logs in use, as this process appended them, so that whoever is live reads
 * them without asking the database. Bounded for each log and for all together.
 */
import type { Position } from '@millrace/protocol'
import type { LogEvent, NewEvent, Page } from './log.ts'

const eventsPerLogMax = 512
const logsMax = 2048

interface Held {
  readonly epoch: string
  /** The events after `from`, up to the log's head. */
  from: number
  head: number
  events: LogEvent[]
}

export interface Appended {
  readonly epoch: string
  readonly head: number
  /** What retention has left begins after it. */
  readonly start: number
  readonly time: number
  readonly events: readonly NewEvent[]
}

export interface Recent {
  push(log: string, appended: Appended): void
  /** Undefined where the database has to be asked. */
  read(log: string, after: Position, bounds: { eventsMax: number; bytesMax: number; oldest: number }): Page | undefined
  forget(log: string): void
  clear(): void
}

export function createRecent(): Recent {
  /** In the order of their last append. */
  const logs = new Map<string, Held>()

  return {
    push(log, { epoch, head, start, time, events }) {
      const from = head - events.length
      const known = logs.get(log)
      const isNext = known?.epoch === epoch && known.head === from
      const held = isNext ? known : { epoch, from, head, events: [] }
      for (const [index, { type, data }] of events.entries()) held.events.push({ type, data, time, offset: from + index + 1 })
      held.head = head
      const surplus = Math.max(start - held.from, held.events.length - eventsPerLogMax)
      // Twice the bound before it is cut: one cut then stands for hundreds of appends.
      if (start > held.from || held.events.length > 2 * eventsPerLogMax) {
        held.events.splice(0, surplus)
        held.from += surplus
      }
      logs.delete(log)
      logs.set(log, held)
      if (logs.size > logsMax) logs.delete(logs.keys().next().value as string)
    },

    read(log, { epoch, offset }, { eventsMax, bytesMax, oldest }) {
      const held = logs.get(log)
      if (held === undefined || held.epoch !== epoch || offset < held.from || offset > held.head) return undefined
      const first = offset - held.from
      // Retention is the database's to decide.
      if ((held.events[first]?.time ?? oldest) < oldest) return undefined
      let last = first
      for (let bytes = 0; last < held.events.length && last - first < eventsMax && (bytes < bytesMax || last === first); last++)
        bytes += sizeOf(held.events[last]?.data)
      const at = (to: number): Position => ({ epoch, offset: to })
      return { events: held.events.slice(first, last), position: at(held.from + last), head: at(held.head) }
    },

    forget: (log) => void logs.delete(log),
    clear: () => logs.clear(),
  }
}

/** Near enough to bound a page by, and far cheaper than writing it. */
export function sizeOf(data: unknown): number {
  if (typeof data === 'string') return data.length
  if (data instanceof Uint8Array) return data.byteLength
  if (typeof data !== 'object' || data === null) return 8
  let bytes = 2
  for (const value of Object.values(data)) bytes += 8 + sizeOf(value)
  return bytes
}
