/**
 * One WebSocket for everybody in this client: sessions are attached to it, commands are sent over it.
 * It is opened when somebody needs it. When it breaks, everybody is told, and whoever still needs it
 * opens it anew. PROTOCOL.md#websocket.
 */
import { isWorthReconnecting, readBinaryFrame, type ServerMessage, type Source, webSocketProtocol } from '@millrace/protocol'
import { MillraceError, readError, unreachable } from '../errors.ts'
import type { Timings } from '../timings.ts'
import type { StreamRequest } from './transport.ts'

/** What is used of a WebSocket; the one of the standard has it. */
export interface WebSocketLike {
  binaryType: string
  onopen: (() => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number; reason: string }) => void) | null
  onerror: (() => void) | null
  send(text: string): void
  close(code?: number): void
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike

export interface Socket {
  attach(request: StreamRequest): void
  /**
   * Rejects with `unreachable` when the answer did not come: nobody knows whether it was carried out. It is not sent
   * any more when the socket has not opened after `slowMs`; `onSent` is called when it is.
   */
  command(message: object, onSent: () => void): Promise<ServerMessage>
  /** For so many milliseconds it stays open when nothing is attached and no answer waited for; at first 0. */
  keep(idleMs: number): void
  close(): void
}

/** An abort for this reason says that the connection itself is dead. */
export const deadConnection = new MillraceError('silent')

/** A server closes with 4429 after 2,000 messages in 15 s: commands go up at 100 a second, after 400 at once. */
const commandMs = 10
const burstMax = 400

interface Connection {
  readonly socket: WebSocketLike
  readonly whenOpen: Promise<void>
  readonly attached: Map<string, StreamRequest & { isSent: boolean; isAnswered: boolean; readonly ref: string }>
  /** When the next command would go up, were they evenly spread. */
  commandAt: number
  readonly waiting: Map<string, { resolve(message: ServerMessage): void; reject(error: MillraceError): void }>
  fail(error: MillraceError): void
}

