/** Errors as responses: in HTTP, in an event stream, and on sockets without a response. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { encodeJson, encodeSseEvent, encodeSseRetry, MillraceError } from '@millrace/protocol'
import { eventStreamHeaders } from '../transports/event-stream.ts'

/** Time for the client to read the response and close. */
const closeMsMax = 1000

/** The error that the client gets. Reports to `onError` in full what is not the client's fault. */
export function toMillraceError(error: unknown, onError: (error: unknown) => void): MillraceError {
  const known = error instanceof MillraceError ? error : new MillraceError('internal', { cause: error })
  const { status, cause } = known
  // 507: the log is full. Other codes above 500 are expected, such as `server_full`, unless they have a cause.
  if (status === 500 || status === 507 || (status > 500 && cause !== undefined)) onError(error)
  return known
}

export interface ErrorResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The parts of a request that decide how an error is written. */
export interface Asked {
  readonly method?: string | undefined
  readonly accept?: string | undefined
}

/**
 * A native EventSource never reconnects after a status other than 200 (HTML standard, "fail the connection"). A retryable
 * error is therefore sent as an event of a stream, which then ends: PROTOCOL.md#server-sent-events.
 */
export function formatError(error: MillraceError, { method, accept = '' }: Asked = {}): ErrorResponse {
  const body = encodeJson(error.toBody())
  if (method === 'GET' && error.retryable && /\btext\/event-stream\b/i.test(accept)) {
    const retry = encodeSseRetry((error.retryAfter ?? 1) * 1000 + Math.floor(Math.random() * 2000))
    return { status: 200, headers: eventStreamHeaders, body: retry + encodeSseEvent({ event: 'error', data: body }) }
  }
  return {
    status: error.status,
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      ...retryAfter(error),
      ...(error.status === 401 && { 'www-authenticate': challenge(error) }),
      // The rest of the body is not read: another request on the connection would be lost.
      ...(error.code === 'body_too_large' && { connection: 'close' }),
      ...(error.code === 'upgrade_required' && { upgrade: 'websocket', connection: 'Upgrade' }),
    },
    body,
  }
}

/** Responds to a request of a Node server; with `own` in the form of a face. */
export function sendError(
  { method, headers: { accept } }: IncomingMessage,
  response: ServerResponse,
  error: MillraceError,
  own: Partial<ErrorResponse> = {},
): void {
  const { status, headers, body } = formatError(error, own.body === undefined ? { method, accept } : {})
  const text = own.body ?? body
  response.writeHead(own.status ?? status, { ...headers, ...own.headers, 'content-length': Buffer.byteLength(text) })
  response.end(method === 'HEAD' ? undefined : text)
}

/** Responds, and closes the socket whatever its client does. */
export function endWithError(socket: Duplex, error: MillraceError): void {
  const { status, headers, body } = formatError(error)
  const all = { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' }
  const head = [`HTTP/1.1 ${status} Error`, ...Object.entries(all).map(([name, value]) => `${name}: ${value}`)]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // Unread bytes of the client would close the socket with a reset, and the client would lose the response.
  socket.resume()
  setTimeout(() => socket.destroy(), closeMsMax).unref()
}

/** RFC 6750, "The WWW-Authenticate Response Header Field". */
function challenge({ code }: MillraceError): string {
  return `Bearer realm="millrace"${code === 'unauthenticated' ? '' : ', error="invalid_token"'}`
}

/** When to retry; at the limit of open files, other clients have to disconnect first. */
function retryAfter({ code, status, retryAfter }: MillraceError): Record<string, string> {
  if (retryAfter === undefined && status !== 429 && status !== 503) return {}
  return { 'retry-after': `${retryAfter ?? (code === 'server_full' ? 5 : 1)}` }
}
