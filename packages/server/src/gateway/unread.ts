/**
 * Closes connections whose clients take no byte of a response: it would be kept in memory for as long as they like. Node's own
 * timeout begins again with every byte that such a client sends. Streams have heartbeats instead.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { isTakenOver } from '../transports/takeover.ts'

interface Stuck {
  readonly progress: string
  readonly since: number
}

/** Checks all connections twice in `writeMs`, until the server closes. */
export function closeUnread(server: Server, writeMs: number): void {
  const sockets = new Map<Socket, Stuck | undefined>()
  server.on('connection', (socket) => {
    sockets.set(socket, undefined)
    socket.once('close', () => sockets.delete(socket))
  })
  const timer = setInterval(() => {
    for (const [socket, stuck] of sockets) {
      if (isTakenOver(socket)) sockets.delete(socket)
      else if (socket.writableLength === 0) sockets.set(socket, undefined)
      else {
        const progress = progressOf(socket)
        if (progress !== stuck?.progress) sockets.set(socket, { progress, since: performance.now() })
        else if (performance.now() - stuck.since >= writeMs) socket.destroy()
      }
    }
  }, writeMs / 2).unref()
  server.once('close', () => clearInterval(timer))
}

/** Changes with every byte that the system has taken, also within a large write. */
function progressOf(socket: Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null }): string {
  return `${socket.bytesWritten} ${socket.writableLength} ${socket._handle?.writeQueueSize}`
}
