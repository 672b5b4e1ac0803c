/** Waiting for what comes next in a stream, and the long-poll. PROTOCOL.md 5.7 of Durable Streams. */
import type { Engine } from '../../log/log.ts'
import { nextCursor } from './cursor.ts'
import {
  type Answer,
  answerChunk,
  bytesMax,
  type Clock,
  findStart,
  headersOf,
  notKept,
  type ReadQuery,
  type Source,
} from './reading.ts'
import { formatPoint, readView, type View } from './view.ts'

export interface LiveOptions extends Clock {
  readonly engine: Engine
  readonly source: Source
  readonly view: View
  readonly query: ReadQuery
  readonly waitMs: number
  /** The client has left, or the server ends the connection. */
  readonly signal: AbortSignal
}

/** Answers when there is something, or after a time. */
export async function longPoll(options: LiveOptions, ifNoneMatch: string | null): Promise<Answer> {
  const { engine, source, query, waitMs, signal, now, random } = options
  let { view } = options
  const from = findStart(view, query.offset)
  const at = formatPoint(view, from)
  const until = now() + waitMs
  const waiting = watchSource(source, signal)
  try {
    for (;;) {
      const point = findStart(view, at)
      const cursor = nextCursor(query.cursor, now(), random())
      const chunk = await readView(engine, view, point, bytesMax)
      if (chunk.messages.length > 0) return answerChunk({ name: source.name, view, from: point, chunk, ifNoneMatch, cursor })
      const left = until - now()
      if (view.isClosed || left <= 0 || signal.aborted) {
        const { 'content-type': _type, ...headers } = headersOf(view, chunk)
        return { status: 204, headers: { ...headers, ...notKept, ...(!view.isClosed && { 'stream-cursor': cursor }) } }
      }
      await waiting.next(Math.min(left, source.waitMsMax ?? left))
      view = await source.open()
    }
  } finally {
    waiting.end()
  }
}

/**
 * `next` resolves after a call of the bell, after a time, or when the signal has aborted. The first time at once: the stream may
 * have changed before it was watched.
 */
export function watchSource(source: Pick<Source, 'watch'>, signal: AbortSignal) {
  let isNotified = true
  let wake: (() => void) | undefined
  const notify = () => {
    isNotified = true
    wake?.()
  }
  const unwatch = source.watch(notify)
  signal.addEventListener('abort', notify)
  return {
    async next(ms: number): Promise<void> {
      if (!isNotified && !signal.aborted) await new Promise<void>((resolve) => sleep(ms, resolve))
      isNotified = false
    },
    end(): void {
      unwatch()
      signal.removeEventListener('abort', notify)
    },
  }

  function sleep(ms: number, resolve: () => void): void {
    const timer = setTimeout(() => wake?.(), ms)
    wake = () => {
      clearTimeout(timer)
      wake = undefined
      resolve()
    }
  }
}
