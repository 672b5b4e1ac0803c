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
  /** Readers whose dialects have the same key get the same bytes. */
  readonly key: string
  /** Undefined where this dialect leaves the event out. MUST be pure. */
  render(event: LogEvent): Rendered | undefined
  /** The token a reader resumes with. */
  position(position: Position): string
  /** Fewer events with the same content, for readers that are behind. */
  merge(events: readonly LogEvent[]): readonly LogEvent[]
  /** True for the event after which this dialect renders nothing. */
  isLast(event: LogEvent): boolean
}

export interface RunView {
  readonly session: string
  readonly run: string
  /** With one lane, deltas do not name it. */
  readonly lanes: number
  /** `lane` names the events of a lane after it, for readers that listen by event name. */
  readonly events?: 'type' | 'lane'
}

/** The dialects that the gateway offers. `server.ts` fills it, and nothing else names a dialect. */
export interface Dialects {
  /** Of a whole session, by the `shape` that a client asks for. */
  readonly session: { readonly session: Dialect } & Readonly<Record<string, Dialect>>
  readonly channel: Dialect
  readonly run: (view: RunView) => Dialect
}
