/**
 * The WebSocket transport. `ws` does the handshake and parses what clients send; frames to clients are encoded once per log
 * and written to the socket as they are. The gateway knows what the messages mean: PROTOCOL.md#websocket.
 */
import { webSocketProtocol } from '@millrace/protocol'
import { type RawData, WebSocket, WebSocketServer } from 'ws'
import type { FanOut } from '../delivery/fan-out.ts'
import type { Observer } from '../operations/observer.ts'
import type { Heartbeat } from './heartbeat.ts'
import { type BoundOf, ServedSocket } from './socket.ts'
import type { WebSocketTransport } from './transport.ts'

/** The longest query in UTF-8, and room for the rest of the message. */
const messageBytesMax = 256 * 1024
const fragmentsMax = 1024

export interface WebSocketTransportOptions {
  readonly fanOut: FanOut
  readonly heartbeat: Heartbeat
  readonly observer: Pick<Observer, 'received'>
  /** What a client of this principal may send and attach. */
  readonly boundOf: BoundOf
}

export function createWebSocketTransport(options: WebSocketTransportOptions): WebSocketTransport {
  const { fanOut, heartbeat, observer, boundOf } = options
  const server = new WebSocketServer({
    noServer: true,
    WebSocket: Client,
    clientTracking: false,
    // Compression would cost 237 KB a connection and ten times the CPU, for messages of a few bytes.
    perMessageDeflate: false,
    maxPayload: messageBytesMax,
    maxFragments: fragmentsMax,
    // Pongs to a client that does not read would fill the memory; ours are sent only while the socket takes bytes.
    autoPong: false,
    handleProtocols: (offered) => (offered.has(webSocketProtocol) ? webSocketProtocol : false),
  })

  return {
    upgrade(request, socket, head, connection, onOpen) {
      server.handleUpgrade(request, socket, head, (client) => {
        const wantsHeartbeat = client.protocol === webSocketProtocol
        const served = new ServedSocket({ client, socket, connection, fanOut, heartbeat, observer, wantsHeartbeat, boundOf })
        client.served = served
        served.start(onOpen(served))
        client.on('message', onMessage)
        client.on('ping', onPing)
        client.on('pong', onPong)
        client.on('error', onError)
        client.once('close', onClose)
      })
    },
  }
}

/** A client knows its socket, so that listeners are shared: those of its own would take half a kilobyte each connection. */
class Client extends WebSocket {
  served: ServedSocket | undefined
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  servedBy(this)?.onMessage(data as Buffer, isBinary)
}

function onPing(this: WebSocket, data: Buffer): void {
  servedBy(this)?.onPing(data)
}

function onPong(this: WebSocket): void {
  servedBy(this)?.onPong()
}

/** The client broke the protocol: ws has closed it with the right code already. */
function onError(this: WebSocket): void {
  servedBy(this)?.onError()
}

function onClose(this: WebSocket): void {
  servedBy(this)?.onClose()
}

function servedBy(client: WebSocket): ServedSocket | undefined {
  return (client as Client).served
}
