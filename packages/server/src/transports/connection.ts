/** One open connection: what it reads, its place within the limits, and how the server can end it. */
import { MillraceError } from '@millrace/protocol'
import { addressKey } from '../access/address-key.ts'
import type { Principal } from '../access/caller.ts'
import type { Cursor } from '../delivery/cursor.ts'
import type { ConnectionEndCode, ObservedConnection } from '../operations/observer.ts'
import { SmallMap } from './small-map.ts'

export type TransportName = 'sse' | 'ws' | 'poll'

export interface ConnectionInfo {
  readonly transport: TransportName
  /** Connections of `anonymous` and of a share link are not bounded together: each is many users. */
  readonly principal: Principal
  /** Address of the peer, or of its proxy. Undefined where the host does not give it. */
  readonly address: string | undefined
}

export interface ListedConnection extends Omit<ConnectionInfo, 'principal'> {
  readonly id: string
  /** Id of the principal. */
  readonly principal: string
  /** Logs that it reads: sessions by their id, channels as `channel/` and their name. */
  readonly sessions: readonly string[]
  /** The last position that the client acknowledged, by log. */
  readonly acknowledged: Readonly<Record<string, string>>
  /** Milliseconds since 1970. */
  readonly since: number
}

/** When a connection was opened, in milliseconds since 1970, and the number of connections that were opened before it. */
export interface ConnectionPlace {
  readonly since: number
  readonly serial: number
}

export type PlacedConnection = ListedConnection & ConnectionPlace

/** What a transport does with a connection on behalf of the server. */
export interface Served {
  /** Ends the connection; its client gets the error. */
  terminate(error: MillraceError): void
  /**
   * Ends the connection; its client reconnects, here or on another server. `isPaced` where only some connections are
   * drained at a time, so that their clients may reconnect at once.
   */
  drain(isPaced: boolean): void
  /** Asks the client for another token: its own has expired. */
  requestRenewal(): void
  /** The readers that the connection carries. */
  readonly cursors: Iterable<Cursor>
  readonly delivered: Delivered
}

/** What a connection has carried so far. */
export interface Delivered {
  readonly events: number
  readonly bytes: number
}

/** One response on a connection, without readers. */
export interface ServedResponse {
  /** Aborts when the client has left, and when the server ends the connection. */
  readonly signal: AbortSignal
  /** What the response carries; its sender counts. */
  readonly delivered: { events: number; bytes: number }
  /** Notes why it ends, and throws the error with which the server has ended the connection. */
  end(): void
}

export interface Connection {
  /** Not guessable, and the same on the wire: a client renews its connection by it. */
  readonly id: string
  readonly owner: Principal
  /** The logs that it reads. */
  readonly logs: readonly string[]
  /** When its principal expires, in milliseconds since 1970. */
  readonly expiresAt: number | undefined
  /** Whether it is the principal's, whatever token that has. */
  belongsTo(principal: Principal): boolean
  /** Its principal has another token. Throws as the guard does. */
  renew(principal: Principal): void
  /** A transport serves the connection from now on. Terminates it at once where that was requested before. */
  serve(served: Served): void
  /** As `serve`, for a single response, whose request has its own credential. `left` aborts when the client leaves. */
  serveResponse(left: AbortSignal): ServedResponse
  /** Counts as a reader of the log, once for each key. Throws `too_many_connections`, and as the guard does. Does nothing once closed. */
  attach(log: string, key?: string): void
  detach(key: string): void
  reads(log: string): boolean
  /** MUST NOT be called for more logs than the connection may attach: each is remembered. */
  acknowledge(log: string, position: string): void
  /** Why it is about to be closed, unless the server has ended it; default because its client has left. */
  noteEnd(code: ConnectionEndCode): void
  /** Gives its place up. May be called more than once. */
  close(): void
}

/** Renews a connection of another server, to which it is passed on; false where there is no such server. */
export type PassRenewal = (connection: string, principal: Principal) => Promise<boolean>

/** Counts by which connections are bounded. */
export interface Tally {
  /** Throws `too_many_connections`. */
  add(key: string, principal: Principal): void
  remove(key: string): void
}

/** Whether a principal may still do what it could when it connected. */
export interface Guard {
  /** Throws what its client gets. */
  requirePrincipal(principal: Principal): void
  requireSession(principal: Principal, session: string): void
}

/** What all connections of a table share. */
export interface ConnectionTable {
  readonly readers: Tally
  readonly principals: Tally
  readonly addresses: Tally
  readonly guard: Guard
  readonly newId: () => string
  onNamed(connection: OpenConnection): void
  /** Its principal has another expiry. */
  onRenewed(connection: OpenConnection): void
  onClosed(connection: OpenConnection): void
}

/** `opening`: no transport serves it yet. `closing`: the server has ended it, and its client has not left. */
export type ConnectionState = 'opening' | 'open' | 'closing'

const nothingDelivered: Delivered = { events: 0, bytes: 0 }

export class OpenConnection implements Connection, ConnectionPlace, ObservedConnection {
  #id: string | undefined
  info: ConnectionInfo
  readonly since: number
  readonly serial: number
  readonly #table: ConnectionTable
  /** Logs that are read, by key. */
  readonly #logs = new SmallMap<string>()
  /** The last one that it read, once it reads none. */
  #lastLog: string | undefined
  #acknowledged: Map<string, string> | undefined
  #served: Served | undefined
  #terminated: MillraceError | undefined
  #isDrained = false
  #end: ConnectionEndCode | undefined
  #isAskedToRenew = false
  #isClosed = false

