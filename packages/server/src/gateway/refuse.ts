/** What is refused: to whom it is told, and on sockets that have no response, before a request is complete, and of handshakes. */
import type { Duplex } from 'node:stream'
import { MillraceError } from '@millrace/protocol'

/** For the client to take the answer, and close. */
const closeMsMax = 1000

/** What is answered for an error. One that was not the client's, of which it is told little, is told in full to `onError`. */
export function toRefusal(error: unknown, onError: (error: unknown) => void): MillraceError {
  const refusal = error instanceof MillraceError ? error : new MillraceError('internal', { cause: error })
  const { status, cause } = refusal
  // 507: there is no room. Others beyond 500 say how busy it is, or which model there is not; and perhaps why.
  if (status === 500 || status === 507 || (status > 500 && cause !== undefined)) onError(error)
  return refusal
}

/** Answers, and closes the socket whatever its client does. */
export function refuseSocket(socket: Duplex, error: MillraceError): void {
  const body = JSON.stringify(error.toBody())
  const head = [
    `HTTP/1.1 ${error.status} Refused`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    ...Object.entries(retryAfter(error)).map(([name, value]) => `${name}: ${value}`),
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // What the client is still sending would otherwise keep the socket, and end it with a reset that eats the answer.
  socket.resume()
  setTimeout(() => socket.destroy(), closeMsMax).unref()
}

/** The header that says when to ask again; at the limit of open files some of those that are connected have to go first. */
export function retryAfter({ code, status }: MillraceError): Record<string, string> {
  if (status !== 429 && status !== 503) return {}
  return { 'retry-after': code === 'server_full' ? '5' : '1' }
}
