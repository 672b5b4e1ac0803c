/**
 * The recent end of one log in one wire form, encoded once and shared by all cursors that are live.
 * A bell makes it read what is new and encode it at the end of its last slab; a turn then gives each
 * cursor the slice between its own place and the end. Bytes that were once in a slab never change,
 * so the slices that sockets still hold stay valid.
 *
 * Memory: `windowBytesMax` a tail, or its last event where that is larger, whatever the number of readers. A cursor that has fallen out of
 * the window catches up by itself.
 */
import { type Cursor, type CursorTail, nearlyLive } from './cursor.ts'
import type { Engine, LogEvent, Page } from './log.ts'
import type { Task, Turns } from './turns.ts'
import type { Encoded, Wire } from './wire.ts'

const slabBytesMin = 2 * 1024
const slabBytesMax = 64 * 1024
const windowBytesMax = 256 * 1024
/** One page of reading: what is encoded at once, about a millisecond. */
const page = { eventsMax: 256, bytesMax: 64 * 1024 }
/** Events that may have come while nobody could be written to; beyond, readers catch up by themselves, merged. */
const restMax = 512
/** Writes in one step of a turn; about a tenth of a millisecond. */
const writesPerStep = 16

const inside = -1

interface Slab {
  readonly buffer: Buffer
  used: number
  /** The slab holds the events after `from` up to and including `to`. */
  readonly from: number
  to: number
  /**
   * Where each event ends, beginning with `from + 1`; one that the wire leaves out ends where it begins, and
   * one that was merged into a later one nowhere: `inside`.
   */
  readonly ends: number[]
}

export interface TailOptions {
  readonly engine: Engine
  readonly turns: Turns
  readonly log: string
  readonly epoch: string
  readonly wire: Wire
  /** Where the tail begins. */
  readonly offset: number
  /** The log cannot be read; all its cursors have been ended. */
  readonly onRefused: (refusal: unknown) => void
  /** Called when the last cursor has left. */
  readonly onEmpty: () => void
}

export class Tail implements Task, CursorTail {
  readonly #options: TailOptions
  readonly #unwatch: () => void
  #slabs: Slab[]
  /** Number of the first slab still held; slabs are numbered from 0 through the tail's life. */
  #firstSlab = 0
  /** Cursors that can be written to, those that wait for their sink, and those ahead of what was read here. */
  readonly #ready = new Set<Cursor>()
  readonly #blocked = new Set<Cursor>()
  readonly #early = new Set<Cursor>()
  #pass: SetIterator<Cursor> | undefined
  #unfinished = false
  #reading = false
  #rung = false
  #readAt = Number.NEGATIVE_INFINITY
  /** The wire has said its last event. */
  #ended = false
  #slice: { buffer: Buffer; from: number; to: number; bytes: Buffer } | undefined

  constructor(options: TailOptions) {
    this.#options = options
    this.#slabs = [newSlab(options.offset, slabBytesMin)]
    this.#unwatch = options.engine.watch(options.log, () => void this.#pull())
    // What was appended between the reader's last page and the watch has rung no bell here.
    void this.#pull()
  }

