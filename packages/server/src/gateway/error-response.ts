/** What is refused: to whom it is told, how it is written, and on sockets that have no response. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { encodeJson, encodeSseEvent, encodeSseRetry, MillraceError } from '@millrace/protocol'
import { sseHeaders } from '../transports/sse.ts'

/** For the client to take the answer, and close. */
const closeMsMax = 1000

/** What is answered for an error. One that was not the client's, of which it is told little, is told in full to `onError`. */
export function toMillraceError(error: unknown, onError: (error: unknown) => void): MillraceError {
  const known = error instanceof MillraceError ? error : new MillraceError('internal', { cause: error })
  const { status, cause } = known
  // 507: there is no room. Others beyond 500 say how busy it is, or which model there is not; and perhaps why.
  if (status === 500 || status === 507 || (status > 500 && cause !== undefined)) onError(error)
  return known
}

export interface ErrorResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What decides how an error is written. */
export interface Asked {
  readonly method?: string | undefined
  readonly accept?: string | undefined
}

/**
 * A native EventSource never connects again after a status other than 200 (HTML standard, "fail the connection"). So an error
 * that will pass is told to it inside of a stream, which then ends: PROTOCOL.md#server-sent-events.
 */
export function formatError(error: MillraceError, { method, accept = '' }: Asked = {}): ErrorResponse {
  const body = encodeJson(error.toBody())
  if (method === 'GET' && error.retryable && /\btext\/event-stream\b/i.test(accept)) {
    const retry = encodeSseRetry(1000 + Math.floor(Math.random() * 2000))
    return { status: 200, headers: sseHeaders, body: retry + encodeSseEvent({ event: 'error', data: body }) }
  }
  return {
    status: error.status,
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...retryAfter(error),
    },
    body,
  }
}

/** Refuses a request of a Node server. */
export function sendError({ method, headers }: IncomingMessage, response: ServerResponse, error: MillraceError): void {
  const { status, headers: own, body } = formatError(error, { method, accept: headers.accept })
  response.writeHead(status, { ...own, 'content-length': Buffer.byteLength(body) })
  response.end(method === 'HEAD' ? undefined : body)
}

/** Answers, and closes the socket whatever its client does. */
export function endWithError(socket: Duplex, error: MillraceError): void {
  const { status, headers, body } = formatError(error)
  const all = { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' }
  const head = [`HTTP/1.1 ${status} Refused`, ...Object.entries(all).map(([name, value]) => `${name}: ${value}`)]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // What the client is still sending would otherwise keep the socket, and end it with a reset that eats the answer.
  socket.resume()
  setTimeout(() => socket.destroy(), closeMsMax).unref()
}

/** The header that says when to ask again; at the limit of open files some of those that are connected have to go first. */
function retryAfter({ code, status }: MillraceError): Record<string, string> {
  if (status !== 429 && status !== 503) return {}
  return { 'retry-after': code === 'server_full' ? '5' : '1' }
}
