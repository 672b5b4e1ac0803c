/**
 * What Redis publishes after an append: the log's head, and the events where they are few. They only fill the cache of
 * recent events, from which `read` returns them by their position; so readers on other nodes cost Redis no call.
 */
import type { NewEvent } from '../../log/log.ts'
import { parseEvents } from '../shared/event-text.ts'
import type { Appended } from '../shared/recent-events.ts'

/** Bytes of events in one notification. Redis disconnects a node behind which 32 MiB of notifications wait. */
export const carriedBytesMax = 16 * 1024

/** 0 when the log has ended or has a new epoch. */
export function headIn(message: string): number {
  return Number.parseInt(message, 10)
}

/** As `scripts.append` writes it; undefined when the notification carries no events. */
export function appendedIn(message: string): Appended | undefined {
  const [head, epoch, start, time] = message.split(' ', 4)
  if (epoch === undefined) return undefined
  const text = message.slice([head, epoch, start, time, ''].join(' ').length)
  const events: NewEvent[] = text.split('\n').flatMap(parseEvents)
  return { epoch, head: Number(head), start: Number(start), time: Number(time), events }
}
