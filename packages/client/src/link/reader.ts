/**
 * What a caller iterates over: the events of one log, each exactly once and in order, whichever
 * stream brought them. This is where positions are compared, and the only place.
 */
import { type Gap, parsePosition, readBinary } from '@millrace/protocol'
import type { MillraceError } from '../errors.ts'

/** An event and the position after it. `data` is JSON, or a Uint8Array. The type `gap` says that events are missing: `{from, to}`. */
export interface LogEvent {
  readonly type: string
  readonly id: string
  readonly data: unknown
}

export type Verdict = 'take' | 'drop' | 'stale' | 'foreign' | 'bad'

/**
 * Whether an event is the next one. `reached` is the last position taken, `before` where the stream that
 * brings it stood. An event may stand for several that were merged, so being later is not enough: one
 * that begins before `reached` and ends after it (6–8 where 7 has been taken) would say 6 and 7 twice.
 * It is `stale`, and the stream has to begin again at `reached`.
 */
export function judge(id: string, before: string | undefined, reached: string | undefined): Verdict {
  const at = parsePosition(id)
  if (at === undefined) return 'bad'
  const last = reached === undefined ? undefined : parsePosition(reached)
  if (last === undefined) return 'take'
  if (at.epoch !== last.epoch) return 'foreign'
  if (at.offset <= last.offset) return 'drop'
  const from = before === undefined ? undefined : parsePosition(before)
  return from?.epoch === last.epoch && from.offset === last.offset ? 'take' : 'stale'
}

/** Ends of a reader's queue: at the first it asks the connection to wait, at the second to go on. */
const queueMax = 1000
const queueLow = 100

export interface ReaderOptions {
  readonly from: string
  /** Up to here everything was handed to the caller. */
  readonly onHanded: (position: string) => void
  readonly onFull: () => void
  readonly onLow: () => void
  readonly onEnd: (error?: MillraceError) => void
}

export interface Reader extends AsyncIterableIterator<LogEvent> {
  /** Where a new stream has to begin. */
  readonly reached: string
  take(before: string | undefined, name: string, id: string, data: unknown): Verdict
  /** Nothing was to be handed out up to here. */
  skipTo(before: string | undefined, position: string): void
  /**
   * With an error the caller gets what is queued and then the error. Without one the caller has left: what is queued
   * is dropped, and `position` stays where the caller is.
   */
  end(error?: MillraceError): void
}

export function createReader({ from, onHanded, onFull, onLow, onEnd }: ReaderOptions): Reader {
  const queue: LogEvent[] = []
  /** Calls of `next` without an answer, in their order. */
  const pending: PromiseWithResolvers<IteratorResult<LogEvent>>[] = []
  let position = parsePosition(from) === undefined ? undefined : from
  let ended: { readonly error: MillraceError | undefined } | undefined
  let isFull = false

  const reader: Reader = {
    get reached() {
      return position ?? from
    },
    take(before, name, wireId, data) {
      // A gap is no event of the log and has no position of its own: it leads to where the stream goes on.
      const id = name === 'gap' ? (data as Gap).to : wireId
      const verdict = judge(id, name === 'gap' ? position : before, position)
      if (verdict !== 'take') return verdict
      position = id
      queue.push({ type: name, id, data: readBinary(data) ?? data })
      if (queue.length >= queueMax && !isFull) {
        isFull = true
        onFull()
      }
      answer()
      return verdict
    },
    skipTo(before, next) {
      if (judge(next, before, position) !== 'take') return
      position = next
      if (queue.length === 0) onHanded(next)
    },
    end(error) {
      if (error === undefined) queue.length = 0
      const isFirst = ended === undefined
      if (isFirst || error === undefined) ended = { error }
      if (isFirst) onEnd(error)
      answer()
    },
    next() {
      const call = Promise.withResolvers<IteratorResult<LogEvent>>()
      pending.push(call)
      answer()
      return call.promise
    },
    async return() {
      reader.end()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => reader,
  }
  return reader

  function answer(): void {
    while (pending.length > 0) {
      const event = queue.shift()
      if (event === undefined && ended === undefined) return
      const call = pending.shift()
      if (event !== undefined) {
        onHanded(event.id)
        call?.resolve({ done: false, value: event })
      } else if (ended?.error !== undefined) {
        call?.reject(ended.error)
        // Once; a loop that goes on after its error sees the end.
        ended = { error: undefined }
      } else call?.resolve({ done: true, value: undefined })
    }
    if (!isFull || queue.length > queueLow) return
    isFull = false
    onLow()
  }
}
