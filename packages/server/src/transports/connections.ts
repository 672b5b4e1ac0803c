/** The table of open connections, whatever their transport: bounded, listed, terminated and drained in one place. */
import { randomUUID } from 'node:crypto'
import type { MillraceError } from '@millrace/protocol'
import type { Cursor } from '../delivery/cursor.ts'
import { inSlices } from '../delivery/in-slices.ts'
import { createScheduler, type Scheduler } from '../delivery/scheduler.ts'
import type { Observer } from '../operations/observer.ts'
import {
  type Connection,
  type ConnectionInfo,
  type ConnectionPlace,
  type ConnectionState,
  type ConnectionTable,
  type Guard,
  type ListedConnection,
  OpenConnection,
  type PlacedConnection,
  type TransportName,
} from './connection.ts'
import type { Expiry } from './expiry.ts'
import { createTallies, type TalliesOptions } from './tallies.ts'

/** Selects the connections that match every given field. */
export interface ConnectionFilter {
  readonly id?: string
  /** Id of the principal. */
  readonly principal?: string
  /** The session that they read; a channel as `channel/` and its name. */
  readonly session?: string
  readonly transport?: TransportName
  readonly address?: string
}

export interface ConnectionsPage {
  readonly connections: readonly PlacedConnection[]
  /** Of all that match. */
  readonly total: number
}

export interface Connections {
  /** Throws `too_many_connections`, and as the guard does. The caller MUST close it. With a log the connection reads that log from the beginning. */
  open(info: ConnectionInfo, log?: string): Connection
  /** By the id that a client sent; undefined where no connection of this process has it. */
  find(id: string): Connection | undefined
  /** All connections, or those that read one session. */
  list(session?: string): ListedConnection[]
  /** At most `count` of the selected connections: the newest of those that were opened before a place. */
  page(filter: ConnectionFilter, count: number, before?: ConnectionPlace): ConnectionsPage
  /** Ends the selected connections, whose clients get the error; returns their number. Throws for an empty filter. */
  terminate(filter: ConnectionFilter, error: MillraceError): number
  /** Ends those whose principals may no longer do what they do. */
  recheck(): void
  /** Ends at most `count` connections, whose clients reconnect, here or on another server. */
  drain(count: number): void
  /** Connections that `drain` can still end. */
  readonly drainable: number
  /** Readers of all connections. */
  cursors(): Iterable<Cursor>
  readonly count: number
  /** How many of each transport are in each state. */
  countByState(): readonly ConnectionCount[]
}

export interface ConnectionCount {
  readonly transport: TransportName
  readonly state: ConnectionState
  readonly count: number
}

export interface ConnectionsOptions extends Partial<TalliesOptions> {
  /** MUST NOT be guessable; default 122 random bits. */
  readonly newId?: () => string
  /** Closes those whose principal expires; default none. */
  readonly expiry?: Expiry
  /** Default: everything that was allowed once is. */
  readonly guard?: Guard
  readonly scheduler?: Scheduler
  readonly observer?: Pick<Observer, 'connectionOpened' | 'connectionClosed' | 'limitHit'>
  readonly now?: () => number
}

const transports: readonly TransportName[] = ['sse', 'ws', 'poll']
const states: readonly ConnectionState[] = ['opening', 'open', 'closing']
const allowAll: Guard = { requirePrincipal() {}, requireSession() {} }

