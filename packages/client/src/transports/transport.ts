/**
 * The contract of a way down: one source's events from a position on, until it breaks. It does not
 * reconnect, remember or compare positions; that is done once for all of them, in link-state.ts and reader.ts.
 *
 * A transport MUST call `failed` at most once and last, MUST NOT throw, and MUST be silent once the signal is aborted.
 */
import type { Source } from '@millrace/protocol'
import type { MillraceError } from '../errors.ts'

export type TransportName = 'ws' | 'sse' | 'hybrid' | 'poll'

export interface StreamHandlers {
  /** The first bytes are in: the server has accepted the position. */
  opened(): void
  /** Bytes came, of whatever kind. */
  heard(): void
  /** `retry:`: how long to wait before connecting again. */
  retry(milliseconds: number): void
  /** `id` is the position after the event. */
  event(name: string, id: string, data: unknown): void
  /** Everything up to this position has been delivered, whether there were events or not. */
  reached(position: string): void
  failed(error: MillraceError): void
}

export interface StreamRequest {
  readonly source: Source
  /** `start` or a position. */
  readonly from: string
  readonly signal: AbortSignal
  readonly on: StreamHandlers
}

export interface Transport {
  open(request: StreamRequest): void
}
