/**
 * The SSE parser: bytes in, events out. The same bytes give the same events, however they are split into chunks. It
 * emits each event at the last byte of its blank line, never throws for its input, and buffers at most one incomplete
 * event, bounded in bytes.
 *
 * It follows the HTML standard, "Interpreting an event stream": always UTF-8, one leading BOM dropped, lines end at
 * LF, CRLF or CR; an event without data is not emitted, but its id counts.
 */
import { eventBytesMax } from './limits.ts'

export interface ParsedSseEvent {
  /** `message` when the stream names none. */
  readonly event: string
  readonly data: string
  /** The stream's last event id, including this event's; '' before the first id. */
  readonly id: string
}

export interface SseParserOptions {
  onEvent(event: ParsedSseEvent): void
  onRetry?(milliseconds: number): void
  onComment?(comment: string): void
  /** Called once, when an event is larger than `eventBytesMax`; the parser ignores the rest of the stream. */
  onError?(problem: string): void
  /** Limit of one incomplete event; default 1 MiB. */
  readonly eventBytesMax?: number
}

export interface SseParser {
  push(chunk: Uint8Array): void
  /** The id to resume from; an id without data sets it too. */
  readonly lastEventId: string
}

const LF = 0x0a
const CR = 0x0d

/** Parses server-sent events as the HTML standard says, from bytes in pieces of any size. */
export function createSseParser(options: SseParserOptions): SseParser {
  if (typeof options?.onEvent !== 'function') {
    throw new TypeError('createSseParser takes { onEvent(event) { … } }')
  }
  const bytesMax = options.eventBytesMax ?? eventBytesMax
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  /** The incomplete line; the decoder buffers an incomplete character. */
  let line = ''
  let eventBytes = 0
  let atStart = true
  let failed = false
  // A CR ends its line at once: waiting for an LF could delay the event without limit. An LF right after it, perhaps
  // in the next chunk, belongs to the same line end and is skipped.
  let skipLf = false
  let data: string[] = []
  let eventName = ''
  // An id takes effect at the end of its event: resuming from the id of an incomplete event would skip that event.
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
