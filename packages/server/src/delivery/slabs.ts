/**
 * The bytes of a tail: slabs of memory that grow at the end and are dropped from the start. Bytes in a slab never change,
 * so the slices that sockets still hold stay valid. Slabs are numbered through the tail's life. A slab takes memory with its
 * first byte: most tails belong to sessions in which nothing happens.
 */
import type { Encoded } from './wire.ts'

const slabBytesMin = 2 * 1024
const slabBytesMax = 64 * 1024
const windowBytesMax = 256 * 1024
/** Events in one slab. An event that the wire leaves out has an end offset but no bytes. */
const slabEventsMax = 4096

/** The end of an event that was merged into a later one. */
const merged = -1

export interface Slab {
  buffer: Buffer
  used: number
  /** The slab contains the events after `from` up to and including `to`. */
  readonly from: number
  to: number
  /**
   * Where each event ends, starting with `from + 1`. One that the wire leaves out ends where it starts; one that was
   * merged into a later one has no end: `merged`.
   */
  readonly ends: number[]
}

export class Slabs {
  #slabs: Slab[]
  /** Number of the first slab. */
  first = 0
  /** Memory of all slabs. */
  bytes = 0
  /** Size of the next slab, unless an event is larger. */
  #nextSize = slabBytesMin

  constructor(offset: number) {
    this.#slabs = [newSlab(offset)]
  }

  /** The slabs contain the events after it. */
  get from(): number {
    return (this.#slabs[0] as Slab).from
  }

  /** The last event in the slabs. */
  get to(): number {
    return this.last.to
  }

  get last(): Slab {
    return this.#slabs[this.#slabs.length - 1] as Slab
  }

  get lastNumber(): number {
    return this.first + this.#slabs.length - 1
  }

  get(number: number): Slab {
    return this.#slabs[number - this.first] as Slab
  }

  /** Where the bytes after an offset start; undefined if they were dropped, or the offset lies within a merged event. */
  find(offset: number): { readonly slab: number; readonly at: number } | undefined {
    for (let index = this.#slabs.length - 1; index >= 0; index--) {
      const slab = this.#slabs[index] as Slab
      if (offset < slab.from) continue
      // An offset inside a gap is before the gap's own bytes, and behind the last event in front of it.
      const events = Math.min(offset - slab.from, slab.ends.length)
      const at = offset >= slab.to ? slab.used : (slab.ends[events - 1] ?? 0)
      // From the middle of a merged event its first half would be repeated.
      return at === merged ? undefined : { slab: this.first + index, at }
    }
    return undefined
  }

  /** Restarts at an offset without any bytes. */
  beginAt(offset: number): void {
    this.first += this.#slabs.length
    this.#slabs = [newSlab(offset)]
    this.bytes = 0
    this.#nextSize = slabBytesMin
  }

  appendEvent(offset: number, encoded: Encoded): void {
    if (this.last.ends.length >= slabEventsMax) this.#add()
    this.#append(encoded)
    this.#advance(offset - 1, merged)
    this.skipTo(offset)
  }

  appendGap(to: number, encoded: Encoded): void {
    this.#append(encoded)
    this.last.to = to
    // Offsets are dense within a slab; a gap starts a new one.
    this.#add()
  }

  /** There are no bytes of the events up to an offset. */
  skipTo(offset: number): void {
    this.#advance(offset, this.last.used)
  }

  /** Drops the slabs before this one that contain nothing after `offset`. */
  drop(before: number, offset: number): void {
    while (this.first < before && (this.#slabs[0] as Slab).to <= offset) this.#shift()
  }

  /** Moves the end of the last slab to an event; skipped events end at the same place. */
  #advance(to: number, place: number): void {
    const slab = this.last
    for (; slab.to < to; slab.to++) slab.ends.push(place)
  }

  #append(encoded: Encoded): void {
    let slab = this.last
    if (typeof encoded !== 'string') {
      if (slab.buffer.length - slab.used < encoded.length) slab = this.#addBytes(encoded.length)
      slab.buffer.set(encoded, slab.used)
      slab.used += encoded.length
      return
    }
    // One UTF-16 code unit takes at most three bytes; the exact count is computed only if that does not fit.
    if (slab.buffer.length - slab.used < encoded.length * 3) {
      const bytes = Buffer.byteLength(encoded)
      if (slab.buffer.length - slab.used < bytes) slab = this.#addBytes(bytes)
    }
    slab.used += slab.buffer.write(encoded, slab.used)
  }

  #add(): void {
    this.#slabs.push(newSlab(this.to))
  }

  /** The last slab with memory for an event, which is a new one unless it has none yet. */
  #addBytes(bytesMin: number): Slab {
    if (this.last.buffer.length > 0) this.#add()
    const slab = this.last
    const size = Math.max(bytesMin, this.#nextSize)
    // Not from Buffer's pool: a slice of it would keep 8 KiB of other data alive.
    slab.buffer = Buffer.allocUnsafeSlow(size)
    this.bytes += size
    this.#nextSize = Math.min(slabBytesMax, size * 2)
    // The one before stays, however large this one is: every live cursor is there.
    while (this.bytes > windowBytesMax && this.#slabs.length > 2) this.#shift()
    return slab
  }

  #shift(): void {
    this.bytes -= (this.#slabs.shift() as Slab).buffer.length
    this.first += 1
  }
}

const noBytes = Buffer.alloc(0)

function newSlab(from: number): Slab {
  return { buffer: noBytes, used: 0, from, to: from, ends: [] }
}
