/** What a reader is given of a log, out of the messages that its batches are in. */
import type { Position } from '@millrace/protocol'
import { sizeOf } from '../../log/event-size.ts'
import type { LogEvent, Page } from '../../log/log.ts'
import type { Bounds } from '../shared/recent-events.ts'
import { decodeBatch } from './batch.ts'
import type { Connection, Stored } from './connection.ts'
import type { LogIndex } from './index-cache.ts'

/** Undefined where something is missing that is known to be there. */
export async function loadPage(
  connection: Connection,
  subject: string,
  known: LogIndex,
  after: Position,
  { eventsMax: countMax, bytesMax: sizeMax, oldest }: Bounds,
  deadline: number,
): Promise<Page | undefined> {
  const from = Math.max(after.offset, known.start)
  const events: LogEvent[] = []
  let reached = from
  let size = 0
  let next = from < known.head ? known.batches.findIndex(({ last }) => last > from) : -1
  const place = known.batches[next]
  let isBroken = false
  const isKept = place !== undefined && place.time >= oldest
  const take = ({ seq, data }: Stored, isLeaders: boolean) => {
    // Gone by age.
    while (events.length === 0 && !isKept && (known.batches[next]?.seq ?? seq) < seq) next += 1
    const due = known.batches[next]
    if (due === undefined) return 'enough'
    // No batch of this log: stored twice, or by somebody who did not know the one before it.
    if (seq < due.seq) return 'more'
    const batch = decodeBatch(data)
    isBroken = batch.id !== due.id
    if (isBroken) return isLeaders ? 'enough' : 'doubtful'
    for (const event of batch.events) {
      if (event.offset <= reached) continue
      if (events.length === countMax || (size >= sizeMax && events.length > 0)) return 'enough'
      // What has gone by age since is missing before the first.
      if (events.length === 0) known.start = Math.max(known.start, event.offset > from + 1 ? event.offset - 1 : 0)
      events.push(event)
      reached = event.offset
      size += sizeOf(event.data)
    }
    next += 1
    return reached < known.head ? 'more' : 'enough'
  }
  if (place !== undefined) await connection.each(subject, place.seq, take, deadline)
  if (isBroken || (isKept && events.length === 0)) return undefined
  const first = (events[0]?.offset ?? from + 1) - 1
  const at = (offset: number): Position => ({ epoch: after.epoch, offset })
  const page = { events, position: at(events.at(-1)?.offset ?? first), head: at(known.head) }
  return first === after.offset ? page : { ...page, gap: { from: after, to: at(first) } }
}
