/** What can be read from a position on: a session's or a channel's events, one loop at a time. */
import { parsePosition } from '@millrace/protocol'
import { MillraceError } from './errors.ts'
import type { Link } from './link.ts'
import { createReader, type ReadEvent, type Reader } from './reader.ts'
import type { Reading } from './transports/transport.ts'

export interface Readable<E extends ReadEvent = ReadEvent> {
  /** After the last event that was handed out; where reading begins before the first. Store it to go on later. */
  readonly position: string
  /** A loop over `events` is under way. */
  readonly isRead: boolean
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

export interface ReadableOptions {
  readonly source: Reading
  readonly place: Place
  /** What must have happened before it can be read; undefined where it has. */
  readonly prepare: () => Promise<unknown> | undefined
  readonly openLink: (source: Reading, reader: Reader, prepare: ReadableOptions['prepare']) => Link
  readonly closeLink: (link: Link) => void
  /** A loop has begun or ended. */
  readonly onReading: (readable: Readable) => void
}

export function createReadable<E extends ReadEvent>(options: ReadableOptions): Readable<E> {
  const { source, place, prepare, openLink, closeLink, onReading } = options
  /** The last loop's; also when it has ended, for what it still holds. */
  let reader: Reader | undefined
  let isRead = false

  const readable: Readable<E> = {
    get position() {
      return place.position
    },
    get isRead() {
      return isRead
    },
    events({ signal, from: next = place.position } = {}) {
      if (isRead) throw new TypeError('This is being read; leave the other loop first, or call leave().')
      reader?.end()
      place.position = checkFrom(next)
      return begin(signal) as AsyncIterableIterator<ReadEvent> as AsyncIterableIterator<E>
    },
    leave: () => reader?.end(),
  }
  return readable

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
        isRead = false
        // After an error there may be events that it has not handed out yet.
        if (error === undefined) signal?.removeEventListener('abort', leave)
        if (link !== undefined) closeLink(link)
        onReading(readable)
      },
    })
    const leave = () => own.end()
    reader = own
    isRead = true
    onReading(readable)
    if (signal?.aborted) {
      own.end()
      return own
    }
    signal?.addEventListener('abort', leave)
    try {
      link = openLink(source, own, prepare)
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
