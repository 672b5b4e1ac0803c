/** The API of the package: `connect` and the client it returns, assembled from its parts. */

import { type AnyEvents, type Channel, createChannel } from './channel.ts'
import type { ConnectOptions } from './connect-options.ts'
import { createConnection } from './connection.ts'
import { type CallOptions, callWithin } from './deadline.ts'
import { MillraceError } from './errors.ts'
import { newId } from './host.ts'
import type { InspectedEvent } from './inspect.ts'
import type { Choice } from './link/choice.ts'
import { checkFrom } from './log-reader.ts'
import { type ModelList, readModels } from './models.ts'
import { createRegistry } from './registry.ts'
import { createSession, type Session } from './session.ts'
import { createSessionList, type SessionList } from './session-list.ts'
import type { ConnectionStore } from './status.ts'
import type { FlowOptions, TransportName } from './transports/transport.ts'

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
  /** The models that this client may use. One attempt, and rejects like those of `sessions`. */
  models(options?: CallOptions): Promise<ModelList>
  /** Calls the listener with every event as it arrives, also with those that had come before. Returns what ends it. */
  inspect(listener: (event: InspectedEvent) => void): () => void
  /** Changes the transport, also in mid-answer: the new stream begins where the old one is, which is closed when the new one has caught up. */
  setTransport(transport: TransportName | 'auto'): void
  /** What is used for the next connection, and why. */
  explainTransport(): Choice
  /** Ends every loop and connection. What still waits to be sent is rejected with `closed`. */
  close(): void
}

/**
 * `url` is where the server is, with the path it is mounted at, without `/api`; relative to the page in a browser.
 * Nothing is connected until there is something to read or to send. Default the page's own address; on a server, where there
 * is no page, calls and loops of a client without an address wait until their signal or deadline, and those of one with a
 * relative address are rejected.
 */
export function connect(url?: string | URL, options: ConnectOptions = {}): Client {
  const connection = createConnection(url, options)
  const { http, outbox, links, store, selector } = connection
  const { requestMs } = connection.timings
  const sessions = createRegistry<Session>('start')
  const channels = createRegistry<Channel>('now')
  const shared = { outbox, links }
  const session = { ...shared, http, connection: store, requestMs }

  return {
    connection: store,
    session(given, start = {}) {
      check(start)
      const id = given ?? newId()
      return sessions.get(id, start, (entry) => createSession({ ...session, ...entry, id }), given !== undefined)
    },
    channel<Events extends object>(name: string, start: ChannelStart = {}) {
      check(start)
      const channel = channels.get(name, start, (entry) => createChannel({ ...shared, ...entry, name }))
      return channel as object as Channel<Events>
    },
    sessions: createSessionList(http, requestMs),
    models: ({ signal } = {}) => callWithin(requestMs, signal, (either) => readModels(http, either)),
    inspect: connection.inspect,
    setTransport: connection.setTransport,
    explainTransport: selector.explain,
    close: connection.close,
  }

  function check({ from = 'start' }: SessionStart): void {
    if (links.isClosed) throw new MillraceError('closed')
    checkFrom(from)
  }
}
