/** One WebSocket: a cursor for each attached session or channel, and bounds on what its client sends. */
import type { Duplex } from 'node:stream'
import { closeCodeOf, closeCodes, encodeJson, limits, MillraceError, type ServerMessage } from '@millrace/protocol'
import type { WebSocket } from 'ws'
import type { Principal } from '../access/caller.ts'
import { type CloseListener, type Cursor, countEvents } from '../delivery/cursor.ts'
import type { Attachment, FanOut } from '../delivery/fan-out.ts'
import { type Sink, throttled } from '../delivery/wire.ts'
import { Bucket } from '../limits/bucket.ts'
import type { ConnectionEndCode, Observer } from '../operations/observer.ts'
import type { Connection, Delivered, Served } from './connection.ts'

import type { Beating, Heartbeat } from './heartbeat.ts'
import { SmallMap } from './small-map.ts'
import type { OnText, Socket, SocketRun, SocketStream } from './transport.ts'
import { eventFrames, plainFrames, runFrames, textFrame } from './websocket-wire.ts'

/** What a waiting message takes besides its text, roughly: many small messages must not cost more than a few large ones. */
const messageOverheadBytes = 512
/** Time for the client of a flood to receive the Close frame. */
const floodCloseMsMax = 1000

/** What the client of one socket may do; `limits/` decides how much. */
export type BoundOf = (principal: Principal, name: 'messagesPerSecond' | 'bytesPerSecond' | 'subscriptions') => number

export interface ServedSocketOptions {
  readonly client: WebSocket
  /** The socket under `client`, to which frames are written as they are. */
  readonly socket: Duplex
  readonly connection: Connection
  readonly fanOut: FanOut
  readonly heartbeat: Heartbeat
  readonly observer: Pick<Observer, 'received'>
  /** The client asked for heartbeats as messages. */
  readonly wantsHeartbeat: boolean
  readonly boundOf: BoundOf
}

export class ServedSocket implements Socket, Served, Beating {
  readonly #client: WebSocket
  readonly #socket: Duplex
  readonly #connection: Connection
  readonly #fanOut: FanOut
  readonly #heartbeat: Heartbeat
  readonly #observer: Pick<Observer, 'received'>
  readonly #wantsHeartbeat: boolean
  readonly #boundOf: BoundOf
  readonly #cursors = new SmallMap<Cursor>()
  #onText: OnText | undefined
  isClosed = false
  isOthers = false
  /** The client has sent something since the last heartbeat. */
  #isAlive = true
  /** The last heartbeat found the socket full. */
  #isStalled = false
  /** Of messages and pings, and of their bytes. Most sockets never send any. */
  #messages: Bucket | undefined
  #sent: Bucket | undefined
  #bytes = 0
  /** Of the logs that it no longer reads. */
  #events = 0
  #waitingBytes = 0

  constructor(options: ServedSocketOptions) {
    const { client, socket, connection, fanOut, heartbeat, observer, wantsHeartbeat, boundOf } = options
    this.#client = client
    this.#socket = socket
    this.#connection = connection
    this.#fanOut = fanOut
    this.#heartbeat = heartbeat
    this.#observer = observer
    this.#wantsHeartbeat = wantsHeartbeat
    this.#boundOf = boundOf
  }

  /** Begins to handle messages. */
  start(onText: OnText): void {
    this.#onText = onText
    this.#socket.on('drain', () => this.#onDrain())
    this.#heartbeat.join(this)
    this.#connection.serve(this)
  }

