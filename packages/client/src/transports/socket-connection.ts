/**
 * One WebSocket, from its opening to its close: streams attached to it, commands sent over it, heartbeats watched.
 * Every failure closes it, and each stream and command on it gets the error. PROTOCOL.md#websocket.
 */
import { isWorthReconnecting, readBinaryFrame, type ServerMessage, type Source } from '@millrace/protocol'
import { MillraceError, readError } from '../errors.ts'
import { toError } from '../http.ts'
import type { Gauges } from '../status.ts'
import type { Timings } from '../timings.ts'
import type { StreamRequest } from './transport.ts'

/** The part of the standard WebSocket that the client uses. */
export interface WebSocketLike {
  binaryType: string
  onopen: (() => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number; reason: string }) => void) | null
  onerror: (() => void) | null
  send(text: string): void
  close(code?: number): void
}

export interface SocketConnectionOptions {
  readonly open: (ticket?: string) => WebSocketLike
  /** What it has in place of a token, as it sends no header. Undefined where it opens without one, as does what it gives. */
  readonly getTicket: (() => Promise<string | undefined>) | undefined
  /** A token or ticket for a connection whose own has expired, as the fields of a message. */
  readonly renew: () => Promise<object>
  /** Address of the server; links in its errors are relative to it. */
  readonly base: string
  readonly timings: Timings
  readonly gauges: Gauges
  readonly idleMs: number
  readonly onReached: () => void
  /** Called before any stream or command gets the error, so that it can open another connection at once. */
  readonly onClosed: () => void
}

interface Attachment extends StreamRequest {
  readonly ref: string
  sentAt: number
  isSent: boolean
  isAnswered: boolean
}

/** The reason to abort a stream with when the whole connection is dead. */
export const deadConnection = new MillraceError('silent')

/** A server closes with 4429 after 2,000 messages at once, and 200 a second: the client sends 400 commands, then 100 a second. */
const commandMs = 10
const burstMax = 400

export class SocketConnection {
  readonly #options: SocketConnectionOptions
  readonly #attached = new Map<string, Attachment>()
  readonly #commands = new Map<string, PromiseWithResolvers<ServerMessage>>()
  readonly #opening = Promise.withResolvers<void>()
  #socket: WebSocketLike | undefined
  #refs = 0
  /** When the next command would be sent if commands were evenly spaced. */
  #commandAt = Number.NEGATIVE_INFINITY
  #receivedAt: number | undefined
  #pingedAt = 0
  #silenceTimer: ReturnType<typeof setTimeout>
  #idleMs: number
  #idleTimer: ReturnType<typeof setTimeout> | undefined
  #isClosed = false

  constructor(options: SocketConnectionOptions) {
    const { open, getTicket, timings, idleMs } = options
    this.#options = options
    this.#idleMs = idleMs
    // Streams and commands get the error from fail().
    this.#opening.promise.catch(() => {})
    this.#silenceTimer = setTimeout(() => this.#checkSilence(), timings.firstBytesMs)
    if (getTicket === undefined) this.#use(open())
    else
      getTicket()
        .then((ticket) => this.#isClosed || this.#use(open(ticket)))
        .catch((error) => this.fail(toError(error)))
  }

  #use(socket: WebSocketLike): void {
    const { timings, onReached } = this.#options
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      this.#receivedAt = performance.now()
      onReached()
      clearTimeout(this.#silenceTimer)
      this.#watchSilence(timings.silenceMs)
      this.#opening.resolve()
    }
    socket.onmessage = ({ data }) => {
      this.#receivedAt = performance.now()
      try {
        this.#receive(data)
      } catch {
        // Valid JSON that is not a message of the protocol, such as `null`.
        this.fail(new MillraceError('bad_answer'))
      }
    }
    socket.onclose = ({ code, reason }) => this.fail(closeError(code, reason))
    // `close` follows and has the reason.
    socket.onerror = () => {}
  }

