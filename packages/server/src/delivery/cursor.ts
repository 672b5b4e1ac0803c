/**
 * One reader's place in one log. A cursor is behind or live. Behind, it reads the log itself, in pages whose deltas are
 * merged, until it reaches the head; live, it gets slices of the bytes that its tail has encoded for all readers. A live
 * cursor that is too slow for its tail's window is behind again. A cursor never holds events: what it has not written yet
 * is in the log.
 */
import type { Position } from '@millrace/protocol'
import type { Engine, Page } from '../log/log.ts'
import { retryWhileUnavailable } from '../log/retry.ts'
import type { DeliveryStats } from './delivery-stats.ts'
import { encoderAt } from './encoder.ts'
import type { Scheduler } from './scheduler.ts'
import type { Encode, Encoded, Sink, SlowPolicy, Wire } from './wire.ts'

/** The page size for catching up: enough to make a few frames of an answer of thousands of tokens. */
const catchUpPage = { eventsMax: 2048, bytesMax: 128 * 1024 }

/**
 * The size of one write while catching up; merged deltas are a fraction of what was read. Small enough for one step of
 * the scheduler, for a socket that is full, and for a line of 3 KB/s to transmit it before the transport takes the reader
 * for stalled.
 */
const writeBytesMax = 64 * 1024

/** A reader that is at most this far behind gets events unmerged: merging is for readers that missed many. */
export const nearlyLive = 64

/** Events that the cursors have brought their readers, with those that a reader skipped. */
export function countEvents(cursors: Iterable<Cursor>): number {
  let events = 0
  for (const { from, offset } of cursors) events += offset - from
  return events
}

/** The part of a tail that a live cursor uses. */
export interface CursorTail {
  readonly log: string
  readonly wire: Wire
  /** The cursor has read up to the head and is live from there on. */
  join(cursor: Cursor): void
  /** The cursor's sink accepts bytes again. */
  wake(cursor: Cursor): void
  leave(cursor: Cursor): void
}

export interface CloseListener {
  /** The cursor is closed, by its reader or at the end of the stream. */
  onCursorClosed(): void
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
  /** Of a wire with `since`: it has had every event up to `after`. Default: it is made by reading them. */
  readonly encode?: Encode | undefined
  readonly stats: DeliveryStats
  /** The tail to join at the head; created if there is none. */
  readonly findTail: (cursor: Cursor) => CursorTail
  /** The log cannot be read, temporarily or, if the cursor has ended, permanently. */
  readonly onReadError: (error: unknown) => void
}

export class Cursor {
  log: string
  readonly epoch: string
  wire: Wire
  readonly sink: Sink
  readonly slow: SlowPolicy
  /** The offset after which its reader began. */
  readonly from: number
  /** The offset of the last event passed to the sink. */
  offset: number
  /** The place in the tail while live: a slab, and how many of its bytes are written. */
  slab = 0
  at = 0
  /** True from a write for which the sink returned false until `drained()`, or from the start. */
  blocked: boolean
  closed = false
  /** While behind, once it is known; a tail that is created for the cursor takes it over. */
  encode: Encode | undefined
  #onClose: CloseListener | undefined
  readonly #engine: Engine
  readonly #scheduler: Scheduler
  readonly #stats: DeliveryStats
  readonly #findTail: (cursor: Cursor) => CursorTail
  readonly #onReadError: (error: unknown) => void
  #tail: CursorTail | undefined
  #onDrained: (() => void) | undefined

  constructor(options: CursorOptions) {
    const { engine, scheduler, log, wire, sink, after, slow = 'wait', blocked = false } = options
    const { stats, findTail, onReadError, encode } = options
    this.log = log
    this.epoch = after.epoch
    this.from = after.offset
    this.offset = after.offset
    this.wire = wire
    this.sink = sink
    this.slow = slow
    this.blocked = blocked
    this.encode = encode
    this.#engine = engine
    this.#scheduler = scheduler
    this.#stats = stats
    this.#findTail = findTail
    this.#onReadError = onReadError
  }

  /** The listener is called once; at once if the cursor is closed already. */
  onceClosed(listener: CloseListener): void {
    if (this.closed) listener.onCursorClosed()
    else this.#onClose = listener
  }

  /** The sink accepts bytes again. */
  drained(): void {
    if (!this.blocked || this.closed) return
    this.blocked = false
    this.#onDrained?.()
    this.#tail?.wake(this)
  }

