/**
 * A dialect says how the events of a log read on the wire; a transport puts the result into frames.
 * A dialect knows no transport and no engine.
 */
import type { Position } from '@millrace/protocol'
import type { LogEvent } from '../log/log.ts'

export interface Rendered {
  readonly event: string
  /** One line of JSON, or bytes. */
  readonly data: string | Uint8Array
}

/** Data where only text goes: PROTOCOL.md#bytes. */
export function dataText(data: Rendered['data']): string {
  return typeof data === 'string'
    ? data
    : `{"$binary":"${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')}"}`
}

export interface Dialect {
  /** Readers whose dialects have the same key are shown the same, byte by byte. */
  readonly key: string
  /** Undefined where this dialect leaves the event out. MUST be pure. */
  render(event: LogEvent): Rendered | undefined
  /** The token a reader resumes with. */
  position(position: Position): string
  /** Fewer events that say the same, for readers that are behind. */
  merge(events: readonly LogEvent[]): readonly LogEvent[]
  /** True for the event after which there is nothing more to say. */
  isLast(event: LogEvent): boolean
}
