/** What can be read from a position on: a session's or a channel's events, one loop at a time. */
import { parsePosition, type Source } from '@millrace/protocol'
import { MillraceError } from './errors.ts'
import type { Link } from './link.ts'
import { createReader, type ReadEvent, type Reader } from './reader.ts'

export interface Readable<E extends ReadEvent = ReadEvent> {
  /** After the last event that was handed out; where reading begins before the first. Store it to go on later. */
  readonly position: string
  /** A loop over `events` is under way. */
  readonly isRead: boolean
  /**
   * Every event once and in order, from `position` on, whatever happens to the connection. Does not end by
   * itself: leave the loop, abort the signal, or call `leave`. Throws a MillraceError where it cannot go on
   * (`position_foreign`, `position_expired`, `position_ahead`, `session_not_found`): then begin again elsewhere,
   * with `from`; a session can be `read` to learn from where. One loop at a time.
   */
  events(options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<E>
  /** Ends the loop over `events`. Runs go on. */
  leave(): void
}

export interface ReadableOptions {
  readonly source: Source
  readonly from: string
  /** What must have happened before it can be read; may answer with the position that `from` stands for. */
  readonly ready: (from: string) => Promise<unknown>
  readonly openLink: (source: Source, reader: Reader) => Link
  readonly closeLink: (link: Link) => void
  /** A loop has begun or ended, perhaps without a link. */
  readonly onReading: () => void
}

export function createReadable<E extends ReadEvent>(options: ReadableOptions): Readable<E> {
  const { source, from, ready, openLink, closeLink, onReading } = options
  let position = from
  let reader: Reader | undefined

  return {
    get position() {
      return position
    },
    get isRead() {
      return reader !== undefined
    },
    events({ signal } = {}) {
      if (reader !== undefined) throw new TypeError('This is being read; leave the other loop first, or call leave().')
      return begin(signal) as AsyncIterableIterator<ReadEvent> as AsyncIterableIterator<E>
    },
    leave: () => reader?.end(),
  }

  function begin(signal: AbortSignal | undefined): Reader {
    let link: Link | undefined
    const own = createReader({
      from: position,
      onHanded(next) {
        position = next
      },
      onFull: () => link?.dispatch({ type: 'pause' }),
      onLow: () => link?.dispatch({ type: 'resume' }),
      onEnd() {
        if (reader === own) reader = undefined
        signal?.removeEventListener('abort', leave)
        if (link !== undefined) closeLink(link)
        onReading()
      },
    })
    const leave = () => own.end()
    reader = own
    onReading()
    if (signal?.aborted) own.end()
    else {
      signal?.addEventListener('abort', leave)
      ready(position).then(
        (located) => {
          if (reader !== own) return
          if (typeof located === 'string') {
            position = located
            own.skipTo(undefined, located)
          }
          link = openLink(source, own)
        },
        (error: MillraceError) => own.end(error),
      )
    }
    return own
  }
}

/** One of `words`, or a position that an event carried. Throws for anything else: a typing mistake must not read from the start. */
export function checkFrom(from: string, ...words: string[]): string {
  if (words.includes(from) || parsePosition(from) !== undefined) return from
  throw new MillraceError('position_invalid')
}