  /** The reader has disconnected; nothing is written after this. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.#onDrained?.()
    this.#tail?.leave(this)
    this.#tail = undefined
    this.#onClose?.onCursorClosed()
  }

  /** There are no more events: the wire has written its last one, or the log cannot be read because of `error`. */
  end(error?: unknown): void {
    if (this.closed) return
    this.close()
    try {
      this.sink.end(error)
    } catch (cause) {
      this.#onReadError(cause)
    }
  }

  /** Its tail has dropped the cursor. */
  fallBehind(): void {
    if (this.slow !== 'close') return void this.catchUp()
    if (this.closed) return
    this.close()
    if (this.sink.onSlow === undefined) this.sink.end()
    else this.sink.onSlow()
  }

  /**
   * Reads the log to its head, then joins the tail, however long the engine is unavailable meanwhile. Never rejects: a log
   * that cannot be read ends the stream.
   */
  async catchUp(): Promise<void> {
    this.#tail = undefined
    this.#stats.behind.set(this, 0)
    try {
      for (let isFirst = true; ; isFirst = false) {
        if (this.blocked) await this.#untilDrained()
        if (this.closed) return
        if (isFirst && this.slow === 'latest') await this.#skipToLatest()
        if (this.wire.since !== undefined && this.encode === undefined) this.encode = await this.#findEncoder()
        const page = await this.#ask(() => this.#engine.read(this.log, { epoch: this.epoch, offset: this.offset }, catchUpPage))
        this.#stats.behind.set(this, page.head.offset - this.offset)
        const isLast = await this.#inTurn(() => this.#writePage(page))
        if (this.closed) return
        if (isLast) return this.end()
        if (this.offset === page.head.offset) return this.join(this.#findTail(this))
      }
    } catch (error) {
      if (this.closed) return
      // The log was deleted or is damaged. The reader is disconnected, and gets the reason when it reconnects.
      this.end(error)
      this.#onReadError(error)
    } finally {
      this.#stats.behind.delete(this)
    }
  }

  #findEncoder(): Promise<Encode> {
    const { wire, log, epoch, offset } = this
    return this.#ask(() => encoderAt({ engine: this.#engine, log, epoch, offset }, wire))
  }

  #ask<T>(act: () => Promise<T>): Promise<T> {
    return retryWhileUnavailable(act, { isOver: () => this.closed, onUnavailable: this.#onReadError })
  }

  join(tail: CursorTail): void {
    this.#tail = tail
    this.encode = undefined
    // Of all readers of the tail only one copy stays in memory.
    this.log = tail.log
    this.wire = tail.wire
    tail.join(this)
  }

  async #skipToLatest(): Promise<void> {
    const state = await this.#ask(() => this.#engine.inspect(this.log))
    if (state === undefined || this.closed || state.head.offset - 1 <= this.offset) return
    const to = { epoch: this.epoch, offset: state.head.offset - 1 }
    this.#stats.gaps += 1
    const gap = join([this.wire.encodeGap({ epoch: this.epoch, offset: this.offset }, to)])
    this.offset = to.offset
    this.blocked = !this.sink.write(gap)
  }

  /** Encoding is scheduled like writing: many readers that reconnect together must not block the others. */
  #inTurn<T>(work: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#scheduler.add({
        step() {
          // Starts at once; what it throws rejects the promise.
          resolve((async () => work())())
          return 'done'
        },
      })
    })
  }

  /** True if the page contained the wire's last event. */
  #writePage({ events, gap, position }: Page): boolean {
    if (this.closed) return false
    const pieces: Encoded[] = gap === undefined ? [] : [this.wire.encodeGap(gap.from, gap.to)]
    if (gap !== undefined) this.#stats.gaps += 1
    if (gap !== undefined && this.wire.endsAtGap) {
      this.sink.write(join(pieces))
      return true
    }
    const encode = this.encode ?? this.wire.encode
    const before = this.offset
    let last = false
    const merges = events.length > nearlyLive || this.wire.intervalMs
    let size = 0
    this.offset = position.offset
    for (const event of merges ? this.wire.merge(events) : events) {
      const piece = encode(event, this.epoch)
      pieces.push(piece)
      size += piece.length
      last = this.wire.isLast(event)
      if (last) break
      if (size < writeBytesMax) continue
      this.offset = event.offset
      break
    }
    const bytes = join(pieces)
    this.#stats.written(this.offset - before, bytes.length)
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

/** A wire returns text or bytes, not both; text is joined before it is encoded, which is cheaper. */
function join(pieces: readonly Encoded[]): Buffer {
  if (pieces.every((piece) => typeof piece === 'string')) return Buffer.from(pieces.join(''))
  return Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)))
}
