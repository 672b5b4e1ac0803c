/**
 * A cache of the events that this process appended last, so that live readers do not cost a call to the database.
 * Bounded in each log and in total. Not an LRU of a library: a log's size changes with every append, and a library
 * would remove and insert the log each time.
 */
import type { Position } from '@millrace/protocol'
import { sizeOf } from '../../log/event-size.ts'
import type { LogEvent, NewEvent, Page, ReadOptions } from '../../log/log.ts'

const eventsPerLogMax = 512
const bytesPerLogMax = 1024 * 1024
const logsMax = 2048
const totalBytesMax = 64 * 1024 * 1024

interface CachedLog {
  readonly epoch: string
  /** `events` are the ones after `from`, up to `head`. */
  from: number
  head: number
  readonly events: LogEvent[]
  /** Of the events' data, at the same indexes. */
  readonly sizes: number[]
  bytes: number
}

export interface Appended {
  readonly epoch: string
  readonly head: number
  /** Retention has removed the events up to this offset. */
  readonly start: number
  readonly time: number
  readonly events: readonly NewEvent[]
}

export interface Bounds extends Required<ReadOptions> {
  /** Of the events to return; the database decides about older ones. */
  readonly oldest: number
  /** The head by the notifications of other nodes; default 0. */
  readonly head?: number
}

export interface RecentEvents {
  push(log: string, appended: Appended): void
  /** Undefined when only the database can tell. */
  read(log: string, after: Position, bounds: Bounds): Page | undefined
  /** As `Engine.peek`: an empty page does not show that other nodes have appended nothing. */
  peek(log: string, after: Position, bounds: Bounds): Page | undefined
  forget(log: string): void
  clear(): void
}

export function createRecentEvents(): RecentEvents {
  /** In the order of their last append. */
  const logs = new Map<string, CachedLog>()
  let totalBytes = 0

  return {
    push(log, { epoch, head, start, time, events }) {
      const from = head - events.length
      const known = logs.get(log)
      // It came from another node first.
      if (known?.epoch === epoch && known.head >= head) return
      const isNext = known?.epoch === epoch && known.head === from
      if (!isNext) drop(log)
      const cached = isNext ? known : { epoch, from, head, events: [], sizes: [], bytes: 0 }
      logs.delete(log)
      logs.set(log, cached)
      let bytes = 0
      let offset = from
      for (const { type, data } of events) {
        const size = sizeOf(data)
        cached.events.push({ type, data, time, offset: ++offset })
        cached.sizes.push(size)
        bytes += size
      }
      grow(cached, bytes)
      cached.head = head
      // Trimmed at twice the bound, so that hundreds of appends share one splice.
      const isLong = cached.events.length > 2 * eventsPerLogMax
      trim(cached, Math.max(start - cached.from, isLong ? cached.events.length - eventsPerLogMax : 0))
      if (cached.bytes > bytesPerLogMax) trim(cached, countOver(cached))
      while (logs.size > logsMax || (totalBytes > totalBytesMax && logs.size > 1)) drop(logs.keys().next().value as string)
    },

    read,
    peek(log, after, bounds) {
      const page = read(log, after, bounds)
      return page?.events.length === 0 ? undefined : page
    },
    forget: drop,
    clear() {
      logs.clear()
      totalBytes = 0
    },
  }

  function read(log: string, { epoch, offset }: Position, { eventsMax, bytesMax, oldest, head = 0 }: Bounds): Page | undefined {
    const cached = logs.get(log)
    if (cached === undefined || cached.epoch !== epoch || offset < cached.from || offset > cached.head) return undefined
    const first = offset - cached.from
    if ((cached.events[first]?.time ?? oldest) < oldest) return undefined
    let last = first
    for (let bytes = 0; last < cached.events.length && last - first < eventsMax && (bytes < bytesMax || last === first); last++)
      bytes += cached.sizes[last] as number
    const at = (to: number): Position => ({ epoch, offset: to })
    return { events: cached.events.slice(first, last), position: at(cached.from + last), head: at(Math.max(cached.head, head)) }
  }

  function drop(log: string): void {
    totalBytes -= logs.get(log)?.bytes ?? 0
    logs.delete(log)
  }

  function grow(cached: CachedLog, bytes: number): void {
    cached.bytes += bytes
    totalBytes += bytes
  }

  /** Removes the oldest events. */
  function trim(cached: CachedLog, count: number): void {
    if (count <= 0) return
    cached.events.splice(0, count)
    const removed = cached.sizes.splice(0, count)
    cached.from += removed.length
    grow(cached, -removed.reduce((sum, size) => sum + size, 0))
  }
}

/** The number of oldest events to remove: half of the bound stays, so that appends share a trim, and always the newest. */
function countOver({ sizes, bytes }: CachedLog): number {
  let count = 0
  for (let left = bytes; left > bytesPerLogMax / 2 && count < sizes.length - 1; count++) left -= sizes[count] as number
  return count
}
