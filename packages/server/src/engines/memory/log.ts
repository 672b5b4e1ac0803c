/** One log of a memory engine: its events and keys, and what its own bounds remove. */
import { MillraceError, type Position } from '@millrace/protocol'
import { eventOverheadBytes } from '../../log/event-size.ts'
import type { LogEvent, LogState, NewEvent, Page, ReadOptions } from '../../log/log.ts'

export interface TrimBounds {
  /** Events kept at most. */
  readonly keep: number
  readonly bytesMax: number
  /** Time of the oldest event kept. */
  readonly oldest: number
}

/** Removed slots at the front of the array are spliced off when there are this many, so that trims share a splice. */
const trimSlackMax = 1024
/** Fills a removed slot, which must not keep its event alive. */
const removed: LogEvent = { type: '', data: null, offset: 0, time: 0 }

export class MemoryLog {
  readonly name: string
  readonly epoch: string
  /** By the offset of their batch, in that order; several may have one offset. */
  readonly keys = new Map<string, number>()
  bytes = 0
  /** Time of the last append. */
  touched = 0
  /** The number of the engine's append that was the last one to this log. */
  lastAppend = 0
  /** The kept events are `#events[#skip…]`; the first of them has the offset `#start + 1`. */
  readonly #events: LogEvent[] = []
  /** Of the events' data, at the same indexes: computed once, and needed at every read and trim. */
  readonly #sizes: number[] = []
  #skip = 0
  #start = 0

  constructor(name: string, epoch: string) {
    this.name = name
    this.epoch = epoch
  }

  get head(): number {
    return this.#start + this.#events.length - this.#skip
  }

  get isEmpty(): boolean {
    return this.#events.length === this.#skip
  }

  get state(): LogState {
    return { start: this.#at(this.#start), head: this.#at(this.head) }
  }

  /** `sizes` are those of the batch's data. */
  push(batch: readonly NewEvent[], sizes: readonly number[], time: number): void {
    for (let index = 0; index < batch.length; index++) {
      const { type, data } = batch[index] as NewEvent
      const size = sizes[index] as number
      this.#events.push({ type, data, time, offset: this.head + 1 })
      this.#sizes.push(size)
      this.bytes += eventOverheadBytes + size
    }
    this.touched = time
  }

  read(after: Position, { eventsMax, bytesMax }: Required<ReadOptions>): Page {
    if (after.epoch !== this.epoch) throw new MillraceError('position_foreign')
    if (after.offset > this.head) throw new MillraceError('position_ahead')
    const from = Math.max(after.offset, this.#start)
    const first = from - this.#start + this.#skip
    let last = first
    for (let bytes = 0; last < this.#events.length && last - first < eventsMax && (bytes < bytesMax || last === first); last++)
      bytes += this.#sizes[last] as number
    const page = { events: this.#events.slice(first, last), position: this.#at(from + last - first), head: this.#at(this.head) }
    return from === after.offset ? page : { ...page, gap: { from: after, to: this.#at(from) } }
  }

  /** Removes the oldest events beyond the bounds; returns their bytes. */
  trim({ keep, bytesMax, oldest }: TrimBounds): number {
    const before = this.bytes
    const start = this.#start
    for (let first = this.#events[this.#skip]; first !== undefined; first = this.#events[this.#skip]) {
      if (this.head - this.#start <= keep && this.bytes <= bytesMax && first.time >= oldest) break
      this.bytes -= eventOverheadBytes + (this.#sizes[this.#skip] as number)
      this.#events[this.#skip] = removed
      this.#skip += 1
      this.#start += 1
    }
    if (this.#start > start) this.#forgetKeys()
    if (this.#skip > trimSlackMax || this.isEmpty) {
      this.#events.splice(0, this.#skip)
      this.#sizes.splice(0, this.#skip)
      this.#skip = 0
    }
    return before - this.bytes
  }

  /** Of batches that were removed. */
  #forgetKeys(): void {
    for (const [key, offset] of this.keys) {
      if (offset > this.#start) return
      this.keys.delete(key)
    }
  }

  #at(offset: number): Position {
    return { epoch: this.epoch, offset }
  }
}
