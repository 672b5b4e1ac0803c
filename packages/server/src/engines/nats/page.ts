/** What a reader is given of a log, out of the messages that its batches are in. */
import type { Position } from '@millrace/protocol'
import type { LogEvent, Page } from '../../log/log.ts'
import { sizeOf } from '../../log/recent.ts'
import { decodeBatch } from './batch.ts'
import type { Connection, Stored } from './connection.ts'
import type { Known } from './shelf.ts'

export interface Bounds {
  /** Events and bytes of a page; one event is given in any case. */
  readonly eventsMax: number
  readonly bytesMax: number
  /** What is older has gone by age. */
  readonly oldest: number
}

/** Undefined where something is missing that is known to be there. */
export async function loadPage(
  connection: Connection,
  subject: string,
  known: Known,
  after: Position,
  { eventsMax: countMax, bytesMax: sizeMax, oldest }: Bounds,
  deadline: number,
): Promise<Page | undefined> {
  const from = Math.max(after.offset, known.start)
  const events: LogEvent[] = []
  let reached = from
  let size = 0
  const place = from < known.head ? known.batches.find(({ last }) => last > from) : undefined
  let isBroken = false
  const isKept = place !== undefined && place.time >= oldest
  const take = ({ seq, data }: Stored, isLeaders: boolean) => {
    for (const event of decodeBatch(data).events) {
      if (event.offset <= reached) continue
      // Not gone by age, and yet gone.
      isBroken = events.length > 0 ? event.offset !== reached + 1 : isKept && seq > place.seq
      if (isBroken) return isLeaders ? 'enough' : 'doubtful'
      if (events.length === countMax || (size >= sizeMax && events.length > 0)) return 'enough'
      // What has gone by age since is missing before the first.
      if (events.length === 0) known.start = Math.max(known.start, event.offset > from + 1 ? event.offset - 1 : 0)
      events.push(event)
      reached = event.offset
      size += sizeOf(event.data)
    }
    return reached < known.head ? 'more' : 'enough'
  }
  if (place !== undefined) await connection.each(subject, place.seq, take, deadline)
  if (isBroken || (isKept && events.length === 0)) return undefined
  const first = (events[0]?.offset ?? from + 1) - 1
  const at = (offset: number): Position => ({ epoch: after.epoch, offset })
  const page = { events, position: at(events.at(-1)?.offset ?? first), head: at(known.head) }
  return first === after.offset ? page : { ...page, gap: { from: after, to: at(first) } }
}
