/**
 * Which connections become WebSockets. Node hands every request with `Connection: Upgrade` to whoever listens for upgrades, also
 * the offer of HTTP/2 (`Upgrade: h2c`) that Java's HttpClient makes with each request, and those for WebSockets of the host's own.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { MillraceError } from '@millrace/protocol'
import { endWithError } from './error-response.ts'

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

export interface UpgradeOptions {
  /** Given only what `isWebSocket` is true of. */
  readonly accept: Upgrade
  /** Why a request is refused; undefined where it is not. */
  readonly check: (request: IncomingMessage) => MillraceError | undefined
}

/** Whether Millrace's own WebSocket is asked for. */
function isWebSocket({ url = '', headers }: IncomingMessage): boolean {
  return wantsWebSocket(headers) && /^\/ws\/chat\/?$/.test(URL.parse(url, 'http://host')?.pathname ?? '')
}

/**
 * A listener for `upgrade` beside others. What is not Millrace's is left to the other listeners, or answered like any request:
 * a server MAY ignore an offer to upgrade (RFC 9110, "Upgrade").
 */
export function createUpgradeListener({ accept, check }: UpgradeOptions): Upgrade {
  return (request, socket, head) => {
    if (!isWebSocket(request)) return leave(request, socket as ServedSocket, head)
    // Until it is a WebSocket nobody else listens for its errors.
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
  // Which WebSockets the others take, and when, is theirs to know.
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
 * Gives the connection back to its server, with the request as it was, but for the offer. Node's `shouldUpgradeCallback` would
 * do it from 24.9 on, but loses what was read behind such a request.
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