  attach(request: StreamRequest): void {
    const { source, from, signal } = request
    const key = keyOf(source)
    const attachment = { ...request, isSent: false, isAnswered: false, sentAt: 0, ref: `${++this.#refs}` }
    // Replaces an attachment to the same source: the server moves it, so no detach is needed.
    this.#attached.set(key, attachment)
    this.#onceOpen(() => {
      if (signal.aborted) return
      attachment.isSent = true
      attachment.sentAt = performance.now()
      this.#send({ type: 'attach', ref: attachment.ref, ...source, from })
    })
    signal.addEventListener('abort', () => {
      const isDead = signal.reason === deadConnection
      if (this.#attached.get(key) === attachment) {
        this.#attached.delete(key)
        // Also before `attached` arrives, or the server would send events for as long as the socket is open.
        if (attachment.isSent && !isDead) this.#send({ type: 'detach', ...source })
      }
      if (isDead) this.fail(deadConnection)
      // A stream that replaces this one attaches in the same turn.
      else queueMicrotask(() => this.#closeWhenIdle())
    })
  }

  async command(message: object & { readonly type?: string }, onSent: () => void): Promise<ServerMessage> {
    const { slowMs, answerMs } = this.#options.timings
    const ref = `${++this.#refs}`
    const answer = Promise.withResolvers<ServerMessage>()
    this.#commands.set(ref, answer)
    let timer = setTimeout(() => answer.reject(new MillraceError('silent')), slowMs)
    const send = () => {
      timer = setTimeout(() => this.fail(new MillraceError('silent')), answerMs)
      onSent()
      this.#send({ ...message, ref })
    }
    this.#onceOpen(() => {
      if (!this.#commands.has(ref)) return
      clearTimeout(timer)
      const now = performance.now()
      const waitMs = this.#commandAt - now
      this.#commandAt = Math.max(this.#commandAt, now - burstMax * commandMs) + commandMs
      // A stop is not held back behind what was published.
      if (waitMs <= 0 || message.type === 'stop') send()
      else timer = setTimeout(send, waitMs)
    })
    try {
      return await answer.promise
    } finally {
      clearTimeout(timer)
      this.#commands.delete(ref)
      this.#closeWhenIdle()
    }
  }

  /** Closes after this time without an attachment or a pending command. */
  keep(idleMs: number): void {
    this.#idleMs = idleMs
    this.#closeWhenIdle()
  }

  fail(error: MillraceError): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#silenceTimer)
    clearTimeout(this.#idleTimer)
    const socket = this.#socket
    if (socket !== undefined) socket.onopen = socket.onmessage = socket.onclose = null
    this.#options.onClosed()
    this.#opening.reject(error)
    socket?.close()
    for (const { reject } of this.#commands.values()) reject(error)
    for (const { signal, on } of this.#attached.values()) if (!signal.aborted) on.failed(error)
    this.#attached.clear()
  }

  /** Heartbeats arrive also while nothing is attached, so a dead socket is found before the next command needs it. */
  #checkSilence(): void {
    const restMs = this.#receivedAt === undefined ? 0 : this.#receivedAt + this.#options.timings.silenceMs - performance.now()
    if (restMs <= 0) return this.fail(new MillraceError('silent'))
    // On a slow line the answer to the server's own ping waits behind all the bytes on their way to this side.
    this.#pingedAt = performance.now()
    this.#send({ type: 'ping' })
    this.#watchSilence(restMs)
  }

  #watchSilence(restMs: number): void {
    this.#silenceTimer = setTimeout(() => this.#checkSilence(), Math.min(restMs, this.#options.timings.silenceMs / 3))
  }

  #closeWhenIdle(): void {
    if (this.#isClosed) return
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      if (this.#attached.size + this.#commands.size === 0) this.fail(new MillraceError('closed'))
    }, this.#idleMs)
  }

  #receive(data: unknown): void {
    const message = parse(data)
    if (message === undefined) return this.fail(new MillraceError('bad_answer'))
    const clock = message.type === 'heartbeat' ? message.clock : undefined
    for (const { isAnswered, on } of this.#attached.values()) if (isAnswered) on.received(clock)
    if (message.type === 'event') {
      const attachment = this.#attached.get(keyOf(message))
      // Until `attached` arrives, events belong to the attachment that this one replaces.
      if (attachment?.isAnswered) attachment.on.event(message.event, message.id, message.data)
    } else if (message.type === 'pong') this.#options.gauges.roundTripMs = performance.now() - this.#pingedAt
    else if (message.type === 'renew') {
      // Where that fails, the server closes the connection.
      this.#options
        .renew()
        .then((credential) => this.#send({ type: 'renew', ...credential }))
        .catch(() => {})
    } else if ('ref' in message && message.ref !== undefined) this.#answer(message.ref, message)
  }

  #answer(ref: string, message: ServerMessage): void {
    const error =
      message.type === 'error' ? (readError(message, this.#options.base) ?? new MillraceError('bad_answer')) : undefined
    const command = this.#commands.get(ref)
    if (error === undefined) command?.resolve(message)
    else command?.reject(error)
    for (const [key, attachment] of this.#attached) {
      if (attachment.ref !== ref) continue
      if (error !== undefined) {
        this.#attached.delete(key)
        attachment.on.failed(error)
        this.#closeWhenIdle()
      } else if (message.type === 'attached') {
        attachment.isAnswered = true
        this.#options.gauges.roundTripMs = performance.now() - attachment.sentAt
        attachment.on.opened()
        attachment.on.reached(message.position)
      }
    }
  }

  #onceOpen(call: () => void): void {
    this.#opening.promise.then(call, () => {})
  }

  #send(message: object): void {
    this.#socket?.send(JSON.stringify(message))
  }
}

/** A text frame is a message; a binary frame is an event whose data are bytes. */
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

/** The range decides. After 4401 and 4404 one more attempt has another token, or gets the error and what it is about. */
function closeError(code: number, reason: string): MillraceError {
  const message = `The WebSocket was closed with ${code} ${reason}`.trim()
  return new MillraceError(isWorthReconnecting(code) || code === 4401 || code === 4404 ? 'unreachable' : 'refused', { message })
}
