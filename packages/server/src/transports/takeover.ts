/**
 * Takes a connection away from Node's HTTP server once its response headers are sent, and gives back
 * the bare socket. What that saves is the response object's own queue, chunk framing and copies: a
 * write is then a slice of shared memory handed to the kernel.
 *
 * The HTTP server keeps its `close` listener, with which it frees its parser, and nothing else. In
 * particular it no longer reads: a second request sent down the same connection would otherwise be
 * answered into the middle of the stream.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'

/** Sockets that are streams now: whatever the HTTP server still has to say about them must not be written to them. */
const taken = new WeakSet<object>()

export const isTakenOver = (socket: object): boolean => taken.has(socket)

/** What a client may send on a connection that only writes; more is an attack or a mistake. */
const strayBytesMax = 64 * 1024

/** Answers 200 with these headers; what comes back takes the body, ends, errors and closes like any stream. */
export function takeOver(request: IncomingMessage, response: ServerResponse, headers: OutgoingHttpHeaders): Writable {
  const socket = response.socket
  // On HTTP/2, and behind an earlier answer that is still being written, the response is all there is.
  if (socket === null || request.httpVersionMajor !== 1) {
    response.writeHead(200, headers)
    response.flushHeaders()
    return response
  }
  // The body ends with the connection; chunk framing would have to be made anew for every write.
  response.useChunkedEncodingByDefault = false
  response.shouldKeepAlive = false
  response.writeHead(200, headers)
  response.flushHeaders()
  response.detachSocket(socket)
  taken.add(socket)
  for (const event of ['data', 'end', 'drain', 'timeout']) socket.removeAllListeners(event)
  let strayBytes = 0
  // A data listener, even one that drops everything, is what takes reading back from the HTTP parser
  // and keeps it going, without which the client's leaving would go unnoticed.
  socket.on('data', (chunk) => {
    strayBytes += chunk.length
    if (strayBytes > strayBytesMax) socket.destroy()
  })
  socket.on('end', () => socket.destroy())
  // It was not read while the request behind this one waited: pipeline.ts.
  socket.resume()
  // Loggers and metrics of the host wait for the response to close.
  socket.once('close', () => response.emit('close'))
  socket.setTimeout(0)
  socket.setNoDelay(true)
  return socket
}
