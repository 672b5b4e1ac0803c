/**
 * What a caller iterates over: the events of one log, each exactly once and in order, whichever
 * stream brought them. This is where positions are compared, and the only place.
 */
import { type Gap, parsePosition, readBinary } from '@millrace/protocol'
import type { MillraceError } from './errors.ts'

/** An event and the position after it. `data` is JSON, or a Uint8Array. The type `gap` says that events are missing: `{from, to}`. */
export interface ReadEvent {
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
  /** An event was handed to the caller. */
  readonly onHanded: (position: string) => void
  readonly onFull: () => void
  readonly onLow: () => void
  readonly onEnd: () => void
}

export interface Reader extends AsyncIterableIterator<ReadEvent> {
  /** Where a new stream has to begin. */
  readonly reached: string
  take(before: string | undefined, name: string, id: string, data: unknown): Verdict
  /** Nothing was to be handed out up to here. */
  skipTo(before: string | undefined, position: string): void
  /** After what is queued the caller is told; without an error the iteration just ends. */
  end(error?: MillraceError): void
}

export function createReader({ from, onHanded, onFull, onLow, onEnd }: ReaderOptions): Reader {
  const queue: ReadEvent[] = []
  let position = parsePosition(from) === undefined ? undefined : from
  let ended: { readonly error: MillraceError | undefined } | undefined
  let isFull = false
  let wake: (() => void) | undefined

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
      wake?.()
      return verdict
    },
    skipTo(before, next) {
      if (judge(next, before, position) === 'take') position = next
    },
    end(error) {
      if (ended !== undefined) return
      ended = { error }
      onEnd()
      wake?.()
    },
    async next() {
      for (;;) {
        const event = queue.shift()
        if (event !== undefined) {
          onHanded(event.id)
          if (isFull && queue.length <= queueLow) {
            isFull = false
            onLow()
          }
          return { done: false, value: event }
        }
        if (ended !== undefined) {
          const { error } = ended
          // Told once; a loop that goes on after its error sees the end.
          ended = { error: undefined }
          if (error !== undefined) throw error
          return { done: true, value: undefined }
        }
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    async return() {
      queue.length = 0
      reader.end()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => reader,
  }
  return reader
}
