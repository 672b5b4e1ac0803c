/** What can be read from a position on: a session's or a channel's events, one loop at a time. */
import { parsePosition } from '@millrace/protocol'
import { MillraceError } from './errors.ts'
import type { Link } from './link/link.ts'
import type { Links } from './link/links.ts'
import { createReader, type LogEvent, type Reader } from './link/reader.ts'
import { ReaderGroup } from './link/reader-group.ts'
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

/** A log and its one link, which is open while anything is read. */
export interface OpenLog<E extends LogEvent> {
  readonly logReader: LogReader<E>
  /** Another loop beside that of `events`, which does not move `position`. */
  open(from: string): Reader
}

export function createLogReader<E extends LogEvent>(options: LogReaderOptions): OpenLog<E> {
  const { source, place, prepare, links } = options
  const group = new ReaderGroup()
  const full = new Set<Reader>()
  let link: Link | undefined
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
  return { logReader, open: (from) => start(create(from)) }

  function begin(signal: AbortSignal | undefined): Reader {
    const own = create(
      place.position,
      (next) => {
        place.position = next
      },
      (error) => {
        isBeingRead = false
        // After an error there may be events that it has not handed out yet.
        if (error === undefined) signal?.removeEventListener('abort', leave)
      },
    )
    const leave = () => own.end()
    reader = own
    isBeingRead = true
    if (signal?.aborted) own.end()
    else {
      signal?.addEventListener('abort', leave)
      start(own)
    }
    return own
  }

  function create(from: string, onHanded = (_next: string) => {}, onEnd = (_error?: MillraceError) => {}): Reader {
    const own = createReader({
      from,
      onHanded,
      onFull() {
        full.add(own)
        link?.dispatch({ type: 'pause' })
      },
      onLow: () => unblock(own),
      onEnd(error) {
        onEnd(error)
        group.delete(own)
        if (group.size > 0) return unblock(own)
        full.clear()
        const last = link
        link = undefined
        if (last !== undefined) links.close(last)
      },
    })
    return own
  }

  /** The slowest of those who read sets the pace of the link. */
  function unblock(own: Reader): void {
    if (full.delete(own) && full.size === 0) link?.dispatch({ type: 'resume' })
  }

  function start(own: Reader): Reader {
    const { reached, size } = group
    group.add(own)
    if (link !== undefined) {
      if (size > 0 && own.reached !== reached) link.dispatch({ type: 'rejoin' })
      return own
    }
    try {
      // It holds what is read, which must not be collected meanwhile.
      link = links.open({ owner: { logReader, leave: () => group.end() }, source, reader: group, prepare })
    } catch (error) {
      group.end(error as MillraceError)
    }
    return own
  }
}

/** `start`, `now`, or a position that an event carried. Throws for anything else: a typing mistake must not read from the start. */
export function checkFrom(from: string): string {
  if (from === 'start' || from === 'now' || parsePosition(from) !== undefined) return from
  throw new MillraceError('position_invalid', { message: 'This is no position; use the id of an event.' })
}
