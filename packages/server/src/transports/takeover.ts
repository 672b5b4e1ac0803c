/**
 * Detaches the socket from Node's HTTP server after the response headers. This saves the response's queue, chunk framing and
 * copies: a write passes a slice of shared memory to the kernel.
 *
 * The HTTP server keeps only its `close` listener, which frees the parser. It no longer reads: it would write the response to
 * a second request on the connection into the middle of the stream.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'

/** Sockets that are streams: the HTTP server must not write an error to them. */
const taken = new WeakSet<object>()

export const isTakenOver = (socket: object): boolean => taken.has(socket)

/** What a client may send after its request; more is an attack or a mistake. */
const strayBytesMax = 64 * 1024

/** Responds 200 with these headers, and returns a stream for the body. */
export function takeOver(request: IncomingMessage, response: ServerResponse, headers: OutgoingHttpHeaders): Writable {
  const socket = response.socket
  // On HTTP/2, and while an earlier response is being written, the response has no socket of its own.
  if (socket === null || request.httpVersionMajor !== 1) {
    response.writeHead(200, headers)
    response.flushHeaders()
    return response
  }
  // The body ends with the connection; chunk framing would be needed for every write.
  response.useChunkedEncodingByDefault = false
  response.shouldKeepAlive = false
  response.writeHead(200, headers)
  response.flushHeaders()
  response.detachSocket(socket)
  taken.add(socket)
  for (const event of ['data', 'end', 'drain', 'timeout']) socket.removeAllListeners(event)
  let strayBytes = 0
  // A data listener takes reading over from the HTTP parser. A socket that is not read does not notice a disconnect.
  socket.on('data', (chunk) => {
    strayBytes += chunk.length
    if (strayBytes > strayBytesMax) socket.destroy()
  })
  socket.on('end', () => socket.destroy())
  // pipeline.ts pauses the socket while the next request waits.
  socket.resume()
  // Loggers and metrics of the host wait for the response to close.
  socket.once('close', () => response.emit('close'))
  socket.setTimeout(0)
  socket.setNoDelay(true)
  return socket
}