  /** Throws `too_many_connections`. */
  constructor(info: ConnectionInfo, { since, serial }: ConnectionPlace, table: ConnectionTable) {
    this.info = info
    this.since = since
    this.serial = serial
    this.#table = table
    this.#countPrincipal('add')
    try {
      table.addresses.add(addressKey(info.address), info.principal)
    } catch (error) {
      this.#countPrincipal('remove')
      throw error
    }
  }

  /** Most connections are never listed, and none is named before. */
  get id(): string {
    if (this.#id === undefined) {
      this.#id = this.#table.newId()
      if (!this.#isClosed) this.#table.onNamed(this)
    }
    return this.#id
  }

  get isNamed(): boolean {
    return this.#id !== undefined
  }

  get owner(): Principal {
    return this.info.principal
  }

  get logs(): readonly string[] {
    const logs = [...new Set(this.#logs.values)]
    return logs.length === 0 && this.#isClosed && this.#lastLog !== undefined ? [this.#lastLog] : logs
  }

  get transport(): TransportName {
    return this.info.transport
  }

  get principal(): string {
    return this.info.principal.id
  }

  get address(): string | undefined {
    return this.info.address
  }

  get state(): ConnectionState {
    if (this.#served === undefined) return 'opening'
    return this.#terminated === undefined && !this.#isDrained ? 'open' : 'closing'
  }

  /** Once it is closed: why. */
  get end(): ConnectionEndCode {
    if (this.#terminated !== undefined) return this.#terminated.code
    if (this.#isDrained) return 'drained'
    return this.#end ?? (this.#served === undefined ? 'failed' : 'left')
  }

  get delivered(): Delivered {
    return this.#served?.delivered ?? nothingDelivered
  }

  get expiresAt(): number | undefined {
    return this.info.principal.expiresAt
  }

  belongsTo({ id, kind }: Principal): boolean {
    return this.info.principal.id === id && this.info.principal.kind === kind
  }

  renew(principal: Principal): void {
    this.#table.guard.requirePrincipal(principal)
    this.info = { ...this.info, principal }
    this.#isAskedToRenew = false
    if (!this.#isClosed) this.#table.onRenewed(this)
  }

  /** Once for each token, and when a transport serves it. */
  requestRenewal(): void {
    if (this.#isAskedToRenew || this.#served === undefined) return
    this.#isAskedToRenew = true
    this.#served.requestRenewal()
  }

  serve(served: Served): void {
    this.#served = served
    if (this.#terminated !== undefined) served.terminate(this.#terminated)
  }

  serveResponse(left: AbortSignal): ServedResponse {
    const ended = new AbortController()
    const delivered = { events: 0, bytes: 0 }
    this.serve({
      terminate: (error) => ended.abort(error),
      drain: () => ended.abort(),
      requestRenewal() {},
      cursors: [],
      delivered,
    })
    return {
      signal: AbortSignal.any([left, ended.signal]),
      delivered,
      end: () => {
        this.noteEnd(left.aborted ? 'left' : 'ended')
        if (this.#terminated !== undefined) throw this.#terminated
      },
    }
  }

  attach(log: string, key = log): void {
    if (this.#isClosed || this.#logs.get(key) !== undefined) return
    this.#table.guard.requireSession(this.info.principal, log)
    this.#table.readers.add(log, this.info.principal)
    this.#logs.set(key, log)
  }

  detach(key: string): void {
    const log = this.#logs.get(key)
    // Its places were given up when it was closed.
    if (log === undefined || this.#isClosed) return
    this.#lastLog = log
    this.#logs.delete(key)
    this.#table.readers.remove(log)
    if (!this.reads(log)) this.#acknowledged?.delete(log)
  }

  reads(log: string): boolean {
    return this.#logs.values.includes(log)
  }

  acknowledge(log: string, position: string): void {
    this.#acknowledged ??= new Map()
    this.#acknowledged.set(log, position)
  }

  noteEnd(code: ConnectionEndCode): void {
    this.#end ??= code
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const log of this.#logs.values) this.#table.readers.remove(log)
    this.#countPrincipal('remove')
    this.#table.addresses.remove(addressKey(this.info.address))
    this.#table.onClosed(this)
  }

  /** Ends it where its principal may no longer do what it does. */
  recheck(): void {
    const { guard } = this.#table
    try {
      guard.requirePrincipal(this.info.principal)
    } catch (error) {
      return this.terminate(error as MillraceError)
    }
    try {
      for (const log of this.logs) guard.requireSession(this.info.principal, log)
    } catch {
      // Its client reconnects, and learns which of its sessions it can no longer read.
      this.terminate(new MillraceError('connection_closed'))
    }
  }

  terminate(error: MillraceError): void {
    this.#terminated = error
    this.#served?.terminate(error)
  }

  /** A transport serves it, and the server has not ended it yet. */
  get isDrainable(): boolean {
    return this.#served !== undefined && this.#terminated === undefined && !this.#isDrained
  }

  drain(isPaced: boolean): void {
    this.#isDrained = true
    this.#served?.drain(isPaced)
  }

  get cursors(): Iterable<Cursor> {
    return this.#served?.cursors ?? []
  }

  describe(): ListedConnection {
    const { transport, principal, address } = this.info
    return {
      id: this.id,
      transport,
      principal: principal.id,
      address,
      since: this.since,
      sessions: this.logs,
      acknowledged: Object.fromEntries(this.#acknowledged ?? []),
    }
  }

  #countPrincipal(change: 'add' | 'remove'): void {
    const { principal } = this.info
    if (principal.kind !== 'anonymous' && principal.kind !== 'share') this.#table.principals[change](principal.id, principal)
  }
}
