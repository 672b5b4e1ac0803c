/** The API of the package: `connect` and the client it returns, assembled from its parts. */

import type { TabSharing } from './carrier.ts'
import { type AnyEvents, type Channel, createChannel } from './channel.ts'
import { createConnection } from './connection.ts'
import { MillraceError } from './errors.ts'
import { newId } from './host.ts'
import type { TokenRequest } from './http.ts'
import type { Choice } from './link/choice.ts'
import { checkFrom } from './log-reader.ts'
import { createRegistry } from './registry.ts'
import { createSession, type Session } from './session.ts'
import { createSessionList, type SessionList } from './session-list.ts'
import type { ConnectionStore } from './status.ts'
import type { Timings } from './timings.ts'
import type { WebSocketConstructor } from './transports/socket.ts'
import type { FlowOptions, TransportName } from './transports/transport.ts'

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
   * `rejected` where the server refused it with 401. Sent as `Authorization` and nowhere else: a WebSocket does not carry
   * it, so with a token `auto` takes SSE. Default none. Waited for as long as for an answer. Where it rejects,
   * `connection.error` is `token_failed`, with its error as `cause`, and it is called again later; rejected with a
   * MillraceError that is not `retryable`, it is not. Tabs that share a connection use the leader's.
   */
  readonly token?: (request: TokenRequest) => string | Promise<string>
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

/** With any of these, `session()` throws a TypeError while the session is being read. */
export interface SessionStart extends FlowOptions {
  /** `start` (the default), `now`, or a position that an event or `read` gave. */
  readonly from?: string
}

/** With any of these, `channel()` throws a TypeError while the channel is being read. */
export interface ChannelStart extends FlowOptions {
  /** `now` (the default), `start`, or a position. */
  readonly from?: string
}

export interface Client {
  readonly connection: ConnectionStore
  /**
   * Without an id a new session, made on the server when it is first read or asked in. The same id gives the same object
   * while somebody holds or reads it, unless it shall be read in another way; later one that goes on at its position.
   */
  session(id?: string, options?: SessionStart): Session
  /**
   * A log that many write and read: 1 to 128 characters of `A-Z a-z 0-9 _ . : / -`. The same name gives the same channel,
   * as with sessions. `Events` are the names of its events and what each carries, `channel<{ message: string }>('room')`;
   * they are not checked against what is published.
   */
  channel<Events extends object = AnyEvents>(name: string, options?: ChannelStart): Channel<Events>
  /** Which sessions there are; to rename, delete and export them. */
  readonly sessions: SessionList
  /** This tab's connections are those of all; always true where tabs share nothing. */
  readonly isLeading: boolean
  /** Changes the transport, also in mid-answer: the new stream begins where the old one is, which is closed when the new one has caught up. */
  setTransport(transport: TransportName | 'auto'): void
  /** What is used for the next connection, and why. */
  explainTransport(): Choice
  /** Ends every loop and connection. What still waits to be sent is rejected with `closed`. */
  close(): void
}

/**
 * `url` is where the server is, with the path it is mounted at, without `/api`; relative to the page in a browser.
 * Nothing is connected until there is something to read or to send. On a server, where there is no page, that is
 * rejected for a relative address; to make clients and sessions is not.
 */
export function connect(url: string | URL = '.', options: ConnectOptions = {}): Client {
  const connection = createConnection(url, options)
  const { http, outbox, links, store, selector } = connection
  const sessions = createRegistry<Session>('start')
  const channels = createRegistry<Channel>('now')
  const shared = { outbox, links }

  return {
    connection: store,
    session(given, start = {}) {
      check(start)
      const id = given ?? newId()
      return sessions.get(id, start, (entry) => createSession({ ...shared, ...entry, id, http }), given !== undefined)
    },
    channel<Events extends object>(name: string, start: ChannelStart = {}) {
      check(start)
      const channel = channels.get(name, start, (entry) => createChannel({ ...shared, ...entry, name }))
      return channel as object as Channel<Events>
    },
    sessions: createSessionList(http),
    get isLeading() {
      return connection.isLeading
    },
    setTransport: connection.setTransport,
    explainTransport: selector.explain,
    close: connection.close,
  }

  function check({ from = 'start' }: SessionStart): void {
    if (links.isClosed) throw new MillraceError('closed')
    checkFrom(from)
  }
}
