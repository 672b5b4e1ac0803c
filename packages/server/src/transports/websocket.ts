/**
 * The WebSocket transport. `ws` does the handshake and reads; what is sent are frames that were made
 * once per log, written to the socket as they are, one cursor for each attached session. What the
 * messages mean is not decided here: PROTOCOL.md#websocket.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import {
  closeCodes,
  encodeJson,
  limits,
  MillraceError,
  type Position,
  type ServerMessage,
  type Source,
  webSocketProtocol,
} from '@millrace/protocol'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Cursor } from '../delivery/cursor.ts'
import type { FanOut } from '../delivery/fan-out.ts'
import { type DeliveryOptions, throttled } from '../delivery/wire.ts'
import type { Dialect } from '../dialects/dialect.ts'
import type { Heartbeat } from './heartbeat.ts'
import { eventFrames, plainFrames, textFrame } from './websocket-wire.ts'

/** One message; a query of the greatest length in UTF-8, and room. */
const messageBytesMax = 256 * 1024
const fragmentsMax = 1024
/** What a message that waits takes beside its text, roughly: many small ones must not cost more than a few large. */
const messageOverheadBytes = 512
/** Messages and pings in one period of the pulse before it is a flood. */
const messagesPerHeartbeatMax = 2000
const attachmentsMax = 64
/** For the client of a flood to take the Close frame. */
const floodCloseMsMax = 1000

export interface WebSocketStream extends DeliveryOptions {
  readonly log: string
  readonly after: Position
  readonly dialect: Dialect
  /** What its events are said to be of; without it only the dialect's data is sent, and the stream ends as the dialect does. */
  readonly source?: Source
}

/** One socket. When its client has left, or it is being closed, nothing is sent any more and nothing attached. */
export interface WebSocketConnection {
  send(message: ServerMessage): void
  /** Sends what comes after a position; under a key that is attached, from there instead. Throws `too_many_attachments`. */
  attach(key: string, stream: WebSocketStream): void
  /** Throws `too_many_attachments` where nothing more can be attached. */
  requireRoom(): void
  /** False where nothing was attached under this key. */
  detach(key: string): boolean
  close(code: number, reason: string): void
  /** The server has closed it, for whatever reason: what its client has still said is not to be obeyed. */
  readonly isCut: boolean
}

export interface WebSocketHandlers {
  /** Called once, before everything else. */
  onOpen(connection: WebSocketConnection): void
  /** Each text message until the connection is closed. Resolves when it has been obeyed and answered. MUST NOT throw or reject. */
  onText(connection: WebSocketConnection, text: string): Promise<void>
  /** A stream that was attached has ended or was detached. */
  onDetach(key: string): void
  onClose(): void
}

export interface WebSocketTransport {
  /** Takes a connection over that asks to be upgraded. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, handlers: WebSocketHandlers): void
  readonly connections: number
  /** Of all connections. */
  cursors(): Iterable<Cursor>
  /** Closes so many connections; their readers come back elsewhere, or here later. */
  drain(count: number): void
}

