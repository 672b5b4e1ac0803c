/**
 * The WebSocket of one client, shared by all its sessions, channels and commands. It opens at the first use, and after
 * it breaks at the next one. PROTOCOL.md#websocket.
 */
import { type ServerMessage, webSocketProtocol } from '@millrace/protocol'
import { MillraceError, unreachable } from '../errors.ts'
import { SocketConnection, type SocketConnectionOptions, type WebSocketLike } from './socket-connection.ts'
import type { StreamRequest } from './transport.ts'

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike

export interface Socket {
  attach(request: StreamRequest): void
  /**
   * Rejects with `unreachable` when no answer came, and the command may or may not have been carried out. Rejects with
   * `silent`, without sending, when the socket has not opened after `slowMs`. Calls `onSent` when it sends.
   */
  command(message: object, onSent: () => void): Promise<ServerMessage>
  /** Milliseconds to stay open without an attachment or a pending command; 0 at first. */
  keep(idleMs: number): void
  close(): void
}

export interface SocketOptions extends Omit<SocketConnectionOptions, 'open' | 'idleMs' | 'onClosed'> {
  readonly WebSocket: WebSocketConstructor
}

export function createSocket({ WebSocket, ...options }: SocketOptions): Socket {
  const address = new URL('ws/chat', options.base)
  address.protocol = address.protocol.replace('http', 'ws')
  let current: SocketConnection | undefined
  let idleMs = 0

  return {
    attach(request) {
      let connection: SocketConnection
      try {
        connection = connect()
      } catch (cause) {
        // The host refuses, for example ws: from a page that was loaded over https.
        queueMicrotask(() => request.signal.aborted || request.on.failed(unreachable(cause)))
        return
      }
      connection.attach(request)
    },
    command: async (message, onSent) => connect().command(message, onSent),
    keep(next) {
      idleMs = next
      current?.keep(next)
    },
    close: () => current?.fail(new MillraceError('closed')),
  }

  function open(ticket?: string): WebSocketLike {
    return new WebSocket(address.href + (ticket === undefined ? '' : `?ticket=${ticket}`), [webSocketProtocol])
  }

  function connect(): SocketConnection {
    current ??= new SocketConnection({
      ...options,
      open,
      idleMs,
      onClosed() {
        current = undefined
      },
    })
    return current
  }
}
