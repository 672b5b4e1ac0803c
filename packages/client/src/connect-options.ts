/** The options of `connect`. */
import type { TabSharing } from './carrier.ts'
import type { MillraceError } from './errors.ts'
import type { TokenRequest } from './http.ts'
import type { Timings } from './timings.ts'
import type { WebSocketConstructor } from './transports/socket.ts'
import type { TransportName } from './transports/transport.ts'

export interface ConnectOptions {
  /**
   * What carries events down and commands up. `sse`: server-sent events and POST. `ws`: one WebSocket for both.
   * `hybrid`: events over SSE, commands over a WebSocket, or POST where that is blocked. `poll`: one answer at a
   * time, and POST. `auto`, the default: see `explainTransport`. Throws a TypeError for any other, and for `ws` where
   * there is no WebSocket.
   */
  readonly transport?: TransportName | 'auto'
  /** With `auto`: the application sends often, so a WebSocket is worth having. Default false; others ignore it. */
  readonly isTwoWay?: boolean
  /**
   * With `auto`: the data of events is bytes, which a WebSocket carries as they are and everything else a third larger,
   * as base64. Default false; others ignore it.
   */
  readonly isBinary?: boolean
  /**
   * Gives the bearer token; called for every request and so for every reconnection, and once more with `expired` or
   * `rejected` where the server refused it with 401; also with `expired` when that of an open connection has. Sent as
   * `Authorization`; a WebSocket gets a ticket for it, and only later tokens as messages. Default none. Waited for as long as for an answer. Where it rejects,
   * `connection.error` is `token_failed`, with its error as `cause`, and it is called again later; rejected with a
   * MillraceError that is not `retryable`, it is not. Tabs that share a connection use the leader's.
   */
  readonly token?: (request: TokenRequest) => string | Promise<string>
  /**
   * Called when the server has refused a request with 401 and no other token helps: `unauthenticated`, `token_expired`,
   * `token_rejected` or `token_revoked`. A page shows its sign-in. The call or loop gets the same error. Default none.
   */
  readonly onUnauthenticated?: (error: MillraceError) => void
  /** Default the host's. A WebSocket ignores it; sessions are made, read and listed with it over every transport. */
  readonly fetch?: typeof globalThis.fetch
  /** Default the host's; `sse` and `poll` ignore it. Where there is none, `ws` cannot be asked for and `hybrid` uses POST. */
  readonly WebSocket?: WebSocketConstructor
  /**
   * One connection for all tabs of this origin: `shareTabs()` of `@millrace/client/tabs`. Default none, each tab
   * its own. With it `auto` takes a WebSocket first, because one carries up to 64 sessions and channels. What is shared
   * is read whole: `slow` and `interval` are ignored. Hosts without Web Locks or BroadcastChannel ignore it.
   */
  readonly tabs?: TabSharing
  /** How long is waited for what; each has a default, a limit and an effect of its own. Default all of them. */
  readonly timings?: Partial<Timings>
}
