/**
 * The recent end of one log in one wire form, encoded once and shared by all live cursors. A notification makes it read
 * what is new and encode it at the end of its last slab; a tick then gives each cursor the slice between its own place
 * and the end.
 *
 * Memory: 256 KiB a tail, or its last event if that is larger, whatever the number of readers; once all readers have it,
 * only what the next reader needs to join, and nothing after some seconds of rest; and a bound for all tails together. A
 * cursor that falls out of the window catches up itself.
 */
import type { Engine, LogEvent, Page } from '../log/log.ts'
import { retryWhileUnavailable } from '../log/retry.ts'
import { type Cursor, type CursorTail, nearlyLive } from './cursor.ts'
import { type DeliveryStats, PassStats, type ReaderCounts } from './delivery-stats.ts'
import type { Scheduler, Task } from './scheduler.ts'
import { Slabs } from './slabs.ts'
import type { MemoryHolder, TailMemory } from './tail-memory.ts'
import type { Encode, Wire } from './wire.ts'

/** One page: what is encoded at once, about a millisecond. */
const page = { eventsMax: 256, bytesMax: 64 * 1024 }
/** Events that may be appended while no cursor is writable; beyond, readers catch up themselves, merged. */
const idleBacklogMax = 512
/**
 * A write costs by itself, hardly by its length. Where a log has many readers, the next pass over them starts at the
 * earliest so many milliseconds after the last one did, and takes along what was appended meanwhile: docs/decisions/0024.
 */
const crowd = { readersMin: 65, passMs: 10 }
/** Writes in one step of a tick; about a tenth of a millisecond. */
const writesPerStep = 16

export interface TailOptions {
  readonly engine: Engine
  readonly scheduler: Scheduler
  readonly memory: TailMemory
  readonly stats: DeliveryStats | undefined
  readonly log: string
  readonly epoch: string
  readonly wire: Wire
  /** Has had every event of the wire up to `offset`. */
  readonly encode: Encode
  /** Where the tail starts. */
  readonly offset: number
  /** The log cannot be read, temporarily or, if its cursors have ended, permanently. */
  readonly onReadError: (error: unknown) => void
  /** Called when the last cursor has left. */
  readonly onEmpty: () => void
}

export class Tail implements Task, CursorTail, MemoryHolder {
  readonly #options: TailOptions
  readonly #unwatch: () => void
  readonly #slabs: Slabs
  /** Cursors that are writable, those that wait for their sink, and those ahead of what was read here. */
  readonly #ready = new Set<Cursor>()
  readonly #blocked = new Set<Cursor>()
  readonly #early = new Set<Cursor>()
  #pass: SetIterator<Cursor> | undefined
  #passAt = Number.NEGATIVE_INFINITY
  /** Starts the next pass over a crowd. */
  #passTimer: ReturnType<typeof setTimeout> | undefined
  #unfinished = false
  /** What was read is not the end of the log: the rest is read after the next pass. */
  #hasMore = false
  /** Everything is delivered, and the scheduler has nothing to call. */
  #isIdle = true
  /** Every writable reader has everything that was read. */
  #onDelivered = () => {}
  #reading = false
  /** An append between the reader's last page and the watch has not notified this tail. */
  #hasNews = true
  /** Notifications arrived while no cursor was writable. */
  #afterIdle = false
  #readAt = Number.NEGATIVE_INFINITY
  /** With an interval: how far it reads without another wait, which is the head at the end of the last interval. */
  #goal = 0
  /** The wire has written its last event. */
  #ended = false
  #notedBytes = 0
  /** The offset when the tail was last asked whether it is unused. */
  #unusedAt = -1
  readonly #stats: PassStats | undefined
  #slice: { buffer: Buffer; from: number; to: number; bytes: Buffer } | undefined

  constructor(options: TailOptions) {
    this.#options = options
    this.#slabs = new Slabs(options.offset)
    this.#stats = options.stats && new PassStats(options.stats)
    this.#unwatch = options.engine.watch(options.log, () => void this.#pull())
  }

