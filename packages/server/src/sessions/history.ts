/** Lists, renames, reads and deletes sessions: the catalog with titles. */
import { MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { OpenLog } from '../runs/recovery.ts'
import type { Runs } from '../runs/runs.ts'
import { stopRun } from '../runs/stop.ts'
import type { Catalog } from './catalog.ts'
import type { Entry } from './catalog-view.ts'
import type { SessionOwners } from './owners.ts'
import { requireLog } from './positions.ts'
import type { Records } from './records.ts'
import { createTitles, type TitleSource } from './titles.ts'
import type { Transcript } from './transcript.ts'
import type { Transcripts } from './transcripts.ts'

export interface ListedSession {
  readonly id: string
  /** The name it was given, else the beginning of its first question. */
  readonly title: string
  /** When its first known run and its last run started; milliseconds since 1970. */
  readonly createdAt: number
  readonly updatedAt: number
}

export interface ListRequest {
  /** Default 50. */
  readonly limit?: number | undefined
  readonly before?: number | undefined
  /** Only the sessions of this owner. */
  readonly owner?: string | undefined
  /** Whether the caller may see a session; its owner where the list has it. Default all of them. */
  readonly isVisible?: (session: string, owner: string | undefined) => boolean | Promise<boolean>
}

export interface SessionList {
  /** The last used first. May be fewer than the limit, or none, although others follow. */
  readonly sessions: readonly ListedSession[]
  /** The `before` of the next page; absent on the last one. */
  readonly next?: number
}

export interface History {
  /** Called when a run has started. */
  note(run: NotedRun): Promise<void>
  list(request?: ListRequest): Promise<SessionList>
  /** Rejects with `session_not_found`. */
  rename(session: string, title: string): Promise<ListedSession>
  /** As it is listed. Rejects with `session_not_found`. */
  describe(session: string): Promise<ListedSession>
  /** The title and the conversation. Rejects with `session_not_found`. */
  read(session: string): Promise<{ readonly title: string; readonly transcript: Transcript }>
  /**
   * Stops a session's runs and deletes everything that is kept of it. Its readers are disconnected with
   * `session_not_found`. Rejects with `session_not_found`.
   */
  delete(session: string): Promise<void>
}

export interface NotedRun extends TitleSource {
  /** Of the session, where the start says so. */
  readonly owner?: string | undefined
}

export interface HistoryOptions {
  readonly records: Pick<Records, 'delete'>
  readonly uploads: { readonly deleteOf: (session: string) => Promise<void> }
  readonly owners: Pick<SessionOwners, 'ownerToNote'>
  readonly catalog: Catalog
  /** Without quarantine: a damaged session is listed, so that it can be deleted. */
  readonly store: Engine
  readonly engine: Engine
  readonly openLog: OpenLog
  readonly runs: Runs
  readonly transcripts: Transcripts
}

/** Sessions that one request checks, also where the caller may see few of them. */
const checkedMax = 2000
/** How long a run may take to end, in milliseconds, before its log is deleted nevertheless. */
const stopMsMax = 5000

export function createHistory(options: HistoryOptions): History {
  const { store, engine, records, uploads, owners, catalog, openLog, runs, transcripts } = options
  const titles = createTitles(store)

  return {
    async note(run) {
      // Both are done, also where one is rejected.
      const owner = run.owner ?? (await owners.ownerToNote(run.session))
      const noted = await Promise.allSettled([catalog.noteUsed(run.session, owner), titles.keep(run)])
      for (const each of noted) if (each.status === 'rejected') throw each.reason
    },

    async list({ limit = 50, before = Number.POSITIVE_INFINITY, owner, isVisible = () => true } = {}) {
      await catalog.refresh()
      const sessions: ListedSession[] = []
      let next = before
      for (let checked = 0; checked < checkedMax && sessions.length < limit; ) {
        const some = catalog.newest(next, Math.min(limit, checkedMax - checked), owner)
        if (some.length === 0) return { sessions }
        checked += some.length
        const found = await Promise.all(
          some.map(async ([id, entry]) => ((await isVisible(id, entry.owner)) ? describeEntry(id, entry) : undefined)),
        )
        for (const [at, session] of found.entries()) {
          if (sessions.length === limit) break
          next = some[at]?.[1].offset ?? next
          if (session !== undefined) sessions.push(session)
        }
      }
      return catalog.newest(next, 1, owner).length === 0 ? { sessions } : { sessions, next }
    },

    async rename(id, title) {
      await requireLog(openLog, id)
      await titles.rename(id, title)
      // The other servers learn from it that they have to read the title again.
      await catalog.noteTitled(id)
      await catalog.refresh()
      return asListed(id, title, catalog.get(id))
    },

    async describe(id) {
      await requireLog(openLog, id)
      await catalog.refresh()
      return asListed(id, (await titles.read(id)) ?? '', catalog.get(id))
    },

    async read(id) {
      const transcript = await transcripts.read(id)
      if (transcript === undefined) throw new MillraceError('session_not_found')
      return { title: (await titles.read(id)) ?? '', transcript }
    },

    async delete(id) {
      // A damaged session is deleted too. Its runs end by themselves, and only this process's runs are known.
      const known = await unlessDamaged(async () => (await transcripts.read(id))?.runs, [])
      await Promise.all((known ?? []).filter(({ status }) => status === 'streaming').map(({ run }) => stop(runs, run)))
      // Before the log: if a later step is rejected, the session is still found and can be deleted again. And after it: a
      // rename in between may still have seen the log. This also deletes the rest of an earlier attempt.
      await titles.delete(id)
      await engine.delete(id)
      transcripts.forget(id)
      // After the log: nothing is added to its files any more.
      await uploads.deleteOf(id)
      await titles.delete(id)
      if (known === undefined) {
        await records.delete(id)
        throw new MillraceError('session_not_found')
      }
      await runs.forget(
        id,
        known.map(({ run }) => run),
      )
      await catalog.noteDeleted(id)
      // The last: until then only its owner can delete the rest.
      await records.delete(id)
    },
  }

  /** Undefined where retention has deleted it. */
  async function describeEntry(id: string, { createdAt, updatedAt, titledAt = 0 }: Entry): Promise<ListedSession | undefined> {
    // A damaged session is listed, so that it can be deleted.
    const title = await unlessDamaged(() => titles.read(id, titledAt), '')
    if (title === undefined) catalog.drop(id)
    return title === undefined ? undefined : { id, title, createdAt, updatedAt }
  }

  /** A log that cannot be read although the engine responds counts as damaged. Rejects where the engine does not respond. */
  async function unlessDamaged<T>(read: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await read()
    } catch {
      await catalog.refresh()
      return read().catch(() => otherwise)
    }
  }
}

async function stop(runs: Pick<Runs, 'find'>, id: string): Promise<void> {
  const run = await runs.find(id)
  if (run !== undefined) await stopRun(run, stopMsMax).catch(() => {})
}

function asListed(
  id: string,
  title: string,
  { createdAt = Date.now(), updatedAt = createdAt }: Partial<Entry> = {},
): ListedSession {
  return { id, title, createdAt, updatedAt }
}
