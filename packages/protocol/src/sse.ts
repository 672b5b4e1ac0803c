/**
 * The SSE encoder, the only one in Millrace. It writes the format of the HTML standard, "Server-sent
 * events", https://html.spec.whatwg.org/multipage/server-sent-events.html, and cannot be tricked:
 * whatever stands in a field, the bytes are one event with exactly these fields. A payload with a
 * bare CR was enough to inject an event into several published encoders (CVE-2026-29085 and others),
 * because SSE ends a line at LF, CRLF *and* CR.
 */
export interface SseEvent {
  /** Name of the event; absent means `message` to a reader. */
  readonly event?: string
  /** Becomes the reader's last event id, and so its position. */
  readonly id?: string
  /** Line ends of any kind become separate `data` lines, which a reader joins with LF. */
  readonly data: string
}

const lineEnd = /\r\n|\r|\n/
const neverInAField = /[\r\n\0]/

/** Throws a TypeError for CR, LF or NUL in `event` or `id`: a name is chosen by code, not by a user. */
export function encodeSseEvent({ event, id, data }: SseEvent): string {
  let text = ''
  if (event !== undefined) text += `event: ${fieldValue('event', event)}\n`
  if (id !== undefined) text += `id: ${fieldValue('id', id)}\n`
  return `${text}${lines('data: ', data)}\n`
}

/** A comment reaches no listener and moves no cursor: it keeps a connection alive. */
export function encodeSseComment(comment = ''): string {
  return `${lines(comment === '' ? ':' : ': ', comment)}\n`
}

/** How long a native EventSource waits before it connects again. Whole milliseconds, or browsers ignore it. */
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
  // JSON never contains a raw line end, so nearly every payload takes the first way.
  if (!lineEnd.test(text)) return `${prefix}${text}\n`
  return text
    .split(lineEnd)
    .map((line) => `${prefix}${line}\n`)
    .join('')
}
