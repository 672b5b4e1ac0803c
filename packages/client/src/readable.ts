/** What can be read from a position on: a session's or a channel's events, one loop at a time. */
import { parsePosition } from '@millrace/protocol'
import { MillraceError } from './errors.ts'
import type { Link } from './link.ts'
import type { Outbox } from './outbox.ts'
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

export interface ReadableOptions {
  readonly source: Reading
  readonly from: string
  /** What must have happened before it can be read. */
  readonly ready: () => Promise<unknown>
  readonly outbox: Outbox
  readonly openLink: (source: Reading, reader: Reader) => Link
  readonly closeLink: (link: Link) => void
  /** A loop has begun or ended, perhaps without a link. */
  readonly onReading: () => void
}

export function createReadable<E extends ReadEvent>(options: ReadableOptions): Readable<E> {
  const { source, from, ready, outbox, openLink, closeLink, onReading } = options
  let position = from
  let reader: Reader | undefined

  return {
    get position() {
      return position
    },
    get isRead() {
      return reader !== undefined
    },
    events({ signal, from: next = position } = {}) {
      if (reader !== undefined) throw new TypeError('This is being read; leave the other loop first, or call leave().')
      position = checkFrom(next)
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
      locate()
        .then((located) => {
          if (reader !== own) return
          if (located !== undefined) {
            position = located
            own.skipTo(undefined, located)
          }
          link = openLink(source, own)
        })
        .catch((error: MillraceError) => own.end(error))
    }
    return own
  }

  /** A cut before the first event must not lose what comes after it: "now" is a place, found once. */
  async function locate(): Promise<string | undefined> {
    await ready()
    return position === 'now' ? ((await outbox.send({ type: 'locate', source })) as string) : undefined
  }
}

/** `start`, `now`, or a position that an event carried. Throws for anything else: a typing mistake must not read from the start. */
export function checkFrom(from: string): string {
  if (from === 'start' || from === 'now' || parsePosition(from) !== undefined) return from
  throw new MillraceError('position_invalid')
}
