/** One conversation: what is said in it comes out of `events`, what is asked goes in by `run`. */
import { type EndStatus, type Json, type LaneEnd, parsePosition, type RunEnd } from '@millrace/protocol'
import { MillraceError } from './errors.ts'
import { newId } from './host.ts'
import type { Http } from './http.ts'
import type { Link } from './link.ts'
import type { Outbox } from './outbox.ts'
import { createReader, type Reader, type ReaderEvent } from './reader.ts'
import type { Started } from './up.ts'

export interface RunOptions {
  /** At most 32,768 characters. */
  readonly query: string
  /** Names of models, one lane each, at most 8; default the server's. */
  readonly models?: readonly string[]
  /** Id of the run, 1 to 64 of `A-Z a-z 0-9 _ -`; the same id is the same run. Default a random one. */
  readonly id?: string
}

/** Resolves when the run's start stands in the log; rejects with the refusal. Waits while there is no connection. */
export interface Run extends Promise<Started> {
  readonly id: string
  /** Stops the run for everybody. Resolves with its end, which keeps what was said. Sent after the start, in order. */
  stop(): Promise<RunEnd>
}

export interface Session {
  readonly id: string
  /** After the last event that was handed out; `start` or `from` before the first. Store it to go on later. */
  readonly position: string
  /** A loop over `events` is under way. */
  readonly isRead: boolean
  /**
   * Every event once and in order, from `position` on, whatever happens to the connection. Does not end by
   * itself: leave the loop, abort the signal, or call `leave`. Throws a MillraceError where it cannot go on
   * (`position_foreign`, `position_expired`, `position_ahead`, `session_not_found`): then `read` the session and
   * begin again with `client.session(id, { from })`. One loop at a time.
   */
  events(options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<ReaderEvent>
  run(options: RunOptions): Run
  /** The conversation so far, and the position to go on from. */
  read(options?: { readonly signal?: AbortSignal }): Promise<Transcript>
  /** Ends the loop over `events`. Runs go on. */
  leave(): void
}

/** `GET /api/sessions/:id`; see PROTOCOL.md#http. */
export interface Transcript {
  readonly id: string
  readonly position: string
  readonly complete: boolean
  readonly runs: readonly (Partial<Omit<RunEnd, 'status' | 'lanes'>> & {
    readonly run: string
    readonly query: string
    readonly startedAt: number
    readonly status: 'streaming' | EndStatus
    readonly lanes: readonly (Partial<Omit<LaneEnd, 'status'>> & {
      readonly lane: string
      readonly model: string
      readonly text: string
      readonly reasoning: string
      readonly data: readonly { readonly name: string; readonly value: Json }[]
      readonly status: 'streaming' | EndStatus
    })[]
  })[]
}

export interface SessionOptions {
  readonly id: string | undefined
  readonly from: string
  readonly http: Http
  readonly outbox: Outbox
  readonly openLink: (session: string, reader: Reader) => Link
  readonly closeLink: (link: Link) => void
  /** A loop has begun or ended, perhaps without a link. */
  readonly onReading: () => void
}

export function createSession({ id: given, from, http, outbox, openLink, closeLink, onReading }: SessionOptions): Session {
  const id = given ?? newId()
  // First in the outbox, so that everything asked in the session comes after it.
  const created = given === undefined ? outbox.send({ type: 'create', session: id }) : Promise.resolve()
  // Whoever reads is told; whoever asks is refused for the same reason.
  created.catch(() => {})
  let position = from
  let reader: Reader | undefined
  const address = `api/sessions/${encodeURIComponent(id)}`

  const session: Session = {
    id,
    get position() {
      return position
    },
    get isRead() {
      return reader !== undefined
    },
    events({ signal } = {}) {
      if (reader !== undefined) throw new TypeError('This session is being read; leave the other loop first, or call leave().')
      return begin(signal)
    },
    run({ query, models, id: run = newId() }) {
      const started = outbox.send({ type: 'run', query, models, session: id, id: run }) as Promise<Started>
      return Object.assign(started, { id: run, stop: () => outbox.send({ type: 'stop', run }) as Promise<RunEnd> })
    },
    read: ({ signal } = {}) => http.json(address, { signal }) as Promise<Transcript>,
    leave: () => reader?.end(),
  }
  return session

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
      created.then(
        () => {
          if (reader === own) link = openLink(id, own)
        },
        (error: MillraceError) => own.end(error),
      )
    }
    return own
  }
}

/** `start`, or a position that an event carried. Throws for anything else: a typing mistake must not read from the start. */
export function checkFrom(from: string): string {
  if (from === 'start' || parsePosition(from) !== undefined) return from
  throw new MillraceError('position_invalid')
}
