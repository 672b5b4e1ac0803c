/**
 * The recent end of one log in one wire form, encoded once and shared by all cursors that are live.
 * A bell makes it read what is new and encode it at the end of its last slab; a turn then gives each
 * cursor the slice between its own place and the end.
 *
 * Memory: 256 KiB a tail, or its last event where that is larger, whatever the number of readers; once all have
 * been given it, what the next reader needs to join; and a bound for all tails together. A cursor that has fallen out
 * of the window catches up by itself.
 */

import type { Engine, LogEvent, Page } from '../log/log.ts'
import { retryWhileUnavailable } from '../log/retry.ts'
import { type Cursor, type CursorTail, nearlyLive } from './cursor.ts'
import type { Scheduler, Task } from './scheduler.ts'
import { Slabs, slabBytesMin } from './slabs.ts'
import type { MemoryHolder, TailMemory } from './tail-memory.ts'
import type { Wire } from './wire.ts'

/** One page of reading: what is encoded at once, about a millisecond. */
const page = { eventsMax: 256, bytesMax: 64 * 1024 }
/** Events that may have come while nobody could be written to; beyond, readers catch up by themselves, merged. */
const idleBacklogMax = 512
/** Writes in one step of a turn; about a tenth of a millisecond. */
const writesPerStep = 16

export interface TailOptions {
  readonly engine: Engine
  readonly scheduler: Scheduler
  readonly memory: TailMemory
  readonly log: string
  readonly epoch: string
  readonly wire: Wire
  /** Where the tail begins. */
  readonly offset: number
  /** The log cannot be read, for now or, where its cursors have been ended, at all. */
  readonly onReadError: (error: unknown) => void
  /** Called when the last cursor has left. */
  readonly onEmpty: () => void
}

export class Tail implements Task, CursorTail, MemoryHolder {
  readonly #options: TailOptions
  readonly #unwatch: () => void
  readonly #slabs: Slabs
  /** Cursors that can be written to, those that wait for their sink, and those ahead of what was read here. */
  readonly #ready = new Set<Cursor>()
  readonly #blocked = new Set<Cursor>()
  readonly #early = new Set<Cursor>()
  #pass: SetIterator<Cursor> | undefined
  #unfinished = false
  /** Everything was delivered, and the turns have nothing to call. */
  #isIdle = true
  /** Every reader that takes bytes has been given what was read. */
  #onDelivered = () => {}
  #reading = false
  /** What was appended between the reader's last page and the watch has rung no bell here. */
  #rung = true
  /** Bells have rung while nobody could be written to. */
  #afterIdle = false
  #readAt = Number.NEGATIVE_INFINITY
  /** Up to where it is read without another wait, where there is an interval: the head when the last one was over. */
  #goal = 0
  /** The wire has said its last event. */
  #ended = false
  #slice: { buffer: Buffer; from: number; to: number; bytes: Buffer } | undefined

  constructor(options: TailOptions) {
    this.#options = options
    this.#slabs = new Slabs(options.offset)
    this.#unwatch = options.engine.watch(options.log, () => void this.#pull())
  }