export function createSocket(base: string, WebSocket: WebSocketConstructor, timings: Timings, onReached = () => {}): Socket {
  const address = new URL('ws/chat', base)
  address.protocol = address.protocol.replace('http', 'ws')
  let current: Connection | undefined
  let idleMs = 0
  let idleTimer: ReturnType<typeof setTimeout> | undefined
  let refs = 0

  return {
    attach(request) {
      const { source, from, signal } = request
      const key = keyOf(source)
      let connection: Connection
      try {
        connection = connected()
      } catch (cause) {
        // Refused by the host itself, for example without encryption from a page that has it.
        queueMicrotask(() => signal.aborted || request.on.failed(unreachable(cause)))
        return
      }
      const own = { ...request, isSent: false, isAnswered: false, ref: `${++refs}` }
      // The one that this replaces, on the same socket, has been given up; the server moves the attachment.
      connection.attached.set(key, own)
      connection.whenOpen.then(
        () => {
          if (signal.aborted) return
          own.isSent = true
          send(connection, { type: 'attach', ref: own.ref, ...source, from })
        },
        () => {},
      )
      signal.addEventListener('abort', () => {
        if (connection.attached.get(key) === own) {
          connection.attached.delete(key)
          // Also before its answer, or it would be sent for as long as the socket lives.
          if (connection === current && own.isSent && signal.reason !== deadConnection)
            send(connection, { type: 'detach', ...source })
        }
        if (signal.reason === deadConnection) connection.fail(deadConnection)
        // Whoever replaces it on this socket does so in the same turn.
        else queueMicrotask(() => letGo(connection))
      })
    },

    async command(message, onSent) {
      const connection = connected()
      const ref = `${++refs}`
      const { promise, resolve, reject } = Promise.withResolvers<ServerMessage>()
      connection.waiting.set(ref, { resolve, reject })
      let timer = setTimeout(() => reject(new MillraceError('silent')), timings.slowMs)
      connection.whenOpen.then(
        () => {
          if (!connection.waiting.has(ref)) return
          clearTimeout(timer)
          const say = () => {
            timer = setTimeout(() => connection.fail(new MillraceError('silent')), timings.answerMs)
            onSent()
            send(connection, { ...message, ref })
          }
          const now = performance.now()
          const waitMs = connection.commandAt - now
          connection.commandAt = Math.max(connection.commandAt, now - burstMax * commandMs) + commandMs
          if (waitMs <= 0) say()
          else timer = setTimeout(say, waitMs)
        },
        () => {},
      )
      try {
        return await promise
      } finally {
        clearTimeout(timer)
        connection.waiting.delete(ref)
        letGo(connection)
      }
    },

    keep(next) {
      idleMs = next
      if (current !== undefined) letGo(current)
    },

    close() {
      current?.fail(new MillraceError('closed'))
    },
  }

  function connected(): Connection {
    current ??= connect()
    return current
  }

  function connect(): Connection {
    const socket = new WebSocket(address.href, [webSocketProtocol])
    const opening = Promise.withResolvers<void>()
    // Whoever waits for it also hears of its failure otherwise.
    opening.promise.catch(() => {})
    let heardAt: number | undefined
    let timer = setTimeout(check, timings.firstBytesMs)
    const connection: Connection = {
      socket,
      whenOpen: opening.promise,
      attached: new Map(),
      waiting: new Map(),
      commandAt: Number.NEGATIVE_INFINITY,
      fail(error) {
        clearTimeout(timer)
        if (current === connection) clearTimeout(idleTimer)
        socket.onopen = socket.onmessage = socket.onclose = null
        if (current === connection) current = undefined
        opening.reject(error)
        socket.close()
        for (const { reject } of connection.waiting.values()) reject(error)
        for (const { signal, on } of connection.attached.values()) if (!signal.aborted) on.failed(error)
        connection.attached.clear()
      },
    }
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      heardAt = performance.now()
      onReached()
      clearTimeout(timer)
      wait(timings.silenceMs)
      opening.resolve()
    }
    socket.onmessage = ({ data }) => {
      heardAt = performance.now()
      try {
        receive(connection, data)
      } catch {
        // Valid JSON that is no message of ours, such as `null`.
        connection.fail(new MillraceError('bad_answer'))
      }
    }
    socket.onclose = ({ code, reason }) => connection.fail(closeError(code, reason))
    // `close` follows and says more.
    socket.onerror = () => {}
    return connection

    /** Heartbeats come also while nothing is attached, so that a dead socket is not found out by the next question. */
    function check(): void {
      const restMs = heardAt === undefined ? 0 : heardAt + timings.silenceMs - performance.now()
      if (restMs <= 0) return connection.fail(new MillraceError('silent'))
      // The answer to the server's own ping waits behind all that is on its way down, which a thin line takes long for.
      send(connection, { type: 'ping' })
      wait(restMs)
    }

    function wait(restMs: number): void {
      timer = setTimeout(check, Math.min(restMs, timings.silenceMs / 3))
    }
  }

  function receive(connection: Connection, data: unknown): void {
    const message = parse(data)
    if (message === undefined) return connection.fail(new MillraceError('bad_answer'))
    const clock = message.type === 'heartbeat' ? message.clock : undefined
    for (const { isAnswered, on } of connection.attached.values()) if (isAnswered) on.heard(clock)
    if (message.type === 'event') {
      const stream = connection.attached.get(keyOf(message))
      // Before its answer an attachment is still sent what belongs to the one before it.
      if (stream?.isAnswered) stream.on.event(message.event, message.id, message.data)
    } else if ('ref' in message && message.ref !== undefined) answer(connection, message.ref, message)
  }

  function answer(connection: Connection, ref: string, message: ServerMessage): void {
    const error = message.type === 'error' ? (readError(message, base) ?? new MillraceError('bad_answer')) : undefined
    const waiting = connection.waiting.get(ref)
    if (error === undefined) waiting?.resolve(message)
    else waiting?.reject(error)
    for (const [key, stream] of connection.attached) {
      if (stream.ref !== ref) continue
      if (error !== undefined) {
        connection.attached.delete(key)
        stream.on.failed(error)
        letGo(connection)
      } else if (message.type === 'attached') {
        stream.isAnswered = true
        stream.on.opened()
        stream.on.reached(message.position)
      }
    }
  }

  /** Closes what nobody needs any more, after a while. */
  function letGo(connection: Connection): void {
    if (connection !== current) return
    clearTimeout(idleTimer)
    idleTimer = setTimeout(() => {
      if (connection.attached.size + connection.waiting.size === 0) connection.fail(new MillraceError('closed'))
    }, idleMs)
  }

  function send({ socket }: Connection, message: object): void {
    socket.send(JSON.stringify(message))
  }
}

/** Text is a message; what is binary is an event whose data are bytes. */
function parse(data: unknown): ServerMessage | undefined {
  try {
    if (typeof data === 'string') return JSON.parse(data) as ServerMessage
    const frame = readBinaryFrame(data as ArrayBuffer)
    return frame && ({ ...(frame.header as object), data: frame.bytes } as object as ServerMessage)
  } catch {
    return undefined
  }
}

/** A session's id has no slash. */
const keyOf = (source: Source): string => ('session' in source ? source.session : `channel/${source.channel}`)

/** The range decides. A log that is gone (4404) is worth one more attempt: its refusal says which session it was, and why. */
function closeError(code: number, reason: string): MillraceError {
  const message = `The WebSocket was closed with ${code} ${reason}`.trim()
  return new MillraceError(isWorthReconnecting(code) || code === 4404 ? 'unreachable' : 'refused', { message })
}
