/**
 * Detaches the socket from Node's HTTP server after the response headers. This saves the response's queue, chunk framing and
 * copies: a write passes a slice of shared memory to the kernel. On a server of our own the HTTP parser, the request and the
 * response are released too, which are more than half of an idle stream: docs/decisions/0023-streams-without-an-http-parser.md.
 *
 * The HTTP server no longer reads: it would write the response to a second request on the connection into the middle of the
 * stream.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'

/** Sockets that are streams, and the bytes that were read from each before: the HTTP server must not write an error to them. */
const taken = new WeakMap<object, number>()

export const isTakenOver = (socket: object): boolean => taken.has(socket)

/** What a client may send after its request; more is an attack or a mistake. */
const strayBytesMax = 64 * 1024

export interface Takeover {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly headers: OutgoingHttpHeaders
  /**
   * The HTTP server is a host's. Its loggers and metrics wait for the response to close, and it closes connections by their
   * parsers (`closeAllConnections`), so neither is released.
   */
  readonly isHosted: boolean
  /** The caller writes the chunks of HTTP/1.1 itself. Only where `canBeChunked`. */
  readonly isChunked?: boolean
}

/** Whether the response is written to a socket of HTTP/1.1. HTTP/1.0 has no chunks, and HTTP/2 frames of its own. */
export function canBeChunked({ request, response }: Pick<Takeover, 'request' | 'response'>): boolean {
  return response.socket !== null && request.httpVersionMajor === 1 && request.httpVersionMinor > 0
}

/**
 * Responds 200 with these headers, and returns a stream for the body. A socket is corked: the caller uncorks it when what can be
 * written at once is written, so that the headers and the first events are one write to the system, and one packet.
 */
export function takeOver({ request, response, headers, isHosted, isChunked = false }: Takeover): Writable {
  const socket = response.socket
  // On HTTP/2, and while an earlier response is being written, the response has no socket of its own.
  if (socket === null || request.httpVersionMajor !== 1) {
    response.writeHead(200, headers)
    response.flushHeaders()
    return response
  }
  // The body ends with the connection, unless its writer makes chunks: Node would make one of every write.
  socket.cork()
  response.useChunkedEncodingByDefault = false
  response.shouldKeepAlive = false
  response.writeHead(200, isChunked ? { ...headers, 'transfer-encoding': 'chunked' } : headers)
  response.flushHeaders()
  response.detachSocket(socket)
  taken.set(socket, socket.bytesRead)
  for (const event of ['data', 'end', 'drain', 'timeout']) socket.removeAllListeners(event)
  // A data listener takes reading over from the HTTP parser. A socket that is not read does not notice a disconnect.
  socket.on('data', limitStray)
  socket.on('end', destroy)
  // pipeline.ts pauses the socket while the next request waits.
  socket.resume()
  if (isHosted) socket.once('close', () => response.emit('close'))
  // Not now: the parser may be what called, and would end the process.
  else setImmediate(releaseParser, socket)
  socket.setTimeout(0)
  socket.setNoDelay(true)
  return socket
}

function limitStray(this: Socket): void {
  if (this.bytesRead - (taken.get(this) ?? 0) > strayBytesMax) this.destroy()
}

function destroy(this: Socket): void {
  this.destroy()
}

/** Node's parser of a connection, which is not documented. */
interface Parser {
  remove(): void
  close(): void
}

/** Does what Node does for a WebSocket. Leaves everything to Node where it is not built as expected. */
function releaseParser(socket: Socket & { parser?: Partial<Parser> | null }): void {
  const { parser } = socket
  // Holds the request, and would free the parser.
  const onClose = socket.listeners('close').find(({ name }) => name === 'bound socketOnClose')
  if (socket.destroyed || onClose === undefined || !isParser(parser)) return
  socket.off('close', onClose as () => void)
  socket.parser = null
  // From the list of connections that time out.
  parser.remove()
  parser.close()
}

function isParser(parser: Partial<Parser> | null | undefined): parser is Parser {
  return typeof parser?.remove === 'function' && typeof parser.close === 'function'
}
