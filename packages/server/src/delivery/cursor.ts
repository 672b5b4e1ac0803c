/**
 * One reader's place in one log. A cursor is behind or live. Behind, it reads the log by itself, in
 * pages whose deltas are merged, until it has reached the head; live, it is given slices of the bytes
 * that its tail has encoded for everyone. A live cursor that is too slow for its tail's window is
 * behind again. It never holds events: what it has not written yet is in the log.
 */
import type { Position } from '@millrace/protocol'
import type { Engine, Page } from '../log/log.ts'
import { retryWhileUnavailable } from '../log/retry.ts'
import type { Scheduler } from './scheduler.ts'
import type { Encoded, Sink, SlowPolicy, Wire } from './wire.ts'

/** What is read at once to catch up: enough to make a few frames of an answer of thousands of tokens. */
const catchUpPage = { eventsMax: 2048, bytesMax: 128 * 1024 }

/**
 * What is written of it at once; deltas that were merged are a fraction of what was read. Small enough for
 * one step of a turn, for a socket that takes nothing, and for a line of 3 KB/s to be through with before
 * the transport thinks that nobody reads.
 */
const writeBytesMax = 64 * 1024

/** A reader that is no further behind is given events as they were said: merging is for those who have missed much. */
export const nearlyLive = 64

/** What a cursor asks of the tail that it is live on. */
export interface CursorTail {
  /** The cursor has read up to the head and wants to be written to from there on. */
  join(cursor: Cursor): void
  /** The cursor's sink takes bytes again. */
  wake(cursor: Cursor): void
  leave(cursor: Cursor): void
}

export interface CursorOptions {
  readonly engine: Engine
  readonly scheduler: Scheduler
  readonly log: string
  readonly wire: Wire
  readonly sink: Sink
  readonly after: Position
  /** Default `wait`. */
  readonly slow?: SlowPolicy | undefined
  readonly blocked?: boolean
  /** The tail to join at the head; makes one where there is none. */
  readonly findTail: (cursor: Cursor) => CursorTail
  /** The log cannot be read, for now or, where the cursor has been ended, at all. */
  readonly onReadError: (error: unknown) => void
}

export class Cursor {
  readonly log: string
  readonly epoch: string
  readonly wire: Wire
  readonly sink: Sink
  readonly slow: SlowPolicy
  /** Of the last event that was handed to the sink. */
  offset: number
  /** Place in the tail while live: which slab, and how many of its bytes have been written. */
  slab = 0
  at = 0
  /** True from a write the sink answered with false until `drained()`, or from the beginning. */
  blocked: boolean
  closed = false
  #onClose: (() => void) | undefined
  readonly #engine: Engine
  readonly #scheduler: Scheduler
  readonly #findTail: (cursor: Cursor) => CursorTail
  readonly #onReadError: (error: unknown) => void
  #tail: CursorTail | undefined
  #onDrained: (() => void) | undefined

  constructor(options: CursorOptions) {
    const { engine, scheduler, log, wire, sink, after, slow = 'wait', blocked = false, findTail, onReadError } = options
    this.log = log
    this.epoch = after.epoch
    this.offset = after.offset
    this.wire = wire
    this.sink = sink
    this.slow = slow
    this.blocked = blocked
    this.#engine = engine
    this.#scheduler = scheduler
    this.#findTail = findTail
    this.#onReadError = onReadError
  }

  /** Calls once when the cursor is closed, by its reader's leaving or by the end of the stream; at once where it is already. */
  onceClosed(call: () => void): void {
    if (this.closed) call()
    else this.#onClose = call
  }

  /** The sink takes bytes again. */
  drained(): void {
    if (!this.blocked || this.closed) return
    this.blocked = false
    this.#onDrained?.()
    this.#tail?.wake(this)
  }

  /** The reader has gone; nothing is written after this. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.#onDrained?.()
    this.#tail?.leave(this)
    this.#tail = undefined
    this.#onClose?.()
  }

  /** Nothing more will come: the wire has said its last event, or the log cannot be read, with what its engine said. */
  end(error?: unknown): void {
    if (this.closed) return
    this.close()
    try {
      this.sink.end(error)
    } catch (cause) {
      this.#onReadError(cause)
    }
  }

  /** Its tail has nothing for it any more. */
  fallBehind(): void {
    if (this.slow !== 'close') return void this.catchUp()
    if (this.closed) return
    this.close()
    if (this.sink.onSlow === undefined) this.sink.end()
    else this.sink.onSlow()
  }

  /**
   * Reads the log until its head, then joins the tail, however long the engine is unavailable meanwhile. Never rejects: a
   * log that cannot be read ends the stream.
   */
  async catchUp(): Promise<void> {
    this.#tail = undefined
    try {
      for (let isFirst = true; ; isFirst = false) {
        if (this.blocked) await this.#untilDrained()
        if (this.closed) return
        if (isFirst && this.slow === 'latest') await this.#skipToLatest()
        const page = await this.#ask(() => this.#engine.read(this.log, { epoch: this.epoch, offset: this.offset }, catchUpPage))
        const isLast = await this.#inTurn(() => this.#writePage(page))
        if (this.closed) return
        if (isLast) return this.end()
        if (this.offset === page.head.offset) return this.join(this.#findTail(this))
      }
    } catch (error) {
      if (this.closed) return
      // The log is gone, or something is wrong with it. The reader is let go, and told which when it comes back.
      this.end(error)
      this.#onReadError(error)
    }
  }

  #ask<T>(act: () => Promise<T>): Promise<T> {
    return retryWhileUnavailable(act, { isOver: () => this.closed, onUnavailable: this.#onReadError })
  }

  join(tail: CursorTail): void {
    this.#tail = tail
    tail.join(this)
  }

  async #skipToLatest(): Promise<void> {
    const state = await this.#ask(() => this.#engine.inspect(this.log))
    if (state === undefined || this.closed || state.head.offset - 1 <= this.offset) return
    const to = { epoch: this.epoch, offset: state.head.offset - 1 }
    const gap = join([this.wire.encodeGap({ epoch: this.epoch, offset: this.offset }, to)])
    this.offset = to.offset
    this.blocked = !this.sink.write(gap)
  }

  /** Encoding is work like any other writing: many that come back together must not hold up the rest. */
  #inTurn<T>(work: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#scheduler.add({
        step() {
          // Begins here and now; what it throws is the promise's.
          resolve((async () => work())())
          return 'done'
        },
      })
    })
  }

  /** True when the page held the wire's last event. */
  #writePage({ events, gap, position }: Page): boolean {
    if (this.closed) return false
    const pieces: Encoded[] = gap === undefined ? [] : [this.wire.encodeGap(gap.from, gap.to)]
    let last = false
    const merges = events.length > nearlyLive || this.wire.intervalMs
    let size = 0
    this.offset = position.offset
    for (const event of merges ? this.wire.merge(events) : events) {
      const piece = this.wire.encode(event, this.epoch)
      pieces.push(piece)
      size += piece.length
      last = this.wire.isLast(event)
      if (last) break
      if (size < writeBytesMax) continue
      this.offset = event.offset
      break
    }
    const bytes = join(pieces)
    if (bytes.length > 0) this.blocked = !this.sink.write(bytes)
    return last
  }

  async #untilDrained(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onDrained = resolve
    })
    this.#onDrained = undefined
  }
}

/** A wire gives text or bytes, not both; text is joined before it is encoded, because that is cheaper. */
function join(pieces: readonly Encoded[]): Buffer {
  if (pieces.every((piece) => typeof piece === 'string')) return Buffer.from(pieces.join(''))
  return Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)))
}