  get log(): string {
    return this.#options.log
  }

  get wire(): Wire {
    return this.#options.wire
  }

  /** Up to where the log is read and encoded. */
  get #offset(): number {
    return this.#slabs.to
  }

  /** Whether a cursor can join without reading itself. */
  reaches({ offset, slow }: Cursor): boolean {
    if (slow === 'latest' && this.#offset - offset > 1) return false
    return offset >= this.#slabs.from && this.#offset - offset <= nearlyLive
  }

  join(cursor: Cursor): void {
    if (cursor.offset > this.#offset) this.#early.add(cursor)
    else if (!this.#place(cursor)) return this.#rejoin(cursor)
    else (cursor.blocked ? this.#blocked : this.#ready).add(cursor)
    if (!cursor.blocked) this.wake(cursor)
  }

  wake(cursor: Cursor): void {
    if (this.#blocked.delete(cursor)) {
      this.#ready.add(cursor)
      if (cursor.slow === 'latest' && (this.#hasNews || this.#offset - cursor.offset > 1)) return this.#fallBehind(cursor)
    }
    this.#schedule()
    if (this.#hasNews) void this.#pull()
  }

  leave(cursor: Cursor): void {
    this.#ready.delete(cursor)
    this.#blocked.delete(cursor)
    this.#early.delete(cursor)
    if (!this.#isEmpty) return
    clearTimeout(this.#passTimer)
    this.#unwatch()
    this.#options.memory.note(this, 0)
    this.#options.onEmpty()
  }

  shrink(): boolean {
    if (this.#isIdle) this.#beginAt(this.#offset)
    return this.#isIdle
  }

  shrinkIfUnused(): void {
    // A cursor that waits for its sink would fall behind.
    if (this.#offset === this.#unusedAt && this.#blocked.size === 0) this.shrink()
    this.#unusedAt = this.#offset
  }

  countReaders(): Omit<ReaderCounts, 'behind'> {
    const lagMax = this.#blocked.values().reduce((max, { offset }) => Math.max(max, this.#offset - offset), 0)
    return { live: this.#ready.size + this.#early.size, blocked: this.#blocked.size, lagMax }
  }

  /** Writes to some of the cursors; each gets at most one write in a tick. */
  step(): 'more' | 'later' | 'done' {
    if (this.#pass === undefined) {
      this.#pass = this.#ready.values()
      this.#unfinished = false
      this.#stats?.begin()
      if (this.#isCrowded) this.#passAt = performance.now()
    }
    for (let writes = 0; writes < writesPerStep; writes++) {
      const { value: cursor, done } = this.#pass.next()
      if (done) {
        this.#pass = undefined
        this.#stats?.end()
        if (this.#unfinished) return 'later'
        if (this.#passTimer !== undefined) return 'done'
        this.#isIdle = true
        this.#trim()
        this.#onDelivered()
        return 'done'
      }
      try {
        this.#deliver(cursor)
      } catch (error) {
        // A sink has broken its promise not to throw; the others continue in the next tick.
        this.#schedule()
        cursor.end(error)
        throw error
      }
    }
    return 'more'
  }

  #schedule(): void {
    this.#isIdle = false
    // Not while a pass is due in the next tick, nor in the middle of a long batch.
    const mayWait = this.#isCrowded && !this.#unfinished && !this.#hasMore
    const wait = mayWait ? this.#passAt + crowd.passMs - performance.now() : 0
    if (wait <= 0) this.#options.scheduler.add(this)
    else this.#passTimer ??= setTimeout(this.#startPass, wait)
  }

  readonly #startPass = (): void => {
    this.#passTimer = undefined
    this.#unfinished = true
    this.#options.scheduler.add(this)
  }

  get #isCrowded(): boolean {
    return this.#ready.size >= crowd.readersMin
  }

  #deliver(cursor: Cursor): void {
    if (this.#isBehind(cursor)) return this.#fallBehind(cursor)
    const slabs = this.#slabs
    // It has everything that was dropped.
    if (cursor.slab < slabs.first) Object.assign(cursor, { slab: slabs.first, at: 0 })
    let slab = slabs.get(cursor.slab)
    if (cursor.at === slab.used && slab !== slabs.last) {
      cursor.slab += 1
      cursor.at = 0
      slab = slabs.get(cursor.slab)
    }
    if (cursor.at < slab.used) {
      const bytes = this.#bytes(slab.buffer, cursor.at, slab.used)
      cursor.at = slab.used
      this.#stats?.written(slab.to - cursor.offset, bytes.length)
      // Before the write: a sink that several cursors share records with the bytes how far they bring its reader.
      cursor.offset = slab.to
      if (!cursor.sink.write(bytes)) {
        cursor.blocked = true
        this.#ready.delete(cursor)
        this.#blocked.add(cursor)
      }
    }
    cursor.offset = slab.to
    if (slab !== slabs.last) this.#unfinished = true
    else if (this.#ended) cursor.end()
  }

  #isBehind({ slab, offset }: Cursor): boolean {
    return slab < this.#slabs.first && offset !== this.#slabs.from
  }

  /** Nearly all cursors of a tick are at the same place, so nearly all get the same slice. */
  #bytes(buffer: Buffer, from: number, to: number): Buffer {
    const last = this.#slice
    if (last !== undefined && last.buffer === buffer && last.from === from && last.to === to) return last.bytes
    const bytes = buffer.subarray(from, to)
    this.#slice = { buffer, from, to, bytes }
    return bytes
  }

  #fallBehind(cursor: Cursor): void {
    this.leave(cursor)
    cursor.fallBehind()
  }

  /** Its place is not in the window. It was not slow, and is not disconnected for that. */
  #rejoin(cursor: Cursor): void {
    this.leave(cursor)
    void cursor.catchUp()
  }

  /** Finds the cursor's offset in the slabs; false if it was dropped. */
  #place(cursor: Cursor): boolean {
    const place = this.#slabs.find(cursor.offset)
    Object.assign(cursor, place)
    return place !== undefined
  }

  async #pull(): Promise<void> {
    this.#hasNews = true
    if (this.#reading) return
    this.#reading = true
    const { engine, log, epoch } = this.#options
    try {
      // Without a writable cursor, reading waits for the first one.
      while (this.#hasNews && !this.#ended && this.#isNeeded()) {
        const due = this.#untilDue()
        if (due !== undefined) await due
        this.#hasNews = false
        // Without a wait for what this process has just appended, which is nearly every event of most servers.
        const read = engine.peek?.(log, { epoch, offset: this.#offset }, page) ?? (await this.#read())
        if (this.#offset >= this.#goal) this.#goal = read.head.offset
        this.#hasMore = read.position.offset !== read.head.offset
        // An encoder that has missed events would be wrong.
        const isFarBehind = this.#afterIdle && this.wire.since === undefined && read.head.offset - this.#offset > idleBacklogMax
        this.#afterIdle = false
        if (isFarBehind) this.#skipTo(read.head.offset)
        else this.#take(read)
        if (this.#offset === read.head.offset) continue
        this.#hasNews = true
        // Otherwise a fast reader would fall out of the window because there are many others.
        await new Promise<void>((resolve) => {
          this.#onDelivered = resolve
        })
      }
      this.#afterIdle ||= this.#hasNews
    } catch (error) {
      if (this.#isEmpty) return
      // The log was deleted or cannot be read: readers are disconnected, and get the reason when they reconnect.
      for (const cursor of [...this.#ready, ...this.#blocked, ...this.#early]) cursor.end(error)
      this.#options.onReadError(error)
    } finally {
      this.#reading = false
    }
  }

  /** Once in an interval; then it reads to the head of that moment, in as many pages as necessary. */
  #untilDue(): Promise<void> | undefined {
    const { intervalMs } = this.#options.wire
    return intervalMs && this.#offset >= this.#goal ? this.#untilInterval(intervalMs) : undefined
  }

  async #untilInterval(intervalMs: number): Promise<void> {
    const wait = this.#readAt + intervalMs - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    this.#readAt = performance.now()
  }

  /** Readers wait, and get heartbeats, while the engine is unavailable. */
  #read(): Promise<Page> {
    const { engine, log, epoch, onReadError } = this.#options
    return retryWhileUnavailable(() => engine.read(log, { epoch, offset: this.#offset }, page), {
      isOver: () => this.#isEmpty,
      onUnavailable: onReadError,
    })
  }

  get #isEmpty(): boolean {
    return this.#ready.size + this.#blocked.size + this.#early.size === 0
  }

  /** A cursor is writable, or must be disconnected when it falls out of the window. */
  #isNeeded(): boolean {
    return this.#ready.size + this.#early.size > 0 || this.#blocked.values().some(({ slow }) => slow === 'close')
  }

  /** Restarts at the head with an empty window, out of which every cursor has fallen. */
  #skipTo(offset: number): void {
    this.#beginAt(offset)
    this.#joinEarly()
  }

  #beginAt(offset: number): void {
    this.#slabs.beginAt(offset)
    this.#slice = undefined
    this.#noteMemory()
  }

  #take({ events, gap }: Page): void {
    const { wire, epoch, encode } = this.#options
    const { first } = this.#slabs
    this.#stats?.taken(events)
    if (gap !== undefined) this.#slabs.appendGap(gap.to.offset, wire.encodeGap(gap.from, gap.to))
    this.#ended = gap !== undefined && wire.endsAtGap === true
    for (const part of this.#ended ? [] : wire.intervalMs ? this.#parts(events) : [events]) {
      for (const event of wire.intervalMs ? wire.merge(part) : part) {
        this.#slabs.appendEvent(event.offset, encode(event, epoch))
        this.#ended = wire.isLast(event)
        if (this.#ended) break
      }
      if (this.#ended) break
      this.#slabs.skipTo(part.at(-1)?.offset ?? this.#offset)
    }
    this.#joinEarly()
    this.#noteMemory()
    if (first === this.#slabs.first) return
    // A cursor that has stopped never becomes writable to be closed.
    for (const cursor of this.#blocked) if (cursor.slow === 'close' && this.#isBehind(cursor)) this.#fallBehind(cursor)
  }

  /** Events that may be merged: not across the places where readers wait to join. */
  #parts(events: readonly LogEvent[]): (readonly LogEvent[])[] {
    const first = events[0]?.offset ?? 0
    const places = new Set([...this.#early].map((cursor) => cursor.offset - first + 1).filter((place) => place < events.length))
    const cuts = [0, ...[...places].sort((a, b) => a - b), events.length]
    return cuts.slice(1).map((end, index) => events.slice(cuts[index], end))
  }

  #joinEarly(): void {
    for (const cursor of this.#early) {
      if (cursor.offset > this.#offset) continue
      this.#early.delete(cursor)
      this.join(cursor)
    }
    this.#schedule()
    this.#unfinished ||= this.#passTimer === undefined
  }

  /** Drops what every cursor has, except the events that the next one may need to join. */
  #trim(): void {
    const slabs = this.#slabs
    if (slabs.first === slabs.lastNumber) return
    let needed = slabs.lastNumber
    for (const { slab } of this.#blocked) needed = Math.min(needed, slab)
    slabs.drop(needed, this.#offset - nearlyLive)
    this.#noteMemory()
  }

  #noteMemory(): void {
    const bytes = this.#isEmpty ? 0 : this.#slabs.bytes
    // Not for every event: nearly all of them fit into the last slab.
    if (bytes === this.#notedBytes) return
    this.#notedBytes = bytes
    this.#options.memory.note(this, bytes)
  }
}
