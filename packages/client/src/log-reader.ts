/** What can be read from a position on: a session's or a channel's events, one loop at a time. */
import { parsePosition } from '@millrace/protocol'
import { MillraceError } from './errors.ts'
import type { Link } from './link/link.ts'
import type { Links } from './link/links.ts'
import { createReader, type LogEvent, type Reader } from './link/reader.ts'
import type { ReadRequest } from './transports/transport.ts'

export interface LogReader<E extends LogEvent = LogEvent> {
  /** After the last event that was handed out; where reading begins before the first. Store it to go on later. */
  readonly position: string
  /** A loop over `events` is under way. */
  readonly isBeingRead: boolean
  /**
   * Every event once and in order, from `from` on, which is `position` by default, whatever happens to the connection. Does not end by
   * itself: leave the loop, abort the signal, or call `leave`. Throws a MillraceError where it cannot go on
   * (`position_foreign`, `position_expired`, `position_ahead`, `session_not_found`): then begin again elsewhere,
   * with `from`; a session can be `read` to learn from where. One loop at a time.
   */
  events(options?: { readonly signal?: AbortSignal; readonly from?: string }): AsyncIterableIterator<E>
  /** Ends the loop over `events`. Runs go on. */
  leave(): void
}

/** What is kept when nobody holds what is read. */
export interface Place {
  position: string
  /** It is there, on the server. */
  isMade: boolean
}

export interface LogReaderOptions {
  readonly source: ReadRequest
  readonly place: Place
  /** What must have happened before it can be read; undefined where it has. */
  readonly prepare: () => Promise<unknown> | undefined
  readonly links: Pick<Links, 'open' | 'close'>
}

export function createLogReader<E extends LogEvent>(options: LogReaderOptions): LogReader<E> {
  const { source, place, prepare, links } = options
  /** The last loop's; also when it has ended, for what it still holds. */
  let reader: Reader | undefined
  let isBeingRead = false

  const logReader: LogReader<E> = {
    get position() {
      return place.position
    },
    get isBeingRead() {
      return isBeingRead
    },
    events({ signal, from: next = place.position } = {}) {
      if (isBeingRead) throw new TypeError('This is being read; call leave() first.')
      reader?.end()
      place.position = checkFrom(next)
      return begin(signal) as AsyncIterableIterator<LogEvent> as AsyncIterableIterator<E>
    },
    leave: () => reader?.end(),
  }
  return logReader

  function begin(signal: AbortSignal | undefined): Reader {
    let link: Link | undefined
    const own = createReader({
      from: place.position,
      onHanded(next) {
        place.position = next
      },
      onFull: () => link?.dispatch({ type: 'pause' }),
      onLow: () => link?.dispatch({ type: 'resume' }),
      onEnd(error) {
        isBeingRead = false
        // After an error there may be events that it has not handed out yet.
        if (error === undefined) signal?.removeEventListener('abort', leave)
        if (link !== undefined) links.close(link)
      },
    })
    const leave = () => own.end()
    reader = own
    isBeingRead = true
    if (signal?.aborted) {
      own.end()
      return own
    }
    signal?.addEventListener('abort', leave)
    try {
      link = links.open({ owner: logReader, source, reader: own, prepare })
    } catch (error) {
      own.end(error as MillraceError)
    }
    return own
  }
}

/** `start`, `now`, or a position that an event carried. Throws for anything else: a typing mistake must not read from the start. */
export function checkFrom(from: string): string {
  if (from === 'start' || from === 'now' || parsePosition(from) !== undefined) return from
  throw new MillraceError('position_invalid')
}
