/**
 * The bytes of a tail: slabs of memory that grow at the end and are dropped from the beginning. Bytes that were once in
 * a slab never change, so the slices that sockets still hold stay valid. Slabs are numbered through the tail's life.
 */
import type { Encoded } from './wire.ts'

export const slabBytesMin = 2 * 1024
const slabBytesMax = 64 * 1024
const windowBytesMax = 256 * 1024
/** Events in one slab: of those that a wire leaves out there are no bytes, only their places. */
const slabEventsMax = 4096

/** The place of an event that was merged into a later one. */
const inside = -1

export interface Slab {
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

export class Slabs {
  #slabs: Slab[]
  /** Number of the first slab still held. */
  first = 0
  /** What all of them take. */
  bytes = slabBytesMin

  constructor(offset: number) {
    this.#slabs = [newSlab(offset, slabBytesMin)]
  }

  /** What is held begins after it. */
  get from(): number {
    return (this.#slabs[0] as Slab).from
  }

  /** Up to where the log is in here. */
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

  /** Where the bytes after an offset begin; undefined where they are not held, or it lies within a merged event. */
  find(offset: number): { readonly slab: number; readonly at: number } | undefined {
    for (let index = this.#slabs.length - 1; index >= 0; index--) {
      const slab = this.#slabs[index] as Slab
      if (offset < slab.from) continue
      // An offset inside a gap stands before the gap's own bytes, behind the last event in front of it.
      const events = Math.min(offset - slab.from, slab.ends.length)
      const at = offset >= slab.to ? slab.used : (slab.ends[events - 1] ?? 0)
      // From the middle of a merged event its first half would be said twice.
      return at === inside ? undefined : { slab: this.first + index, at }
    }
    return undefined
  }

  /** Goes on at an offset with nothing held. */
  beginAt(offset: number): void {
    this.first += this.#slabs.length
    this.#slabs = [newSlab(offset, slabBytesMin)]
    this.bytes = slabBytesMin
  }

  appendEvent(offset: number, encoded: Encoded): void {
    if (this.last.ends.length >= slabEventsMax) this.#add(slabBytesMin)
    this.#append(encoded)
    this.#advance(offset - 1, inside)
    this.skipTo(offset)
  }

  appendGap(to: number, encoded: Encoded): void {
    this.#append(encoded)
    this.last.to = to
    // Offsets are dense within a slab; behind the gap a new one begins.
    this.#add(slabBytesMin)
  }

  /** Of the events up to an offset there are no bytes. */
  skipTo(offset: number): void {
    this.#advance(offset, this.last.used)
  }

  /** Drops the slabs before this one that hold nothing after `offset`. */
  drop(before: number, offset: number): void {
    while (this.first < before && (this.#slabs[0] as Slab).to <= offset) this.#shift()
  }

  /** Moves the end of the last slab on to an event; those on the way have the same place. */
  #advance(to: number, place: number): void {
    const slab = this.last
    for (; slab.to < to; slab.to++) slab.ends.push(place)
  }

  #append(encoded: Encoded): void {
    let slab = this.last
    if (typeof encoded !== 'string') {
      if (slab.buffer.length - slab.used < encoded.length) slab = this.#add(encoded.length)
      slab.buffer.set(encoded, slab.used)
      slab.used += encoded.length
      return
    }
    // Three bytes are the most that one UTF-16 code unit takes; counting exactly is for the rare tight case.
    if (slab.buffer.length - slab.used < encoded.length * 3) {
      const bytes = Buffer.byteLength(encoded)
      if (slab.buffer.length - slab.used < bytes) slab = this.#add(bytes)
    }
    slab.used += slab.buffer.write(encoded, slab.used)
  }

  #add(bytesMin: number): Slab {
    const size = Math.max(bytesMin, Math.min(slabBytesMax, this.last.buffer.length * 2))
    const slab = newSlab(this.to, size)
    this.#slabs.push(slab)
    this.bytes += size
    // The one before it stays however large this one is: that is where everybody stands who is live.
    while (this.bytes > windowBytesMax && this.#slabs.length > 2) this.#shift()
    return slab
  }

  #shift(): void {
    this.bytes -= (this.#slabs.shift() as Slab).buffer.length
    this.first += 1
  }
}

function newSlab(from: number, size: number): Slab {
  // Not from Buffer's pool: a slice of that would keep 8 KiB of strangers alive.
  return { buffer: Buffer.allocUnsafeSlow(size), used: 0, from, to: from, ends: [] }
}
