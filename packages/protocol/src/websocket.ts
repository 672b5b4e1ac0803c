/**
 * The messages of the WebSocket at `/ws/chat`: PROTOCOL.md#websocket. A message without a `type` belongs to the plain
 * exchange: `{"query":"你好"}` up, `{"text":"你"}` … `{"status":"completed"}` down.
 */
import type { ErrorBody } from './errors.ts'
import type { RunEnd } from './events.ts'
import type { Json } from './json.ts'
import type { Asked } from './messages.ts'
import type { QueueMove } from './queue.ts'

/** The subprotocol that clients offer to get `heartbeat` messages; nothing else depends on it. */
export const webSocketProtocol = 'millrace.v1'

/** The log that a client names. */
export type Source = { readonly session: string } | { readonly channel: string }

/** Either `query` or `messages`. */
interface Question extends Asked {
  readonly query?: string
  readonly model?: string
  readonly models?: readonly string[]
  readonly session?: string
  readonly id?: string
}

/** About one call, which `call` or `approval` names. */
export type CallDecision = { readonly call?: string; readonly approval?: string } & (
  | { readonly decision: 'approve' }
  | { readonly decision: 'reject'; readonly reason?: string }
  | { readonly decision: 'edit'; readonly arguments: Json }
  | { readonly decision: 'answer' | 'result'; readonly value: Json; readonly isError?: boolean }
)

/** What came of a call that a client executes. */
export interface CallResult {
  readonly call: string
  readonly value: Json
  readonly isError?: boolean
}

/** What came of decisions and results. `continuedBy` is the run that goes on, `position` is before it. */
export interface Decided {
  readonly session: string
  readonly run: string
  /** Calls that nobody has decided about yet. */
  readonly waiting: readonly string[]
  readonly continuedBy?: string
  readonly position?: string
}

/** What a client sends. The response repeats the `ref`. */
export type ClientMessage =
  | Question
  | ({ readonly type: 'run'; readonly ref?: string } & Question)
  | {
      readonly type: 'continue'
      readonly ref?: string
      readonly run: string
      readonly lane?: string
      readonly model?: string
      readonly session?: string
      readonly id?: string
    }
  | ({ readonly type: 'regenerate'; readonly ref?: string; readonly run: string } & Omit<Question, 'parent' | 'parentLane'>)
  | {
      readonly type: 'decide'
      readonly ref?: string
      readonly run: string
      readonly session?: string
      readonly decisions: readonly CallDecision[]
    }
  | {
      readonly type: 'tool_results'
      readonly ref?: string
      readonly run: string
      readonly session?: string
      readonly results: readonly CallResult[]
    }
  | ({
      readonly type: 'queue'
      readonly ref?: string
      readonly session: string
      readonly steer?: boolean
    } & Omit<Question, 'session'>)
  | ({
      readonly type: 'queue_change'
      readonly ref?: string
      readonly session: string
      readonly entry: string
      readonly steer?: boolean
    } & Omit<Question, 'session' | 'id'>)
  | ({
      readonly type: 'queue_move'
      readonly ref?: string
      readonly session: string
      readonly id?: string
    } & QueueMove)
  | { readonly type: 'queue_remove'; readonly ref?: string; readonly session: string; readonly entry: string }
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
  | { readonly type: 'stop'; readonly ref?: string; readonly run: string; readonly lane?: string; readonly session?: string }
  /** A token or a ticket of the same user, in place of the one that expires. */
  | ({ readonly type: 'renew'; readonly ref?: string } & ({ readonly token: string } | { readonly ticket: string }))
  | { readonly type: 'ping'; readonly ref?: string }

/** What a server sends, apart from the data of the plain exchange. */
export type ServerMessage =
  | ({ readonly type: 'event'; readonly id: string; readonly event: string; readonly data: Json } & Source)
  | { readonly type: 'started'; readonly ref?: string; readonly session: string; readonly run: string; readonly position: string }
  | ({ readonly type: 'decided'; readonly ref?: string } & Decided)
  | {
      readonly type: 'queued'
      readonly ref?: string
      readonly session: string
      readonly entry: string
      readonly position: string
    }
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
  | {
      readonly type: 'ended'
      readonly ref?: string
      readonly run: string
      readonly lane?: string | undefined
      readonly end: RunEnd & { readonly position?: string }
    }
  | { readonly type: 'pong'; readonly ref?: string }
  /** The credential has expired: the client sends `renew`, or is disconnected soon. */
  | { readonly type: 'renew' }
  /** `expiresAt`: of the new credential, in milliseconds since 1970. */
  | { readonly type: 'renewed'; readonly ref?: string; readonly expiresAt?: number | undefined }
  /** `clock`: see PROTOCOL.md#heartbeats. */
  | { readonly type: 'heartbeat'; readonly clock: number }
  | ({ readonly type: 'error'; readonly ref?: string } & ErrorBody)

/**
 * Why the server closed a WebSocket. The range decides, so that a client handles unknown codes correctly: after 4000 to
 * 4499 it must not reconnect, after 4500 and above it should. Of the standard codes 1002, 1003 and 1007 to 1010 are
 * final; the others mean that the server or the network is temporarily unavailable, as do 1000 and 1005 for a client
 * that did not close the connection itself.
 */
export const closeCodes = {
  /** Too many invalid messages. */
  misuse: 4400,
  /** Too many messages in a short time. */
  flood: 4429,
  /** The log of an attached session is deleted, lost or damaged. */
  sessionGone: 4404,
  /** The server failed to read a log; reconnect. IANA: "Try Again Later". */
  unreadable: 1013,
  /** The reader was slower than its log and had asked for `slow=close`; reconnect and resume. */
  stalled: 4508,
  /** The server is stopping; reconnect. IANA: "Service Restart". */
  restart: 1012,
} as const

/** The close code for an error: the range says whether to reconnect, the last two digits are those of the HTTP status. */
export function closeCodeOf({ status, retryable }: { readonly status: number; readonly retryable: boolean }): number {
  return (retryable ? 4500 : 4400) + (status % 100)
}

/** Whether a client reconnects after its socket was closed with this code. */
export function isWorthReconnecting(code: number): boolean {
  if (code >= 4000) return code >= 4500
  return [1000, 1001, 1005, 1006].includes(code) || (code >= 1011 && code <= 1014)
}
