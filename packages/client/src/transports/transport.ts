/**
 * The contract of a way down: one source's events from a position on, until it breaks. It does not
 * reconnect, remember or compare positions; that is done once for all of them, in link-state.ts and reader.ts.
 *
 * A transport MUST call `failed` at most once and last, MUST NOT throw, and MUST be silent once the signal is aborted.
 */
import type { Source } from '@millrace/protocol'
import type { MillraceError } from '../errors.ts'

/** How much a reader wants; `poll` ignores it. PROTOCOL.md#http, `GET /api/stream`. */
export interface FlowOptions {
  /**
   * For a reader slower than its log. `wait`, the default: it gets every event at its own pace. `latest`: it gets a `gap` in
   * place of the events that it has missed, and goes on with the newest one. `close`: the server disconnects it, and the client
   * reconnects where it was. Over a WebSocket `close` disconnects everything that the socket carries.
   */
  readonly slow?: 'wait' | 'latest' | 'close'
  /** At least this many milliseconds between two writes: 0 to 1,000 in steps of 20, default 0. Events in between are sent together. */
  readonly interval?: number
}

/** What is read, and how. */
export type ReadRequest = Source & FlowOptions

export type TransportName = 'ws' | 'sse' | 'hybrid' | 'poll'

export interface StreamHandlers {
  /** The first bytes are in: the server has accepted the position. */
  opened(): void
  /** Bytes came, of whatever kind; with the server's clock where they were a heartbeat. */
  received(clock?: number): void
  /** `retry:`: how long to wait before connecting again. */
  retry(milliseconds: number): void
  /** `id` is the position after the event. */
  event(name: string, id: string, data: unknown): void
  /** Everything up to this position has been delivered, whether there were events or not. */
  reached(position: string): void
  failed(error: MillraceError): void
}

export interface StreamRequest {
  readonly source: ReadRequest
  /** `start` or a position; of long-poll also `now`. */
  readonly from: string
  readonly signal: AbortSignal
  readonly on: StreamHandlers
}

export interface Transport {
  open(request: StreamRequest): void
}

export function queryOf(fields: object): string {
  return new URLSearchParams(fields as Record<string, string>).toString()
}
