/**
 * Which connections, of whatever transport, read which session for whom: counted, listed and bounded.
 * It decides who may come in, and knows nothing of how anything is sent.
 */
import { randomUUID } from 'node:crypto'
import { MillraceError } from '@millrace/protocol'
import { anonymous, type Principal } from '../access/caller.ts'

export type TransportName = 'sse' | 'ws' | 'poll'

export interface ConnectionInfo {
  readonly transport: TransportName
  /** Who it belongs to; `anonymous` is nobody in particular and not bounded. */
  readonly principal: Principal
  /** Address of the peer; a proxy's where there is one. Undefined on hosts that do not tell. */
  readonly address: string | undefined
}

export interface ListedConnection extends Omit<ConnectionInfo, 'principal'> {
  readonly id: string
  /** Id of the principal. */
  readonly principal: string
  /** Logs that it reads: sessions by their id, channels as `channel/` and their name. */
  readonly sessions: readonly string[]
  /** How far the client says it has come, by log; only what it has told. */
  readonly acknowledged: Readonly<Record<string, string>>
  /** Milliseconds since 1970. */
  readonly since: number
}

export interface ConnectionLimits {
  /** Readers of one session; default 10,000. */
  readonly perSessionMax?: number
  /** Connections of one principal; default 100. Does not bound `anonymous`. */
  readonly perPrincipalMax?: number
  /** Connections from one address; default 20,000, because behind a proxy all come from one. */
  readonly perAddressMax?: number
}

/** Which connections are meant: those for which everything that is given holds. */
export interface ConnectionFilter {
  readonly id?: string
  /** Id of the principal. */
  readonly principal?: string
  /** Those that read this session; a channel as `channel/` and its name. */
  readonly session?: string
}

export interface Connection {
  /**
   * Counts it as a reader of the log, once for each key. Throws `too_many_connections` where the log has as many readers
   * as it may. Once closed it counts for nothing any more.
   */
  attach(log: string, key?: string): void
  detach(key: string): void
  reads(log: string): boolean
  /** What is done when the connection is terminated; at once where it was already. */
  onTerminated(call: (error: MillraceError) => void): void
  /** MUST NOT be called for more logs than the connection may be attached to: each is remembered. */
  acknowledge(session: string, position: string): void
  close(): void
}

export interface Connections {
  /** Throws `too_many_connections`. Whoever opens MUST close. With a session it is a reader of it from the beginning. */
  open(info: ConnectionInfo, session?: string): Connection
  /** All, or those of one session. */
  list(session?: string): ListedConnection[]
  /** Ends connections, whose clients get the error; the number of those that it meant. Throws where nothing is given. */
  terminate(filter: ConnectionFilter, error: MillraceError): number
  readonly count: number
}

interface Entry {
  readonly id: string
  readonly info: ConnectionInfo
  readonly since: number
  /** Logs that are read, by key. */
  readonly logs: Map<string, string>
  readonly acknowledged: Map<string, string>
  terminate(error: MillraceError): void
}

export function createConnections(limits: ConnectionLimits = {}, now: () => number = Date.now): Connections {
  const { perSessionMax = 10_000, perPrincipalMax = 100, perAddressMax = 20_000 } = limits
  const open = new Map<Connection, Entry>()
  const readers = createTally('This session has', perSessionMax)
  const principals = createTally('You have', perPrincipalMax)
  const addresses = createTally('Your network has', perAddressMax)

  return {
    open(info, log) {
      const { principal, address = '' } = info
      const isSomebody = principal.id !== anonymous.id
      if (isSomebody) principals.add(principal.id)
      try {
        addresses.add(address)
      } catch (error) {
        if (isSomebody) principals.remove(principal.id)
        throw error
      }
      const logs = new Map<string, string>()
      const acknowledged = new Map<string, string>()
      let terminated: MillraceError | undefined
      let onTerminated: ((error: MillraceError) => void) | undefined
      const connection: Connection = {
        attach(name, key = name) {
          if (!open.has(connection) || logs.has(key)) return
          readers.add(name)
          logs.set(key, name)
        },
        detach(key) {
          const name = logs.get(key)
          if (name === undefined) return
          logs.delete(key)
          readers.remove(name)
          if (!connection.reads(name)) acknowledged.delete(name)
        },
        reads: (name) => logs.values().some((log) => log === name),
        acknowledge: (name, position) => void acknowledged.set(name, position),
        onTerminated(call) {
          if (terminated === undefined) onTerminated = call
          else call(terminated)
        },
        close() {
          if (!open.delete(connection)) return
          for (const name of logs.values()) readers.remove(name)
          if (isSomebody) principals.remove(principal.id)
          addresses.remove(address)
        },
      }
      const terminate = (error: MillraceError) => {
        terminated = error
        onTerminated?.(error)
      }
      open.set(connection, { id: randomUUID(), info, since: now(), logs, acknowledged, terminate })
      try {
        if (log !== undefined) connection.attach(log)
      } catch (error) {
        connection.close()
        throw error
      }
      return connection
    },
    list: (session) => select({ ...(session !== undefined && { session }) }).map(describe),
    terminate(filter, error) {
      // A filter that was meant to name somebody, and names nobody, must not end everybody.
      if (Object.values(filter).every((value) => value === undefined))
        throw new TypeError('Say which connections: give an `id`, a `principal` or a `session`.')
      const meant = select(filter)
      for (const entry of meant) entry.terminate(error)
      return meant.length
    },
    get count() {
      return open.size
    },
  }

  function select({ id, principal, session }: ConnectionFilter): Entry[] {
    return [...open.values()].filter(
      (entry) =>
        (id === undefined || entry.id === id) &&
        (principal === undefined || entry.info.principal.id === principal) &&
        (session === undefined || entry.logs.values().some((log) => log === session)),
    )
  }
}

function describe({ id, info, since, logs, acknowledged }: Entry): ListedConnection {
  const { transport, principal, address } = info
  return {
    id,
    transport,
    principal: principal.id,
    address,
    since,
    sessions: [...new Set(logs.values())],
    acknowledged: Object.fromEntries(acknowledged),
  }
}

interface Tally {
  add(key: string): void
  remove(key: string): void
}

function createTally(whose: string, max: number): Tally {
  const counts = new Map<string, number>()
  return {
    add(key) {
      const count = counts.get(key) ?? 0
      if (count >= max)
        throw new MillraceError('too_many_connections', {
          message: `${whose} ${max} connections, as many as it may have; close one.`,
        })
      counts.set(key, count + 1)
    },
    remove(key) {
      const count = (counts.get(key) ?? 0) - 1
      if (count <= 0) counts.delete(key)
      else counts.set(key, count)
    },
  }
}
