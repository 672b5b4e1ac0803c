/**
 * The records of sessions: who owns each, and its share links. A record is the newest event of a log of its own, which each
 * change replaces; a session of nobody has none. It is written again when a run of its session ends, so that retention, which
 * removes what was written first, removes the session before its record.
 */
import { type Json, MillraceError } from '@millrace/protocol'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { ShareStore } from '../access/shares.ts'
import type { Engine, LogState } from '../log/log.ts'
import { coalesce } from '../runs/coalesce.ts'

const share = z.object({
  id: z.string(),
  /** Of its secret, which is nowhere. */
  hash: z.string(),
  /** Milliseconds since 1970. */
  createdAt: z.number(),
  expiresAt: z.number(),
})
const record = z.object({ owner: z.string().optional(), shares: z.array(share) })

export type SessionRecord = z.output<typeof record>

interface Snapshot {
  readonly record: SessionRecord | undefined
  readonly state: LogState | undefined
}

/** Not the name of a session or a channel: no client can read or write it. */
const logOf = (session: string) => `record/${session}`
const cachedMax = 10_000
/** As of the id of a principal. */
const ownerLengthMax = 300
/** So long a node may answer by what another node has changed. */
const cachedMs = 1000
const attemptsMax = 8
const movedCodes = new Set<unknown>(['head_moved', 'position_foreign'])

export class Records {
  readonly #store: Engine
  /** Only records that exist: one that is made at this moment, on any node, counts at once. */
  readonly #cache = new LRUCache<string, SessionRecord>({ max: cachedMax, ttl: cachedMs })
  readonly #readOnce: (session: string) => Promise<Snapshot>

  constructor(store: Engine) {
    this.#store = store
    this.#readOnce = coalesce((session) => this.#read(session))
  }

  /** Undefined for a session of nobody, and where there is no session. May be a second old. Rejects as the engine does. */
  async find(session: string): Promise<SessionRecord | undefined> {
    return this.#cache.get(session) ?? this.findNow(session)
  }

  async findNow(session: string): Promise<SessionRecord | undefined> {
    return (await this.#readOnce(session)).record
  }

  /** Gives a session of nobody its owner. Rejects with `session_not_found` where it has another one. */
  async claim(session: string, owner: string): Promise<void> {
    if (owner === '' || owner.length > ownerLengthMax)
      throw new MillraceError('invalid_request', { message: `An \`owner\` has 1 to ${ownerLengthMax} characters.` })
    await this.change(session, (before) => {
      if (before?.owner === owner) return undefined
      if (before?.owner !== undefined) throw new MillraceError('session_not_found')
      return { shares: [], ...before, owner }
    })
  }

  /** Replaces the record by what the function returns; undefined leaves it. */
  async change(session: string, change: (before: SessionRecord | undefined) => SessionRecord | undefined): Promise<void> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const snapshot = await this.#read(session)
      const changed = change(snapshot.record)
      if (changed === undefined || (await this.#append(session, changed, snapshot))) return
    }
    throw new MillraceError('engine_busy')
  }

  /** A run of the session has ended: its record is to be kept as long as the session. */
  async keep(session: string): Promise<void> {
    if ((await this.find(session)) === undefined) return
    const { record: found, state } = await this.#read(session)
    // Where another node changes it meanwhile, that keeps it too.
    if (found !== undefined) await this.#append(session, found, { state })
  }

  async delete(session: string): Promise<void> {
    this.#cache.delete(session)
    await this.#store.delete(logOf(session))
    this.#cache.delete(session)
  }

  /** False where the record has changed since it was read. */
  async #append(session: string, changed: SessionRecord, { state }: Pick<Snapshot, 'state'>): Promise<boolean> {
    const head = state?.head
    const options = { keep: 1, expect: head?.offset ?? 0, ...(head !== undefined && { epoch: head.epoch }) }
    try {
      await this.#store.append(logOf(session), [{ type: 'record', data: changed as object as Json }], options)
      this.#cache.set(session, changed)
      return true
    } catch (error) {
      if (error instanceof MillraceError && movedCodes.has(error.code)) return false
      throw error
    }
  }

  async #read(session: string): Promise<Snapshot> {
    const state = await this.#store.inspect(logOf(session))
    if (state === undefined || state.head.offset === state.start.offset) return this.#forget(session, state)
    try {
      const { events } = await this.#store.read(logOf(session), { ...state.head, offset: state.head.offset - 1 })
      const last = events.at(-1)
      if (last === undefined) return this.#forget(session, state)
      const found = record.parse(last.data)
      this.#cache.set(session, found)
      return { record: found, state }
    } catch (error) {
      // It was deleted between the two calls.
      if (error instanceof MillraceError && error.code === 'session_not_found') return this.#forget(session, undefined)
      throw error
    }
  }

  #forget(session: string, state: LogState | undefined): Snapshot {
    this.#cache.delete(session)
    return { record: undefined, state }
  }
}

/** The share links of sessions, for access/. */
export function createShareStore(records: Records): ShareStore {
  return {
    find: async (session) => (await records.find(session))?.shares ?? [],
    findNow: async (session) => (await records.findNow(session))?.shares ?? [],
    change: (session, change) =>
      records.change(session, (before) => {
        if (before?.owner === undefined) throw new MillraceError('invalid_request', { message: unowned })
        return { ...before, shares: [...change(before.shares)] }
      }),
  }
}

const unowned = 'Nobody owns the session, so everybody who has its id can read it; share the id.'
