/**
 * Which connections, of whatever transport, read which session for whom: counted, listed and bounded.
 * It decides who may come in, and knows nothing of how anything is sent.
 */
import { MillraceError } from '@millrace/protocol'

export type TransportName = 'sse' | 'ws' | 'poll'

export interface ConnectionInfo {
  readonly transport: TransportName
  /** Who it belongs to; `anonymous` is nobody in particular and not bounded. */
  readonly principal: string
  /** Address of the peer; a proxy's where there is one. Undefined on hosts that do not tell. */
  readonly address: string | undefined
}

export interface ListedConnection extends ConnectionInfo {
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

export interface Connection {
  /** Throws `too_many_connections` where the session has as many readers as it may. Once closed it counts for nothing any more. */
  attach(session: string): void
  detach(session: string): void
  reads(session: string): boolean
  /** MUST NOT be called for more logs than the connection may be attached to: each is remembered. */
  acknowledge(session: string, position: string): void
  close(): void
}

export interface Connections {
  /** Throws `too_many_connections`. Whoever opens MUST close. With a session it is a reader of it from the beginning. */
  open(info: ConnectionInfo, session?: string): Connection
  /** All, or those of one session. */
  list(session?: string): ListedConnection[]
  readonly count: number
}

export function createConnections(limits: ConnectionLimits = {}, now: () => number = Date.now): Connections {
  const { perSessionMax = 10_000, perPrincipalMax = 100, perAddressMax = 20_000 } = limits
  const open = new Map<
    Connection,
    {
      readonly info: ConnectionInfo
      readonly since: number
      readonly sessions: Set<string>
      readonly acknowledged: Map<string, string>
    }
  >()
  const readers = createTally('This session has', perSessionMax)
  const principals = createTally('You have', perPrincipalMax)
  const addresses = createTally('Your network has', perAddressMax)

  return {
    open(info, session) {
      const { principal, address = '' } = info
      const isSomebody = principal !== 'anonymous'
      if (isSomebody) principals.add(principal)
      try {
        addresses.add(address)
      } catch (error) {
        if (isSomebody) principals.remove(principal)
        throw error
      }
      const sessions = new Set<string>()
      const acknowledged = new Map<string, string>()
      const connection: Connection = {
        attach(name) {
          if (!open.has(connection) || sessions.has(name)) return
          readers.add(name)
          sessions.add(name)
        },
        detach(name) {
          acknowledged.delete(name)
          if (sessions.delete(name)) readers.remove(name)
        },
        reads: (name) => sessions.has(name),
        acknowledge: (name, position) => void acknowledged.set(name, position),
        close() {
          if (!open.delete(connection)) return
          for (const name of sessions) readers.remove(name)
          if (isSomebody) principals.remove(principal)
          addresses.remove(address)
        },
      }
      open.set(connection, { info, since: now(), sessions, acknowledged })
      try {
        if (session !== undefined) connection.attach(session)
      } catch (error) {
        connection.close()
        throw error
      }
      return connection
    },
    list(session) {
      return [...open.values()]
        .filter(({ sessions }) => session === undefined || sessions.has(session))
        .map(({ info, since, sessions, acknowledged }) => ({
          ...info,
          since,
          sessions: [...sessions],
          acknowledged: Object.fromEntries(acknowledged),
        }))
    },
    get count() {
      return open.size
    },
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