export function createConnections({
  limits = {},
  connectionsOf = () => Number.POSITIVE_INFINITY,
  newId = randomUUID,
  expiry,
  guard = allowAll,
  scheduler = createScheduler(),
  observer = {},
  now = Date.now,
}: ConnectionsOptions = {}): Connections {
  const { requireRoom, ...tallies } = createTallies({ limits, connectionsOf, observer })
  const open = new Set<OpenConnection>()
  /** Most are never named. */
  const named = new Map<string, OpenConnection>()
  let opened = 0
  const table: ConnectionTable = {
    newId,
    guard,
    ...tallies,
    onNamed: (connection) => void named.set(connection.id, connection),
    onRenewed: (connection) => expiry?.watch(connection),
    onClosed(connection) {
      open.delete(connection)
      if (connection.isNamed) named.delete(connection.id)
      if (connection.expiresAt !== undefined) expiry?.forget(connection)
      if (observer.connectionClosed === undefined) return
      const durationMs = now() - connection.since
      observer.connectionClosed(connection, { code: connection.end, durationMs, ...connection.delivered })
    },
  }

  return {
    open(info, log) {
      // It may have been revoked since it was asked for.
      guard.requirePrincipal(info.principal)
      requireRoom(open.size, info.principal)
      const connection = new OpenConnection(info, { since: now(), serial: opened++ }, table)
      open.add(connection)
      observer.connectionOpened?.(connection)
      // A long-poll ends before its time to renew would.
      if (info.transport !== 'poll' && connection.expiresAt !== undefined) expiry?.watch(connection)
      try {
        if (log !== undefined) connection.attach(log)
      } catch (error) {
        connection.close()
        throw error
      }
      return connection
    },
    find: (id) => named.get(id),
    list: (session) => select({ ...(session !== undefined && { session }) }).map((connection) => connection.describe()),
    page(filter, count, before) {
      const selected = select(filter).sort(newestFirst)
      const connections = selected
        .values()
        .filter((connection) => before === undefined || newestFirst(before, connection) < 0)
        .take(count)
        .map((connection) => ({ ...connection.describe(), serial: connection.serial }))
      return { connections: [...connections], total: selected.length }
    },
    terminate(filter, error) {
      // A filter whose fields are all undefined is a mistake of the caller: it must not end every connection.
      if (Object.values(filter).every((value) => value === undefined))
        throw new TypeError('Say which connections: give an `id`, a `principal`, a `session`, a `transport` or an `address`.')
      const selected = select(filter)
      for (const connection of selected) connection.terminate(error)
      return selected.length
    },
    recheck() {
      scheduler.add(inSlices(scheduler, open, (connection) => connection.recheck()))
    },
    drain(count) {
      const isPaced = count < Number.POSITIVE_INFINITY
      for (const connection of drainable().take(count)) connection.drain(isPaced)
    },
    get drainable() {
      return drainable().reduce((count) => count + 1, 0)
    },
    cursors: () => open.values().flatMap(({ cursors }) => cursors),
    get count() {
      return open.size
    },
    countByState: () => countByState(open),
  }

  function select(filter: ConnectionFilter): OpenConnection[] {
    return [...open].filter((connection) => isSelected(connection, filter, named))
  }

  function drainable() {
    return open.values().filter(({ isDrainable }) => isDrainable)
  }
}

function countByState(open: Iterable<OpenConnection>): ConnectionCount[] {
  const keys = transports.flatMap((transport) => states.map((state) => `${transport} ${state}`))
  const counts = new Map(keys.map((key) => [key, 0]))
  for (const { transport, state } of open) counts.set(`${transport} ${state}`, (counts.get(`${transport} ${state}`) ?? 0) + 1)
  return [...counts].map(([key, count]) => {
    const [transport, state] = key.split(' ') as [TransportName, ConnectionState]
    return { transport, state, count }
  })
}

/** Whether a connection matches every given field. An id is that of a connection which has one, or of none. */
function isSelected(
  connection: OpenConnection,
  { id, principal, session, transport, address }: ConnectionFilter,
  named: ReadonlyMap<string, OpenConnection>,
): boolean {
  return (
    (id === undefined || named.get(id) === connection) &&
    (principal === undefined || connection.info.principal.id === principal) &&
    (session === undefined || connection.reads(session)) &&
    (transport === undefined || connection.info.transport === transport) &&
    (address === undefined || connection.info.address === address)
  )
}

function newestFirst(a: ConnectionPlace, b: ConnectionPlace): number {
  return b.since - a.since || b.serial - a.serial
}
