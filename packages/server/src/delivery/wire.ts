/**
 * Where a log meets the outside: a wire turns its events into bytes, a sink takes the bytes. Both
 * are given to the fan-out by a transport, which the log knows nothing else about.
 */
import type { Position } from '@millrace/protocol'
import type { LogEvent } from '../log/log.ts'

export interface Wire {
  /** Two readers of a log whose wires have the same key share every byte, so it MUST name all that the bytes depend on. */
  readonly key: string
  /** The event as it is written, whole; '' where this wire leaves it out. Text is written as UTF-8. MUST be pure. */
  encode(event: LogEvent, epoch: string): Encoded
  /** Tells a reader that events after `from` up to and including `to` are gone. */
  encodeGap(from: Position, to: Position): Encoded
  /** For readers that are behind: fewer events that say the same. MUST keep the last event's offset last. */
  merge(events: readonly LogEvent[]): readonly LogEvent[]
  /**
   * At least so many milliseconds between two writes of live events, which are merged in between: fewer
   * and larger frames, shared by all readers that ask for the same. Default 0: every event as it was said.
   */
  readonly intervalMs?: number
  /** True for the event after which this wire has nothing more to say. */
  isLast(event: LogEvent): boolean
}

/** How much of a log a reader wants. */
export interface DeliveryOptions {
  /** Default `wait`. */
  readonly slow?: SlowPolicy
  /** As `Wire.intervalMs`. */
  readonly intervalMs?: number
}

/** The same words, at most once in an interval (see `Wire.intervalMs`; 0 is none). */
export function throttled(wire: Wire, intervalMs = 0): Wire {
  return intervalMs === 0 ? wire : { ...wire, key: `${wire.key} every ${intervalMs}`, intervalMs }
}

export type Encoded = string | Uint8Array

export interface Sink {
  /**
   * Takes whole events. False asks the cursor to wait for its `drained()`; the bytes were taken all
   * the same. MUST NOT change the bytes: other sinks are given the same memory. MUST NOT throw.
   */
  write(bytes: Uint8Array): boolean
  /** Called once: the wire has said its last event, or the log cannot be read, with what its engine said. MUST NOT throw. */
  end(error?: unknown): void
  /** Called once, instead of `end`, when a reader whose policy is `close` has fallen behind. Default `end`. */
  onSlow?(): void
}

/**
 * What is done with a reader that takes less than its log brings. `wait`: it is given everything, at its
 * own pace, out of the log. `latest`: what it has missed is skipped, told as a gap, up to the newest event.
 * `close`: it is let go, and may come back.
 */
export type SlowPolicy = 'wait' | 'latest' | 'close'