  /** Up to where the log has been read and encoded. */
  get #offset(): number {
    return this.#lastSlab.to
  }

  get #lastSlab(): Slab {
    return this.#slabs[this.#slabs.length - 1] as Slab
  }

  /** Whether a cursor can join without reading for itself. */
  reaches({ offset, slow }: Cursor): boolean {
    if (slow === 'latest' && this.#offset - offset > 1) return false
    return offset >= (this.#slabs[0] as Slab).from && this.#offset - offset <= nearlyLive
  }

  join(cursor: Cursor): void {
    if (cursor.offset > this.#offset) this.#early.add(cursor)
    else if (!this.#place(cursor)) return this.#sendBack(cursor)
    else (cursor.blocked ? this.#blocked : this.#ready).add(cursor)
    if (!cursor.blocked) this.wake(cursor)
  }

  wake(cursor: Cursor): void {
    if (this.#blocked.delete(cursor)) {
      this.#ready.add(cursor)
      if (cursor.slow === 'latest' && (this.#rung || this.#offset - cursor.offset > 1)) return this.#fallBehind(cursor)
    }
    this.#options.turns.add(this)
    if (this.#rung) void this.#pull(true)
  }

  leave(cursor: Cursor): void {
    this.#ready.delete(cursor)
    this.#blocked.delete(cursor)
    this.#early.delete(cursor)
    if (this.#ready.size + this.#blocked.size + this.#early.size > 0) return
    this.#unwatch()
    this.#options.onEmpty()
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
        return this.#unfinished ? 'later' : 'done'
      }
      this.#deliver(cursor)
    }
    return 'more'
  }

  #deliver(cursor: Cursor): void {
    if (cursor.slab < this.#firstSlab) return this.#fallBehind(cursor)
    let slab = this.#slabs[cursor.slab - this.#firstSlab] as Slab
    if (cursor.at === slab.used && slab !== this.#lastSlab) {
      cursor.slab += 1
      cursor.at = 0
      slab = this.#slabs[cursor.slab - this.#firstSlab] as Slab
    }
    if (cursor.at < slab.used) {
      const bytes = this.#bytes(slab.buffer, cursor.at, slab.used)
      cursor.at = slab.used
      if (!cursor.sink.write(bytes)) {
        cursor.blocked = true
        this.#ready.delete(cursor)
        this.#blocked.add(cursor)
      }
    }
    cursor.offset = slab.to
    if (slab !== this.#lastSlab) this.#unfinished = true
    else if (this.#ended) cursor.end()
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
  #sendBack(cursor: Cursor): void {
    this.leave(cursor)
    void cursor.catchUp()
  }

  /** Finds the cursor's offset among the slabs; false where it is no longer there. */
  #place(cursor: Cursor): boolean {
    for (let index = this.#slabs.length - 1; index >= 0; index--) {
      const slab = this.#slabs[index] as Slab
      if (cursor.offset < slab.from) continue
      cursor.slab = this.#firstSlab + index
      // A cursor inside a gap stands before the gap's own bytes, behind the last event in front of it.
      const events = Math.min(cursor.offset - slab.from, slab.ends.length)
      const end = cursor.offset >= slab.to ? slab.used : (slab.ends[events - 1] ?? 0)
      // From the middle of a merged event its first half would be said twice.
      if (end === inside) return false
      cursor.at = end
      return true
    }
    return false
  }

  async #pull(hasRested = false): Promise<void> {
    this.#rung = true
    if (this.#reading) return
    this.#reading = true
    const { engine, log, epoch, wire } = this.#options
    try {
      // With nobody to write to, reading waits for the first that wakes.
      while (this.#rung && !this.#ended && this.#isNeeded()) {
        const wait = this.#readAt + (wire.intervalMs ?? 0) - performance.now()
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
        this.#readAt = performance.now()
        this.#rung = false
        const read = await engine.read(log, { epoch, offset: this.#offset }, page)
        if (hasRested && read.head.offset - this.#offset > restMax) this.#skipTo(read.head.offset)
        else this.#take(read)
        if (this.#offset === read.head.offset) continue
        this.#rung = true
        await new Promise(setImmediate)
      }
    } catch (refusal) {
      // The log is gone or cannot be read: readers are let go, and told why when they come back.
      for (const cursor of [...this.#ready, ...this.#blocked, ...this.#early]) cursor.end(refusal)
      this.#options.onRefused(refusal)
    } finally {
      this.#reading = false
    }
  }

  /** Somebody can be written to, or is to be let go when the window has left it behind. */
  #isNeeded(): boolean {
    return this.#ready.size + this.#early.size > 0 || this.#blocked.values().some(({ slow }) => slow === 'close')
  }

  /** Goes on at the head with an empty window, out of which every cursor has fallen. */
  #skipTo(offset: number): void {
    this.#firstSlab += this.#slabs.length
    this.#slabs = [newSlab(offset, slabBytesMin)]
    this.#joinEarly()
  }

  #take({ events, gap }: Page): void {
    const { wire } = this.#options
    if (gap !== undefined) {
      this.#append(wire.encodeGap(gap.from, gap.to))
      this.#lastSlab.to = gap.to.offset
      // Offsets are dense within a slab; behind the gap a new one begins.
      this.#addSlab(slabBytesMin)
    }
    for (const part of wire.intervalMs ? this.#parts(events) : [events]) {
      for (const event of wire.intervalMs ? wire.merge(part) : part) {
        this.#appendEvent(event)
        if (wire.isLast(event)) {
          this.#ended = true
          return this.#joinEarly()
        }
      }
      this.#advance(part.at(-1)?.offset ?? this.#offset, this.#lastSlab.used)
    }
    this.#joinEarly()
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
    this.#options.turns.add(this)
  }

  #appendEvent(event: LogEvent): void {
    this.#append(this.#options.wire.encode(event, this.#options.epoch))
    this.#advance(event.offset - 1, inside)
    this.#advance(event.offset, this.#lastSlab.used)
  }

  /** Moves the end of the last slab on to an event; those on the way have the same place. */
  #advance(to: number, place: number): void {
    const slab = this.#lastSlab
    for (; slab.to < to; slab.to++) slab.ends.push(place)
  }

  #append(encoded: Encoded): void {
    if (typeof encoded !== 'string') return this.#appendBytes(encoded)
    const text = encoded
    let slab = this.#lastSlab
    // Three bytes are the most that one UTF-16 code unit takes; counting exactly is for the rare tight case.
    if (slab.buffer.length - slab.used < text.length * 3) {
      const bytes = Buffer.byteLength(text)
      if (slab.buffer.length - slab.used < bytes) slab = this.#addSlab(bytes)
    }
    slab.used += slab.buffer.write(text, slab.used)
  }

  #appendBytes(bytes: Uint8Array): void {
    let slab = this.#lastSlab
    if (slab.buffer.length - slab.used < bytes.length) slab = this.#addSlab(bytes.length)
    slab.buffer.set(bytes, slab.used)
    slab.used += bytes.length
  }

  #addSlab(bytesMin: number): Slab {
    const size = Math.max(bytesMin, Math.min(slabBytesMax, this.#lastSlab.buffer.length * 2))
    const slab = newSlab(this.#offset, size)
    this.#slabs.push(slab)
    let held = 0
    for (const { buffer } of this.#slabs) held += buffer.length
    // The one before it stays however large this one is: that is where everybody stands who is live.
    while (held > windowBytesMax && this.#slabs.length > 2) {
      held -= this.#slabs.shift()?.buffer.length ?? 0
      this.#firstSlab += 1
      // Who has stopped reading never wakes to be told.
      for (const cursor of this.#blocked) if (cursor.slow === 'close' && cursor.slab < this.#firstSlab) this.#fallBehind(cursor)
    }
    return slab
  }
}

function newSlab(from: number, size: number): Slab {
  // Not from Buffer's pool: a slice of that would keep 8 KiB of strangers alive.
  return { buffer: Buffer.allocUnsafeSlow(size), used: 0, from, to: from, ends: [] }
}
