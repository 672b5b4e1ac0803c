/**
 * Requests that a client sends before it has the answers to those before (HTTP pipelining), one after another: while one is
 * answered nothing more is read of its connection. Node answers all that it has read at once, and keeps reading: 100,000 small
 * requests whose answers nobody took made 1.6 GB.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** One read of 64 KB can bring 1,600 requests, and each costs some KB until it is answered. */
const waitingMax = 100

export interface Pipeline {
  readonly handle: RequestListener
  /** An answer is on its way on this connection. */
  isAnswering(socket: object): boolean
}

export function createPipeline(handle: RequestListener): Pipeline {
  /** What waits, by connection; there while one is answered. */
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
      // Whoever pipelines more than anybody does may send again what has no answer; what was read is let go at once.
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
      if (socket.destroyed) return
      if (next !== undefined) return begin(...next, socket, waiting)
      connections.delete(socket)
      socket.resume()
    })
    if (waiting.length > 0) hold(socket, waiting)
    handle(request, response)
  }
}

/** Node reads on when it has parsed a request, and when it has answered one, in the ticks that follow; this comes behind them. */
function hold(socket: Socket, waiting: readonly unknown[]): void {
  setImmediate(() => {
    if (waiting.length > 0) socket.pause()
  })
}
