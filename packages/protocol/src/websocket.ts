/**
 * The words of the WebSocket at `/ws/chat`: PROTOCOL.md#websocket. A message without a `type` is the
 * reference exchange: `{"query":"你好"}` up, `{"text":"你"}` … `{"status":"completed"}` down.
 */
import type { ErrorBody } from './errors.ts'
import type { Json, RunEnd } from './events.ts'

/** Offered by clients that understand heartbeats; nothing but them depends on it. */
export const webSocketProtocol = 'millrace.v1'

/** What is read, as clients name it. */
export type Source = { readonly session: string } | { readonly channel: string }

/** What a client sends. `ref`, where given, comes back with the answer. */
export type ClientMessage =
  | {
      readonly query: string
      readonly model?: string
      readonly models?: readonly string[]
      readonly session?: string
      readonly id?: string
    }
  | {
      readonly type: 'run'
      readonly ref?: string
      readonly query: string
      readonly model?: string
      readonly models?: readonly string[]
      readonly session?: string
      readonly id?: string
    }
  | {
      readonly type: 'continue'
      readonly ref?: string
      readonly run: string
      readonly session?: string
      readonly id?: string
    }
  | ({
      readonly type: 'attach'
      readonly ref?: string
      readonly from?: string
      readonly slow?: 'wait' | 'latest' | 'close'
      readonly interval?: number
    } & Source)
  | ({ readonly type: 'detach'; readonly ref?: string } & Source)
  | ({ readonly type: 'ack'; readonly ref?: string; readonly id: string } & Source)
  | {
      readonly type: 'publish'
      readonly ref?: string
      readonly channel: string
      readonly event?: string
      readonly data: Json
      readonly id?: string
    }
  | { readonly type: 'stop'; readonly ref?: string; readonly run: string }
  | { readonly type: 'ping'; readonly ref?: string }

/** What a server sends, beside the chat shapes. */
export type ServerMessage =
  | ({ readonly type: 'event'; readonly id: string; readonly event: string; readonly data: Json } & Source)
  | { readonly type: 'started'; readonly ref?: string; readonly session: string; readonly run: string; readonly position: string }
  | ({ readonly type: 'attached'; readonly ref?: string; readonly position: string } & Source)
  | ({ readonly type: 'detached'; readonly ref?: string } & Source)
  | ({ readonly type: 'acknowledged'; readonly ref: string; readonly id: string } & Source)
  | {
      readonly type: 'published'
      readonly ref?: string
      readonly channel: string
      readonly position: string
      readonly duplicate: boolean
    }
  | { readonly type: 'ended'; readonly ref?: string; readonly run: string; readonly end: RunEnd & { readonly position?: string } }
  | { readonly type: 'pong'; readonly ref?: string }
  /** `clock`: see PROTOCOL.md#heartbeats. */
  | { readonly type: 'heartbeat'; readonly clock: number }
  | ({ readonly type: 'error'; readonly ref?: string } & ErrorBody)

/**
 * Why a WebSocket was closed. Ranges decide, so that a client which does not know a code does the right
 * thing: up to 4499 the same connection would be closed again, from 4500 on it is worth connecting again.
 * Of the standard codes 1002, 1003 and 1007 to 1010 are final. The others say that something on the way, or the server, is
 * gone for now; so do 1000 and 1005 to a client that has not closed by itself.
 */
export const closeCodes = {
  /** Too many messages that were refused. */
  misuse: 4400,
  /** More messages than anybody needs. */
  flood: 4429,
  /** The log of an attached session is gone. */
  sessionGone: 4404,
  /** Reading a log failed by a mistake of the server; connect again. RFC 6455 and IANA call it 1013. */
  unreadable: 1013,
  /** Slower than its log, and had asked to be let go; connect and go on from the last position. */
  stalled: 4508,
  /** The server stops; connect again, to whichever answers. RFC 6455 and IANA call it 1012. */
  restart: 1012,
} as const

/** The code of a connection that is closed because of an error: the range says whether to connect again, the rest is its status. */
export function closeCodeOf({ status, retryable }: { readonly status: number; readonly retryable: boolean }): number {
  return (retryable ? 4500 : 4400) + (status % 100)
}

export function isWorthReconnecting(code: number): boolean {
  if (code >= 4000) return code >= 4500
  return [1000, 1001, 1005, 1006].includes(code) || (code >= 1011 && code <= 1014)
}
