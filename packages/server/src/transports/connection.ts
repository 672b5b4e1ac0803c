/** One open connection: what it reads, its place within the limits, and how the server can end it. */
import { randomUUID } from 'node:crypto'
import type { MillraceError } from '@millrace/protocol'
import type { Principal } from '../access/caller.ts'
import type { Cursor } from '../delivery/cursor.ts'
import { SmallMap } from './small-map.ts'

export type TransportName = 'sse' | 'ws' | 'poll'

export interface ConnectionInfo {
  readonly transport: TransportName
  /** The owner; `anonymous` is not a single user, so connections of `anonymous` are not bounded together. */
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

/** What a transport does with a connection on behalf of the server. */
export interface Served {
  /** Ends the connection; its client gets the error. */
  terminate(error: MillraceError): void
  /**
   * Ends the connection; its client reconnects, here or on another server. `isPaced` where only some connections are
   * drained at a time, so that their clients may reconnect at once.
   */
  drain(isPaced: boolean): void
  /** The readers that the connection carries. */
  readonly cursors: Iterable<Cursor>
}

export interface Connection {
  /** A transport serves the connection from now on. Terminates it at once where that was requested before. */
  serve(served: Served): void
  /** Counts as a reader of the log, once for each key. Throws `too_many_connections`. Does nothing once closed. */
  attach(log: string, key?: string): void
  detach(key: string): void
  reads(log: string): boolean
  /** MUST NOT be called for more logs than the connection may attach: each is remembered. */
  acknowledge(log: string, position: string): void
  /** Gives its place up. May be called more than once. */
  close(): void
}

/** Counts by which connections are bounded. */
export interface Tally {
  /** Throws `too_many_connections`. */
  add(key: string): void
  remove(key: string): void
}

export interface Tallies {
  readonly readers: Tally
  readonly principals: Tally
  readonly addresses: Tally
}

export class OpenConnection implements Connection {
  #id: string | undefined
  readonly info: ConnectionInfo
  readonly #since: number
  readonly #tallies: Tallies
  readonly #onClose: (connection: OpenConnection) => void
  /** Logs that are read, by key. */
  readonly #logs = new SmallMap<string>()
  #acknowledged: Map<string, string> | undefined
  #served: Served | undefined
  #terminated: MillraceError | undefined
  #isDrained = false
  #isClosed = false

  /** Throws `too_many_connections`. */
  constructor(info: ConnectionInfo, since: number, tallies: Tallies, onClose: (connection: OpenConnection) => void) {
    this.info = info
    this.#since = since
    this.#tallies = tallies
    this.#onClose = onClose
    this.#countPrincipal('add')
    try {
      tallies.addresses.add(info.address ?? '')
    } catch (error) {
      this.#countPrincipal('remove')
      throw error
    }
  }

  /** Most connections are never listed, and none is named before. */
  get id(): string {
    this.#id ??= randomUUID()
    return this.#id
  }

  hasId(id: string): boolean {
    return this.#id === id
  }

  serve(served: Served): void {
    this.#served = served
    if (this.#terminated !== undefined) served.terminate(this.#terminated)
  }

  attach(log: string, key = log): void {
    if (this.#isClosed || this.#logs.get(key) !== undefined) return
    this.#tallies.readers.add(log)
    this.#logs.set(key, log)
  }

  detach(key: string): void {
    const log = this.#logs.get(key)
    if (log === undefined) return
    this.#logs.delete(key)
    this.#tallies.readers.remove(log)
    if (!this.reads(log)) this.#acknowledged?.delete(log)
  }

  reads(log: string): boolean {
    return this.#logs.values.includes(log)
  }

  acknowledge(log: string, position: string): void {
    this.#acknowledged ??= new Map()
    this.#acknowledged.set(log, position)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const log of this.#logs.values) this.#tallies.readers.remove(log)
    this.#countPrincipal('remove')
    this.#tallies.addresses.remove(this.info.address ?? '')
    this.#onClose(this)
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
      since: this.#since,
      sessions: [...new Set(this.#logs.values)],
      acknowledged: Object.fromEntries(this.#acknowledged ?? []),
    }
  }

  #countPrincipal(change: 'add' | 'remove'): void {
    const { id, kind } = this.info.principal
    if (kind !== 'anonymous') this.#tallies.principals[change](id)
  }
}
