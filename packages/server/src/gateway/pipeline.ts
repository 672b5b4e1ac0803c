/**
 * Handles pipelined HTTP requests one after another: while one is handled, nothing more is read from its connection. Node
 * handles all at once and keeps reading: 100,000 small requests of a client that read no response took 1.6 GB.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { isTakenOver } from '../transports/takeover.ts'

/** One read of 64 KB can contain 1,600 requests, and each takes some KB until its response. */
const waitingMax = 100

export interface Pipeline {
  readonly handle: RequestListener
  /** A request of this connection is being handled. */
  isAnswering(socket: object): boolean
}

export function createPipeline(handle: RequestListener): Pipeline {
  /** Waiting requests, by connection; an entry exists while a request is handled. */
  const connections = new WeakMap<object, [IncomingMessage, ServerResponse][]>()

  return {
    handle(request, response) {
      const { socket } = request
      const waiting = connections.get(socket)
      if (waiting === undefined) {
        const next: [IncomingMessage, ServerResponse][] = []
        connections.set(socket, next)
        return begin(request, response, socket, next)
      }
      // No real client pipelines so deep; it can send requests without a response again.
      if (waiting.length >= waitingMax) return void socket.destroy()
      waiting.push([request, response])
      hold(socket, waiting)
    },
    isAnswering: (socket) => connections.has(socket),
  }

  function begin(
    request: IncomingMessage,
    response: ServerResponse,
    socket: Socket,
    waiting: [IncomingMessage, ServerResponse][],
  ): void {
    response.once('close', () => {
      const next = waiting.shift()
      if (socket.destroyed || socket.writableEnded) return
      if (next !== undefined) return begin(...next, socket, waiting)
      connections.delete(socket)
      socket.resume()
    })
    if (waiting.length > 0) hold(socket, waiting)
    handle(request, response)
  }
}

/** Node resumes the socket in the ticks after it has parsed a request or sent a response; `setImmediate` runs after these. */
function hold(socket: Socket, waiting: readonly unknown[]): void {
  setImmediate(() => {
    // A stream is read on: a socket that is paused does not notice that its client has left.
    if (waiting.length > 0 && !isTakenOver(socket)) socket.pause()
  })
}
