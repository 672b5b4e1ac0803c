/**
 * The boundary of delivery: a wire encodes events into bytes, a sink takes the bytes. A transport provides both, and
 * delivery knows nothing else of it.
 */
import type { Position } from '@millrace/protocol'
import type { LogEvent } from '../log/log.ts'

export interface Wire {
  /** Two readers of a log whose wires have the same key share every byte, so it MUST name everything that the bytes depend on. */
  readonly key: string
  /** The complete encoded event; '' if this wire leaves it out. Text is written as UTF-8. MUST be pure. */
  readonly encode: Encode
  /**
   * Where an event's bytes depend on those before it: readers begin after this offset, or with an encoder that has had every
   * event since. `encode` is then not called.
   */
  readonly since?: { readonly offset: number; begin(): Encode }
  /** Encodes a gap: the events after `from` up to and including `to` are missing. */
  encodeGap(from: Position, to: Position): Encoded
  /** For readers that are behind: fewer events with the same content. MUST keep the last event's offset last. */
  merge(events: readonly LogEvent[]): readonly LogEvent[]
  /**
   * The minimum number of milliseconds between two writes of live events, which are merged in between: fewer and larger
   * frames, shared by all readers with the same interval. Default 0: every event is written by itself.
   */
  readonly intervalMs?: number
  /** True for the last event of this wire. */
  isLast(event: LogEvent): boolean
  /** Nothing can be encoded after a gap: `encodeGap` writes the end. */
  readonly endsAtGap?: boolean
}

export type Encode = (event: LogEvent, epoch: string) => Encoded

/** The delivery options of a reader. */
export interface DeliveryOptions {
  /** Default `wait`. */
  readonly slow?: SlowPolicy
  /** As `Wire.intervalMs`. */
  readonly intervalMs?: number
}

/** The same wire with a minimum interval between writes (see `Wire.intervalMs`; 0 is none). */
export function throttled(wire: Wire, intervalMs = 0): Wire {
  return intervalMs === 0 ? wire : { ...wire, key: `${wire.key} every ${intervalMs}`, intervalMs }
}

export type Encoded = string | Uint8Array

export interface Sink {
  /**
   * Takes complete events. False means that the bytes were taken, and that the cursor must wait for its `drained()`.
   * MUST NOT change the bytes: other sinks get the same memory. MUST NOT throw.
   */
  write(bytes: Uint8Array): boolean
  /** Called once: the wire has written its last event, or the log cannot be read because of `error`. MUST NOT throw. */
  end(error?: unknown): void
  /** Called once, instead of `end`, when a reader with the policy `close` has fallen behind. Default `end`. */
  onSlow?(): void
}

/**
 * What happens to a reader that is slower than its log. `wait`: it gets every event from the log at its own pace.
 * `latest`: it skips to the newest event, and the rest is reported as a gap. `close`: it is disconnected, and may
 * reconnect.
 */
export type SlowPolicy = 'wait' | 'latest' | 'close'
