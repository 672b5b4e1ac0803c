/** One open event stream: its greeting, its heartbeats, and how it ends. */
import type { MillraceError } from '@millrace/protocol'
import { type CloseListener, type Cursor, countEvents } from '../delivery/cursor.ts'
import type { CursorGroup } from '../delivery/cursor-group.ts'
import type { Sink } from '../delivery/wire.ts'
import type { Connection, Delivered, Served } from './connection.ts'
import type { ControlText } from './control-text.ts'
import type { Beating, Heartbeat } from './heartbeat.ts'

/** The least time for an acknowledgement, however short the heartbeat's period: it is a request of its own. */
const acknowledgeMsMin = 1000

export interface SseSink extends Sink {
  /** Number of bytes written so far. */
  readonly bytes: number
  /** Closes the connection without an end of the stream. */
  destroy(): void
}

/** What all readers of a transport share. */
export interface SseReaders {
  readonly heartbeat: Heartbeat
  /** Those that acknowledge heartbeats, by the names of their streams. */
  readonly acknowledging: Map<string, SseReader>
  /** True where acknowledgements since then, by `performance.now`, may have been lost on the way. */
  readonly isExcused: (since: number) => boolean
  /** From 0 to 1. */
  readonly random: () => number
}

export class SseReader implements Served, Beating, CloseListener {
  readonly #shared: SseReaders
  readonly #control: ControlText
  readonly #sink: SseSink
  readonly #connection: Connection
  /** The name of the stream, if its reader acknowledges heartbeats. */
  readonly #stream: string | undefined
  readonly #cursor: Cursor | CursorGroup
  /** Where the cursor was at the last heartbeat that found it blocked. */
  #stalledAt: number | undefined
  /**
   * When the oldest heartbeat without an acknowledgement was sent; undefined where there is none. Infinity until the first
   * acknowledgement: a proxy that drops the stream's name or the acknowledgements would otherwise end every connection.
   */
  #unacknowledgedSince: number | undefined = Number.POSITIVE_INFINITY

  constructor(
    shared: SseReaders,
    control: ControlText,
    sink: SseSink,
    connection: Connection,
    stream: string | undefined,
    attach: (sink: Sink) => Cursor | CursorGroup,
  ) {
    this.#shared = shared
    this.#control = control
    this.#sink = sink
    this.#connection = connection
    this.#stream = stream
    // Clients that lost their connections together must not reconnect together.
    this.#write(control.greeting(1000 + this.#randomBelow(2000)))
    this.#cursor = attach(sink)
    if (stream !== undefined) shared.acknowledging.set(stream, this)
    shared.heartbeat.join(this)
    this.#cursor.onceClosed(this)
    connection.serve(this)
  }

  get cursors(): readonly Cursor[] {
    return 'cursors' in this.#cursor ? this.#cursor.cursors : [this.#cursor]
  }

  get delivered(): Delivered {
    return { events: countEvents(this.cursors), bytes: this.#sink.bytes }
  }

  onCursorClosed(): void {
    const { heartbeat, acknowledging } = this.#shared
    heartbeat.leave(this)
    if (this.#stream !== undefined) acknowledging.delete(this.#stream)
    // Unless it is closed for another reason, its log has ended.
    this.#connection.noteEnd('ended')
    this.#connection.close()
  }

  drained(): void {
    this.#cursor.drained()
  }

  /** The client has left. */
  close(): void {
    this.#connection.noteEnd('left')
    this.#cursor.close()
  }

  acknowledge(): void {
    this.#unacknowledgedSince = undefined
  }

  terminate(error: MillraceError): void {
    if (this.#cursor.closed) return
    this.#write(this.#control.error(error))
    this.#cursor.end()
  }

  drain(isPaced: boolean): void {
    const { retry } = this.#control
    if (retry === undefined) return this.#cut()
    // Unless the server spreads its readers, only their own retry time does.
    if (isPaced) this.#write(retry(100 + this.#randomBelow(900)))
    this.#cursor.end()
  }

  requestRenewal(): void {
    const { renewal } = this.#control
    if (renewal !== undefined) this.#write(renewal(this.#connection.id))
  }

  /** Closes a reader that has not taken a byte since the last heartbeat, or has stopped acknowledging. */
  beat(clock: number): void {
    const isStalled = this.#cursor.blocked && this.#stalledAt === this.#cursor.offset
    if (isStalled || this.#isOverdue()) {
      this.#connection.noteEnd('stalled')
      this.#cut()
    } else if (this.#cursor.blocked) {
      this.#stalledAt = this.#cursor.offset
    } else {
      this.#write(this.#control.heartbeat(clock))
      this.#stalledAt = undefined
      this.#unacknowledgedSince ??= performance.now()
    }
  }

  #isOverdue(): boolean {
    const since = this.#unacknowledgedSince
    if (this.#stream === undefined || since === undefined || performance.now() - since < acknowledgeMsMin) return false
    if (!this.#shared.isExcused(since)) return true
    this.#unacknowledgedSince = undefined
    return false
  }

  #cut(): void {
    this.#cursor.close()
    this.#sink.destroy()
  }

  #write(text: string): void {
    if (text !== '') this.#sink.write(Buffer.from(text))
  }

  #randomBelow(limit: number): number {
    return Math.floor(this.#shared.random() * limit)
  }
}
