/**
 * The only SSE encoder in Millrace. It writes the format of the HTML standard, "Server-sent events",
 * https://html.spec.whatwg.org/multipage/server-sent-events.html. Whatever a field contains, the bytes are one event
 * with exactly these fields. SSE ends a line at LF, CRLF *and* CR, so a payload with a bare CR could inject an event
 * into several published encoders (CVE-2026-29085 and others).
 */
export interface SseEvent {
  /** Name of the event; readers take `message` when it is absent. */
  readonly event?: string
  /** Becomes the reader's last event id, which is its position. */
  readonly id?: string
  /** Split at every kind of line end into `data` lines, which readers join with LF. */
  readonly data: string
}

const lineEnd = /\r\n|\r|\n/
const neverInAField = /[\r\n\0]/

/** Throws a TypeError for CR, LF or NUL in `event` or `id`, which code chooses and not a user. */
export function encodeSseEvent({ event, id, data }: SseEvent): string {
  let text = ''
  if (event !== undefined) text += `event: ${fieldValue('event', event)}\n`
  if (id !== undefined) text += `id: ${fieldValue('id', id)}\n`
  return `${text}${lines('data: ', data)}\n`
}

/** A comment keeps a connection alive; it reaches no listener and changes no last event id. */
export function encodeSseComment(comment = ''): string {
  return `${lines(comment === '' ? ':' : ': ', comment)}\n`
}

/** The time that `EventSource` waits before it reconnects. Browsers ignore anything but whole milliseconds. */
export function encodeSseRetry(milliseconds: number): string {
  if (!Number.isSafeInteger(milliseconds) || milliseconds < 0) {
    throw new TypeError(`retry takes whole milliseconds from 0, not ${milliseconds}`)
  }
  return `retry: ${milliseconds}\n\n`
}

function fieldValue(field: string, value: string): string {
  if (neverInAField.test(value)) {
    throw new TypeError(`The ${field} of a server-sent event must not contain CR, LF or NUL: ${JSON.stringify(value)}`)
  }
  return value
}

function lines(prefix: string, text: string): string {
  // JSON contains no raw line end, so nearly every payload is one line.
  if (!lineEnd.test(text)) return `${prefix}${text}\n`
  return text
    .split(lineEnd)
    .map((line) => `${prefix}${line}\n`)
    .join('')
}
