/**
 * The SSE parser: bytes in, events out. For every way of cutting the same bytes into chunks it gives
 * the same events, each as soon as the last byte of its blank line is in. It never throws at its
 * caller and holds at most one unfinished event, bounded in bytes.
 *
 * Follows the HTML standard, "Interpreting an event stream": UTF-8 always, one leading BOM dropped,
 * lines end at LF, CRLF or CR, an event without data is not dispatched but its id still counts.
 */
import { eventBytesMax } from './limits.ts'

export interface ParsedSseEvent {
  /** `message` where the stream named none. */
  readonly event: string
  readonly data: string
  /** The last event id of the stream at this event; '' before the first. */
  readonly id: string
}

export interface SseParserOptions {
  onEvent(event: ParsedSseEvent): void
  onRetry?(milliseconds: number): void
  onComment?(comment: string): void
  /** Called once, with a sentence for people, when an event is larger than `eventBytesMax`; the rest of the stream is ignored. */
  onError?(problem: string): void
  /** Bytes of one unfinished event, default 1 MiB. */
  readonly eventBytesMax?: number
}

export interface SseParser {
  push(chunk: Uint8Array): void
  /** The id to resume from; also moved by an id without data. */
  readonly lastEventId: string
}

const LF = 0x0a
const CR = 0x0d

export function createSseParser(options: SseParserOptions): SseParser {
  if (typeof options?.onEvent !== 'function') {
    throw new TypeError('createSseParser takes { onEvent(event) { … } }')
  }
  const bytesMax = options.eventBytesMax ?? eventBytesMax
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  /** Of the line that is not whole; what is cut in the middle of a character waits in the decoder. */
  let line = ''
  let eventBytes = 0
  let atStart = true
  let failed = false
  // A CR ends its line at once, so that an event is not held back for an LF that may never come;
  // when the LF does come, perhaps in the next chunk, it belongs to that line end and is dropped.
  let skipLf = false
  let data: string[] = []
  let eventName = ''
  // An id counts from the end of its event: resuming from one that was cut off would skip that event.
  let idBuffer = ''
  let lastEventId = ''

  return {
    get lastEventId() {
      return lastEventId
    },
    push(chunk) {
      let from = 0
      for (let at = 0; at < chunk.length && !failed; at++) {
        const byte = chunk[at]
        if (byte === LF && skipLf) {
          skipLf = false
          from = at + 1
        } else if (byte === LF || byte === CR) {
          skipLf = byte === CR
          endLine(chunk.subarray(from, at))
          from = at + 1
        } else {
          skipLf = false
        }
      }
      if (!failed) keep(chunk.subarray(from), true)
    },
  }

  function keep(piece: Uint8Array, stream: boolean): void {
    eventBytes += piece.length
    if (eventBytes > bytesMax) fail()
    else line += decoder.decode(piece, { stream })
  }

  function endLine(rest: Uint8Array): void {
    keep(rest, false)
    if (failed) return
    let text = line
    line = ''
    if (atStart && text.startsWith('\uFEFF')) text = text.slice(1)
    atStart = false
    if (text === '') dispatch()
    else field(text)
  }

  function field(text: string): void {
    const colon = text.indexOf(':')
    if (colon === 0) {
      eventBytes = data.length === 0 ? 0 : eventBytes
      options.onComment?.(text.slice(text[1] === ' ' ? 2 : 1))
      return
    }
    const name = colon === -1 ? text : text.slice(0, colon)
    const value = colon === -1 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'data') data.push(value)
    else if (name === 'event') eventName = value
    else if (name === 'id' && !value.includes('\0')) idBuffer = value
    else if (name === 'retry' && /^[0-9]+$/.test(value)) options.onRetry?.(Number(value))
  }

  function dispatch(): void {
    lastEventId = idBuffer
    const parsed = data.length === 0 ? undefined : { event: eventName || 'message', data: data.join('\n'), id: lastEventId }
    data = []
    eventName = ''
    eventBytes = 0
    if (parsed !== undefined) options.onEvent(parsed)
  }

  function fail(): void {
    failed = true
    line = ''
    data = []
    options.onError?.(`An event of the stream is larger than ${bytesMax} bytes.`)
  }
}
