/** Reads one page of a log from the messages of its batches. */
import type { Position } from '@millrace/protocol'
import { sizeOf } from '../../log/event-size.ts'
import type { LogEvent, Page } from '../../log/log.ts'
import type { Bounds } from '../shared/recent-events.ts'
import { decodeBatch } from './batch.ts'
import type { LogIndex } from './log-index.ts'
import type { LogStream, Stored } from './stream.ts'

/** Undefined where a batch of the index is missing in the stream. The index MUST know every batch behind `after`. */
export async function loadPage(
  stream: LogStream,
  log: string,
  index: LogIndex,
  after: Position,
  { eventsMax, bytesMax, oldest }: Bounds,
  deadline: number,
): Promise<Page | undefined> {
  const from = Math.max(after.offset, index.start)
  const events: LogEvent[] = []
  let reached = from
  let size = 0
  let next = from < index.head ? index.batches.findIndex(({ last }) => last > from) : -1
  const first = index.batches[next]
  let isBroken = false
  const isKept = first !== undefined && first.time >= oldest
  const take = ({ seq, data }: Stored, isFromLeader: boolean) => {
    // Batches that have expired since.
    while (events.length === 0 && !isKept && (index.batches[next]?.seq ?? seq) < seq) next += 1
    const due = index.batches[next]
    if (due === undefined) return 'enough'
    const batch = decodeBatch(data)
    isBroken = batch.id !== due.id
    if (isBroken) return isFromLeader ? 'enough' : 'doubtful'
    for (const event of batch.events) {
      if (event.offset <= reached) continue
      if (events.length === eventsMax || (size >= bytesMax && events.length > 0)) return 'enough'
      // Events that have expired are missing before the first.
      if (events.length === 0) index.start = Math.max(index.start, event.offset > from + 1 ? event.offset - 1 : 0)
      events.push(event)
      reached = event.offset
      size += sizeOf(event.data)
    }
    next += 1
    return reached < index.head ? 'more' : 'enough'
  }
  if (first !== undefined) await stream.each(log, first.seq, take, deadline)
  if (isBroken || (isKept && events.length === 0)) return undefined
  const start = (events[0]?.offset ?? from + 1) - 1
  const at = (offset: number): Position => ({ epoch: after.epoch, offset })
  const page = { events, position: at(events.at(-1)?.offset ?? start), head: at(index.head) }
  return start === after.offset ? page : { ...page, gap: { from: after, to: at(start) } }
}
