/** Server-sent events of a stream: each message as `data`, and after each a `control` that says where to go on. */
import { nextCursor } from './cursor.ts'
import { type LiveOptions, watchSource } from './live.ts'
import { findStart, isClosedAfter } from './reading.ts'
import { isJson, mediaTypeOf } from './state.ts'
import { formatPoint, type Message, readView, type View } from './view.ts'

/** Of one read: what a slow client has not taken is not read. */
const bytesMax = 64 * 1024

export function isText({ contentType }: Pick<View, 'contentType'>): boolean {
  return isJson(contentType) || mediaTypeOf(contentType).startsWith('text/')
}

/** Frames, each with its events, until the stream is closed, the time is over or the signal aborts. */
export async function* streamFrames(options: LiveOptions): AsyncGenerator<{ readonly text: string; readonly events: number }> {
  const { engine, source, query, waitMs, signal, now, random } = options
  let { view } = options
  let at = formatPoint(view, findStart(view, query.offset))
  const until = now() + waitMs
  const waiting = watchSource(source, signal)
  let last: string | undefined
  try {
    while (!signal.aborted) {
      const chunk = await readView(engine, view, findStart(view, at), bytesMax)
      const isClosed = isClosedAfter(view, chunk)
      const cursor = nextCursor(query.cursor, now(), random())
      const end = formatPoint(view, chunk.next)
      const text = chunk.messages.map((message, index) => {
        const isLast = index === chunk.messages.length - 1
        const state = { isUpToDate: isLast && chunk.isUpToDate, isClosed: isLast && isClosed, cursor }
        return frame('data', dataOf(view, message)) + control(isLast ? end : message.offset, state)
      })
      // A reader learns its offset at first, and every change of it, also without a message.
      const seen = `${end} ${isClosed}`
      if (text.length === 0 && last !== seen) text.push(control(end, { isUpToDate: chunk.isUpToDate, isClosed, cursor }))
      last = seen
      at = end
      if (text.length > 0) yield { text: text.join(''), events: chunk.messages.length }
      const left = until - now()
      if (isClosed || left <= 0) return
      if (chunk.isUpToDate) {
        await waiting.next(Math.min(left, source.waitMsMax ?? left))
        view = await source.open()
      }
    }
  } finally {
    waiting.end()
  }
}

interface ControlState {
  readonly isUpToDate: boolean
  readonly isClosed: boolean
  readonly cursor: string
}

function control(streamNextOffset: string, { isUpToDate, isClosed, cursor }: ControlState): string {
  const rest = isClosed ? { upToDate: true, streamClosed: true } : { streamCursor: cursor, ...(isUpToDate && { upToDate: true }) }
  return frame('control', JSON.stringify({ streamNextOffset, ...rest }))
}

function dataOf(view: View, { data }: Message): string {
  if (!isText(view)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(data)
  return isJson(view.contentType) ? `[${text}]` : text
}

/** Clients remove one space after the colon. */
function frame(event: string, text: string): string {
  const lines = text.split(/\r\n|\r|\n/).map((line) => `data:${line.startsWith(' ') ? ' ' : ''}${line}\n`)
  return `event: ${event}\n${lines.join('')}\n`
}
