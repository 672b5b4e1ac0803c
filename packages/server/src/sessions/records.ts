/**
 * The records of sessions: who owns each, its share links and its instructions. A record is the newest event of a log of its
 * own, which each change replaces; a session of nobody and without instructions has none. It is written again when a run of
 * its session ends, so that retention, which removes what was written first, removes the session before its record.
 */
import { type Json, MillraceError } from '@millrace/protocol'
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
/** Who asked a question that waits; without a principal the application itself. */
const queuedAsker = z.object({
  principal: z
    .object({
      id: z.string(),
      kind: z.enum(['user', 'server', 'share', 'anonymous']),
      limits: z.record(z.string(), z.number()).optional(),
    })
    .optional(),
  address: z.string().optional(),
  /** When it was recorded; milliseconds since 1970. */
  at: z.number().optional(),
})
const record = z.object({
  owner: z.string().optional(),
  shares: z.array(share),
  /** Which its models get. */
  instructions: z.string().optional(),
  /** By the id of the question. */
  queued: z.record(z.string(), queuedAsker).optional(),
})

export type QueuedAsker = z.output<typeof queuedAsker>
export type SessionRecord = z.output<typeof record>

interface Snapshot {
  readonly record: SessionRecord | undefined
  readonly state: LogState | undefined
}

/** Not the name of a session or a channel: no client can read or write it. */
const logOf = (session: string) => `record/${session}`
/** As of the id of a principal. */
const ownerLengthMax = 300
const attemptsMax = 8
const goneCodes = new Set<unknown>(['session_not_found', 'position_foreign'])
const movedCodes = new Set<unknown>(['head_moved', 'position_foreign'])

export class Records {
  readonly #store: Engine
  readonly #readOnce: (session: string) => Promise<Snapshot>

  constructor(store: Engine) {
    this.#store = store
    this.#readOnce = coalesce((session) => this.#read(session))
  }

  /**
   * Undefined for a session of nobody, and where there is no session. Never what was known before: the session may be that of
   * another user by now. Rejects as the engine does.
   */
  async find(session: string): Promise<SessionRecord | undefined> {
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
    const { record: found, state } = await this.#read(session)
    // Where another node changes it meanwhile, that keeps it too.
    if (found !== undefined) await this.#append(session, found, { state })
  }

  async delete(session: string): Promise<void> {
    const owner = (await this.find(session))?.owner
    await this.#store.delete(logOf(session))
    if (owner === undefined || (await this.#store.inspect(session)) === undefined) return
    // The owner has created it again meanwhile, when there still was a record.
    await this.change(session, (before) => (before === undefined ? { owner, shares: [] } : undefined))
  }

  /** False where the record has changed since it was read. */
  async #append(session: string, changed: SessionRecord, { state }: Pick<Snapshot, 'state'>): Promise<boolean> {
    const head = state?.head
    const options = { keep: 1, expect: head?.offset ?? 0, ...(head !== undefined && { epoch: head.epoch }) }
    try {
      await this.#store.append(logOf(session), [{ type: 'record', data: changed as object as Json }], options)
      return true
    } catch (error) {
      if (error instanceof MillraceError && movedCodes.has(error.code)) return false
      throw error
    }
  }

  async #read(session: string, attempt = 1): Promise<Snapshot> {
    const state = await this.#store.inspect(logOf(session))
    if (state === undefined || state.head.offset === state.start.offset) return { record: undefined, state }
    try {
      const { events } = await this.#store.read(logOf(session), { ...state.head, offset: state.head.offset - 1 })
      const last = events.at(-1)
      return { record: last && record.parse(last.data), state }
    } catch (error) {
      if (!(error instanceof MillraceError && goneCodes.has(error.code)) || attempt === attemptsMax) throw error
      // It was deleted between the two calls, and may have been created again.
      return this.#read(session, attempt + 1)
    }
  }
}

/** The share links of sessions, for access/. */
export function createShareStore(records: Records): ShareStore {
  return {
    find: async (session) => (await records.find(session))?.shares ?? [],
    change: (session, change) =>
      records.change(session, (before) => {
        if (before?.owner === undefined) throw new MillraceError('invalid_request', { message: unowned })
        return { ...before, shares: [...change(before.shares)] }
      }),
  }
}

const unowned = 'Nobody owns the session, so everybody who has its id can read it; share the id.'