  /** Up to where the log has been read and encoded. */
  get #offset(): number {
    return this.#slabs.to
  }

  /** Whether a cursor can join without reading for itself. */
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
      if (cursor.slow === 'latest' && (this.#rung || this.#offset - cursor.offset > 1)) return this.#fallBehind(cursor)
    }
    this.#schedule()
    if (this.#rung) void this.#pull()
  }

  leave(cursor: Cursor): void {
    this.#ready.delete(cursor)
    this.#blocked.delete(cursor)
    this.#early.delete(cursor)
    if (!this.#isEmpty) return
    this.#unwatch()
    this.#options.memory.note(this, 0)
    this.#options.onEmpty()
  }

  shrink(): boolean {
    if (this.#isIdle) this.#beginAt(this.#offset)
    return this.#isIdle
  }

  /** Writes to some of the cursors; each gets at most one write in a turn. */
  step(): 'more' | 'later' | 'done' {
    if (this.#pass === undefined) {
      this.#pass = this.#ready.values()
      this.#unfinished = false
    }
    for (let writes = 0; writes < writesPerStep; writes++) {
      const { value: cursor, done } = this.#pass.next()
      if (done) {
        this.#pass = undefined
        if (this.#unfinished) return 'later'
        this.#isIdle = true
        this.#trim()
        this.#onDelivered()
        return 'done'
      }
      try {
        this.#deliver(cursor)
      } catch (error) {
        // A sink has broken its promise not to throw; the others go on in the next turn.
        this.#schedule()
        cursor.end(error)
        throw error
      }
    }
    return 'more'
  }

  #schedule(): void {
    this.#isIdle = false
    this.#options.scheduler.add(this)
  }

  #deliver(cursor: Cursor): void {
    if (this.#isBehind(cursor)) return this.#fallBehind(cursor)
    const slabs = this.#slabs
    // It has been given all that was dropped.
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
      // Before the write: a sink that several cursors share notes with the bytes how far they bring its reader.
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

  /** Nearly all cursors of a turn are at the same place, so nearly all take the same slice. */
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

  /** Nothing of the window begins where it stands. It has not been slow, and is not let go for that. */
  #rejoin(cursor: Cursor): void {
    this.leave(cursor)
    void cursor.catchUp()
  }

  /** Finds the cursor's offset among the slabs; false where it is no longer there. */
  #place(cursor: Cursor): boolean {
    const place = this.#slabs.find(cursor.offset)
    Object.assign(cursor, place)
    return place !== undefined
  }

  async #pull(): Promise<void> {
    this.#rung = true
    if (this.#reading) return
    this.#reading = true
    try {
      // With nobody to write to, reading waits for the first that wakes.
      while (this.#rung && !this.#ended && this.#isNeeded()) {
        await this.#untilDue()
        this.#rung = false
        const read = await this.#read()
        if (this.#offset >= this.#goal) this.#goal = read.head.offset
        const isFarBehind = this.#afterIdle && read.head.offset - this.#offset > idleBacklogMax
        this.#afterIdle = false
        if (isFarBehind) this.#skipTo(read.head.offset)
        else this.#take(read)
        if (this.#offset === read.head.offset) continue
        this.#rung = true
        // Else who takes all that it is given would fall out of the window, because there are many others.
        await new Promise<void>((resolve) => {
          this.#onDelivered = resolve
        })
      }
      this.#afterIdle ||= this.#rung
    } catch (error) {
      if (this.#isEmpty) return
      // The log is gone or cannot be read: readers are let go, and told why when they come back.
      for (const cursor of [...this.#ready, ...this.#blocked, ...this.#early]) cursor.end(error)
      this.#options.onReadError(error)
    } finally {
      this.#reading = false
    }
  }

  /** Once in an interval; then it is read to the head that there was, in as many pages as it takes. */
  async #untilDue(): Promise<void> {
    if (this.#offset < this.#goal) return
    const wait = this.#readAt + (this.#options.wire.intervalMs ?? 0) - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    this.#readAt = performance.now()
  }

  /** Readers wait, and have their heartbeats, while the engine is unavailable. */
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

  /** Somebody can be written to, or is to be let go when the window has left it behind. */
  #isNeeded(): boolean {
    return this.#ready.size + this.#early.size > 0 || this.#blocked.values().some(({ slow }) => slow === 'close')
  }

  /** Goes on at the head with an empty window, out of which every cursor has fallen. */
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
    const { wire, epoch } = this.#options
    const { first } = this.#slabs
    if (gap !== undefined) this.#slabs.appendGap(gap.to.offset, wire.encodeGap(gap.from, gap.to))
    for (const part of wire.intervalMs ? this.#parts(events) : [events]) {
      for (const event of wire.intervalMs ? wire.merge(part) : part) {
        this.#slabs.appendEvent(event.offset, wire.encode(event, epoch))
        this.#ended = wire.isLast(event)
        if (this.#ended) break
      }
      if (this.#ended) break
      this.#slabs.skipTo(part.at(-1)?.offset ?? this.#offset)
    }
    this.#joinEarly()
    this.#noteMemory()
    if (first === this.#slabs.first) return
    // Who has stopped reading never wakes to be told.
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
    this.#unfinished = true
    this.#schedule()
  }

  /** Drops what every cursor has been given, but for the events that the next one may need to join. */
  #trim(): void {
    const slabs = this.#slabs
    if (slabs.first === slabs.lastNumber) return
    let needed = slabs.lastNumber
    for (const { slab } of this.#blocked) needed = Math.min(needed, slab)
    slabs.drop(needed, this.#offset - nearlyLive)
    this.#noteMemory()
  }

  #noteMemory(): void {
    this.#options.memory.note(this, this.#isEmpty ? 0 : this.#slabs.bytes - slabBytesMin)
  }
}