  onMessage(data: Buffer, isBinary: boolean): void {
    this.#observer.received?.('ws', data.length)
    if (!this.#isAllowed(data.length)) return
    if (isBinary) this.close(1003, 'Messages are text.')
    else this.#receive(data)
  }

  onPing(data: Buffer): void {
    if (this.#isAllowed(data.length) && !this.#socket.writableNeedDrain) this.#client.pong(data)
  }

  onPong(): void {
    this.#isAlive = true
  }

  onError(): void {
    this.#connection.noteEnd('misuse')
    this.stop()
  }

  onClose(): void {
    this.#heartbeat.leave(this)
    for (const cursor of this.cursors) cursor.close()
    this.#connection.close()
  }

  get delivered(): Delivered {
    return { events: this.#events + countEvents(this.cursors), bytes: this.#bytes }
  }

  get cursors(): readonly Cursor[] {
    return this.#cursors.values
  }

  send(message: ServerMessage): void {
    this.sendText(encodeJson(message))
  }

  sendText(text: string): void {
    this.write(textFrame(text))
  }

  attach(key: string, { log, after, dialect, source, slow, intervalMs }: SocketStream): void {
    const wire = source === undefined ? plainFrames(dialect) : throttled(eventFrames(dialect, source), intervalMs)
    this.#attach(key, { log, after, wire, slow }, (error) => this.#onUnreadable(key, error))
  }

  attachRun(key: string, run: SocketRun): void {
    const { session: log, start, place } = run
    const { wire, encodeRest, encoderAt } = runFrames(run)
    const at = place === undefined ? { after: start } : { after: place.after, encode: encoderAt(place) }
    const cursor = this.#attach(key, { log, wire, ...at }, run.onEnd)
    // The cursor writes in a later tick.
    if (place !== undefined && place.rest.length > 0) this.write(encodeRest(place))
    if (place?.isEnd) cursor?.end()
  }

  #attach(
    key: string,
    attachment: Pick<Attachment, 'log' | 'after' | 'wire' | 'slow' | 'encode'>,
    onEnd: OnEnd,
  ): Cursor | undefined {
    // A cursor attached after the close would never be closed.
    if (!this.#isOpen) return undefined
    const earlier = this.#cursors.get(key)
    if (earlier === undefined) this.requireRoom()
    this.#connection.attach(attachment.log, key)
    const sink = new AttachmentSink(this, key, onEnd)
    // Otherwise a client that reads nothing would get the first page again each time it attaches.
    const blocked = this.#socket.writableNeedDrain
    const cursor = this.#fanOut.attach({ ...attachment, sink, blocked })
    this.#cursors.set(key, cursor)
    sink.cursor = cursor
    cursor.onceClosed(sink)
    // Only now, because the key stays attached.
    earlier?.close()
    return cursor
  }

  requireRoom(): void {
    const max = this.#boundOf(this.#connection.owner, 'subscriptions')
    if (this.#cursors.size >= max) throw new MillraceError('too_many_attachments', { message: tooMany(max) })
  }

  detach(key: string): boolean {
    const cursor = this.#cursors.get(key)
    cursor?.close()
    return cursor !== undefined
  }

  close(code: number, reason: string): void {
    if (!this.#isOpen) return
    this.#connection.noteEnd(endOf(code))
    this.#client.close(code, reason)
    this.stop()
  }

  terminate(error: MillraceError): void {
    this.close(closeCodeOf(error), error.code)
  }

  drain(): void {
    this.close(closeCodes.restart, 'The server stops; connect again.')
  }

  requestRenewal(): void {
    if (!this.isOthers) this.send({ type: 'renew' })
  }

  beat(clock: number): void {
    // A closing socket has a timeout of its own.
    if (!this.#isOpen) return
    if (!this.#isAlive && !this.#client.isPaused) return this.#endStalled()
    if (this.#socket.writableNeedDrain) {
      if (this.#isStalled) this.#endStalled()
      this.#isStalled = true
      return
    }
    this.#isAlive = false
    this.#client.ping()
    if (this.#wantsHeartbeat) this.send({ type: 'heartbeat', clock })
  }

  get #isOpen(): boolean {
    return this.#client.readyState === this.#client.OPEN
  }

  /** False, and nothing is written, after the Close frame: browsers fail a connection on which data follows it. */
  write(bytes: Uint8Array): boolean {
    if (!this.#isOpen) return false
    this.#bytes += bytes.length
    return this.#socket.write(bytes)
  }

  #onUnreadable(key: string, error: unknown): void {
    if (error === undefined) return
    if (error instanceof MillraceError && !error.retryable)
      this.close(closeCodes.sessionGone, `The log of ${key} is ${error.code === 'log_damaged' ? 'damaged' : 'gone'}.`)
    else this.close(closeCodes.unreadable, `The log of ${key} cannot be read now; connect again.`)
  }

  /** The cursor of an attachment is closed. */
  onDetached(key: string, cursor: Cursor | undefined): void {
    if (cursor !== undefined) this.#events += countEvents([cursor])
    if (this.#cursors.get(key) !== cursor) return
    this.#cursors.delete(key)
    this.#connection.detach(key)
  }

  #endStalled(): void {
    this.#connection.noteEnd('stalled')
    this.#client.terminate()
  }

  #onDrain(): void {
    this.#isStalled = false
    for (const cursor of this.cursors) cursor.drained()
  }

  stop(): void {
    this.isClosed = true
    // The client's Close frame arrives behind everything else that it has sent.
    this.#client.resume()
    for (const cursor of this.cursors) cursor.close()
  }

  /**
   * While too many bytes wait to be handled, nothing is read: TCP then slows the client down, where a queue would fill the
   * memory. 1,500 messages of 250 KB took 560 MiB while an engine took 5 s for each.
   */
  #receive(data: Buffer): void {
    const client = this.#client
    const bytes = data.length + messageOverheadBytes
    this.#waitingBytes += bytes
    if (this.#waitingBytes > limits.waitingBytesMax) client.pause()
    void this.#onText?.(data.toString('utf8')).then(() => {
      this.#waitingBytes -= bytes
      if (!client.isPaused || this.#waitingBytes > limits.waitingBytesMax) return
      // Its pong has waited as well.
      this.#isAlive = true
      client.resume()
    })
  }

  #isAllowed(bytes: number): boolean {
    this.#isAlive = true
    if (!this.#isOpen) return false
    const now = performance.now()
    const { owner } = this.#connection
    const messagesPerSecond = this.#boundOf(owner, 'messagesPerSecond')
    const bytesPerSecond = this.#boundOf(owner, 'bytesPerSecond')
    this.#messages ??= new Bucket(messagesPerSecond, now)
    this.#sent ??= new Bucket(bytesPerSecond, now)
    const waitMs = this.#messages.take(1, messagesPerSecond, now) || this.#sent.take(bytes, bytesPerSecond, now)
    if (waitMs === 0) return true
    this.close(closeCodes.flood, 'Too many messages.')
    this.#stopParsing()
    return false
  }

  /** The rest of a flood is dropped as bytes: parsing it blocked the event loop for 0.3 s. */
  #stopParsing(): void {
    this.#socket.removeAllListeners('data')
    this.#socket.on('data', () => {})
    // The client's Close frame would not be parsed either.
    this.#socket.end()
    setTimeout(() => this.#client.terminate(), floodCloseMsMax).unref()
  }
}

function endOf(code: number): ConnectionEndCode {
  switch (code) {
    case closeCodes.flood:
      return 'flood'
    case closeCodes.sessionGone:
      return 'session_not_found'
    case closeCodes.unreadable:
      return 'engine_failed'
    case closeCodes.stalled:
      return 'stalled'
    default:
      return 'misuse'
  }
}

/** The log of an attachment has ended, or cannot be read because of the error. */
type OnEnd = (error?: unknown) => void

/** Where the cursor of one attachment writes. */
class AttachmentSink implements Sink, CloseListener {
  readonly #socket: ServedSocket
  readonly #key: string
  readonly #onEnd: OnEnd
  cursor: Cursor | undefined

  constructor(socket: ServedSocket, key: string, onEnd: OnEnd) {
    this.#socket = socket
    this.#key = key
    this.#onEnd = onEnd
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes)
  }

  end(error?: unknown): void {
    this.#onEnd(error)
  }

  onSlow(): void {
    this.#socket.close(closeCodes.stalled, 'Too slow for this log.')
  }

  onCursorClosed(): void {
    this.#socket.onDetached(this.#key, this.cursor)
  }
}

function tooMany(max: number): string {
  return `This connection already reads ${max} sessions and runs; detach some, or open another connection.`
}