export function createWebSocketTransport({ fanOut, heartbeat }: { fanOut: FanOut; heartbeat: Heartbeat }): WebSocketTransport {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    // Compression would cost 237 KB a connection and ten times the CPU, for messages of a few bytes.
    perMessageDeflate: false,
    maxPayload: messageBytesMax,
    maxFragments: fragmentsMax,
    // A pong to everyone who does not read would fill memory; ours wait until the socket takes bytes.
    autoPong: false,
    handleProtocols: (offered) => (offered.has(webSocketProtocol) ? webSocketProtocol : false),
  })
  const open = new Map<WebSocketConnection, ReadonlyMap<string, Cursor>>()

  return {
    upgrade(request, socket, head, handlers) {
      server.handleUpgrade(request, socket, head, (client) => serve(client, socket, handlers))
    },
    get connections() {
      return open.size
    },
    cursors: () => open.values().flatMap((cursors) => cursors.values()),
    drain(count) {
      for (const connection of [...open.keys()].slice(0, count)) {
        open.delete(connection)
        connection.close(closeCodes.restart, 'The server stops; connect again.')
      }
    },
  }

  function serve(client: WebSocket, socket: Duplex, handlers: WebSocketHandlers): void {
    const cursors = new Map<string, Cursor>()
    const wantsHeartbeat = client.protocol === webSocketProtocol
    let isAlive = true
    let isCut = false
    let messages = 0
    let waitingBytes = 0
    let stalled = false

    const connection: WebSocketConnection = {
      send: (message) => void write(textFrame(encodeJson(message))),
      attach(key, { log, after, dialect, source, slow, intervalMs }) {
        // Who has left in the meantime would read for ever: nobody closes what was attached after the close.
        if (client.readyState !== client.OPEN) return
        if (!cursors.has(key)) connection.requireRoom()
        const earlier = cursors.get(key)
        const wire = source === undefined ? plainFrames(dialect) : throttled(eventFrames(dialect, source), intervalMs)
        const end = (error?: unknown) => {
          if (error === undefined) return
          if (error instanceof MillraceError && !error.retryable)
            close(closeCodes.sessionGone, `The log of ${key} is ${error.code === 'log_damaged' ? 'damaged' : 'gone'}.`)
          else close(closeCodes.unreadable, `The log of ${key} cannot be read now; connect again.`)
        }
        // Else who reads nothing would be given the first page again for each time that it attaches.
        const blocked = socket.writableNeedDrain
        const cursor = fanOut.attach({ log, after, wire, sink: { write, end, onSlow }, slow, blocked })
        cursors.set(key, cursor)
        cursor.onceClosed(() => {
          if (cursors.get(key) !== cursor) return
          cursors.delete(key)
          handlers.onDetach(key)
        })
        // After the new one has its place: the key stays attached.
        earlier?.close()
      },
      requireRoom() {
        if (cursors.size >= attachmentsMax) throw new MillraceError('too_many_attachments')
      },
      detach(key) {
        const cursor = cursors.get(key)
        cursor?.close()
        return cursor !== undefined
      },
      close,
      get isCut() {
        return isCut
      },
    }
    open.set(connection, cursors)
    handlers.onOpen(connection)
    const leaveHeartbeat = heartbeat.join(beat)

    client.on('message', (data, isBinary) => {
      if (!isAllowed()) return
      if (isBinary) close(1003, 'Messages are text.')
      else take(data as Buffer)
    })
    client.on('ping', (data) => {
      if (isAllowed() && !socket.writableNeedDrain) client.pong(data)
    })
    client.on('pong', () => {
      isAlive = true
    })
    socket.on('drain', () => {
      stalled = false
      for (const cursor of cursors.values()) cursor.drained()
    })
    // A client that breaks the protocol: ws has closed it with the right code, and there is nothing more to say.
    client.on('error', cut)
    client.once('close', () => {
      leaveHeartbeat()
      open.delete(connection)
      for (const cursor of cursors.values()) cursor.close()
      handlers.onClose()
    })

    /**
     * While too much waits to be obeyed nothing is read: TCP then holds the client back, where a queue would fill our
     * memory. 1,500 messages of 250 KB took 560 MiB while an engine took 5 s for each.
     */
    function take(data: Buffer): void {
      const bytes = data.length + messageOverheadBytes
      waitingBytes += bytes
      if (waitingBytes > limits.waitingBytesMax) client.pause()
      void handlers.onText(connection, data.toString('utf8')).then(() => {
        waitingBytes -= bytes
        if (!client.isPaused || waitingBytes > limits.waitingBytesMax) return
        // Its pong has waited as well.
        isAlive = true
        client.resume()
      })
    }

    /** False, and nothing is written, once a Close frame has been sent: browsers take what follows it for a broken connection. */
    function write(bytes: Uint8Array): boolean {
      return client.readyState === client.OPEN && socket.write(bytes)
    }

    function close(code: number, reason: string): void {
      if (client.readyState !== client.OPEN) return
      client.close(code, reason)
      cut()
    }

    function cut(): void {
      isCut = true
      // Its own Close frame comes behind everything that it has sent.
      client.resume()
      for (const cursor of cursors.values()) cursor.close()
    }

    function onSlow(): void {
      close(closeCodes.stalled, 'Too slow for this log.')
    }

    function isAllowed(): boolean {
      isAlive = true
      if (client.readyState !== client.OPEN) return false
      messages += 1
      if (messages <= messagesPerHeartbeatMax) return true
      close(closeCodes.flood, 'Too many messages.')
      stopParsing()
      return false
    }

    /** What a flood still brings is thrown away as bytes: to take it apart kept everybody waiting for 0.3 s. */
    function stopParsing(): void {
      socket.removeAllListeners('data')
      socket.on('data', () => {})
      // Its own Close frame would not be seen.
      socket.end()
      setTimeout(() => client.terminate(), floodCloseMsMax).unref()
    }

    function beat(clock: number): void {
      // One that is closing has a bound of its own, and must not be asked, nor have its flood forgiven.
      if (client.readyState !== client.OPEN) return
      messages = 0
      if (!isAlive && !client.isPaused) return client.terminate()
      if (socket.writableNeedDrain) {
        if (stalled) client.terminate()
        stalled = true
        return
      }
      isAlive = false
      client.ping()
      if (wantsHeartbeat) connection.send({ type: 'heartbeat', clock })
    }
  }
}
