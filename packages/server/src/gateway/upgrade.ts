/**
 * Selects the requests that become WebSockets. Node emits `upgrade` for every request with `Connection: Upgrade`, also for the
 * offer of HTTP/2 (`Upgrade: h2c`) in each request of Java's HttpClient, and for WebSockets of the host.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { MillraceError } from '@millrace/protocol'
import { endWithError } from './error-response.ts'

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** The WebSockets at these paths. */
export interface Sockets {
  readonly paths: ReadonlySet<string>
  readonly accept: Upgrade
}

export interface UpgradeOptions extends Sockets {
  /** Why a request is rejected; undefined where it is not. */
  readonly check: (request: IncomingMessage) => MillraceError | undefined
}

/** The path of Millrace's own WebSocket. */
export const socketPath = '/ws/chat'

/** The path of a request's address, without a slash at its end. */
export function pathOf({ url = '' }: IncomingMessage): string {
  return URL.parse(url, 'http://host')?.pathname.replace(/\/$/, '') ?? ''
}

/**
 * A listener for `upgrade` beside others. All other requests are left to those, or handled like a request without the offer:
 * a server MAY ignore an offer to upgrade (RFC 9110, "Upgrade").
 */
export function createUpgradeListener({ accept, paths, check }: UpgradeOptions): Upgrade {
  return (request, socket, head) => {
    if (!wantsWebSocket(request.headers) || !paths.has(pathOf(request))) return leave(request, socket as ServedSocket, head)
    // Without a listener, an error before the handshake would be thrown.
    socket.on('error', () => {})
    const error = check(request)
    if (error === undefined) accept(request, socket, head)
    else endWithError(socket, error)
  }
}

/** A socket knows the server that accepted it; Node does not document it. */
type ServedSocket = Socket & { readonly server?: Server; readonly encrypted?: boolean }

function leave(request: IncomingMessage, socket: ServedSocket, head: Buffer): void {
  const isOnlyListener = (socket.server?.listenerCount('upgrade') ?? 0) <= 1
  if (isOnlyListener) return answerAsRequest(request, socket, head)
  // The other listeners decide which WebSockets they accept, and when.
  if (wantsWebSocket(request.headers)) return
  socket.on('error', () => {})
  const { bytesWritten } = socket
  setImmediate(() => {
    const isTaken =
      socket.writableEnded ||
      socket.bytesWritten > bytesWritten ||
      socket.listenerCount('data') + socket.listenerCount('readable') > 0
    if (!socket.destroyed && !isTaken) answerAsRequest(request, socket, head)
  })
}

/**
 * Gives the connection back to its server, with the request but without the offer. Node's `shouldUpgradeCallback` (24.9) does
 * the same, but loses the bytes that were read after the request.
 */
function answerAsRequest(request: IncomingMessage, socket: ServedSocket, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request
  const { server, encrypted } = socket
  if (server === undefined) return endWithError(socket, new MillraceError('not_found'))
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = rawHeaders.slice(index, index + 2)
    const kept = /^connection$/i.test(name) ? value.replace(/(^|,)\s*(upgrade|http2-settings)\s*(?=,|$)/gi, '') : value
    if (!/^(upgrade|http2-settings)$/i.test(name)) lines.push(`${name}: ${kept}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  // Documented for sockets that come from elsewhere: the server reads it from its first byte.
  server.emit(encrypted ? 'secureConnection' : 'connection', socket)
}

function wantsWebSocket({ upgrade }: IncomingMessage['headers']): boolean {
  return upgrade?.toLowerCase() === 'websocket'
}
