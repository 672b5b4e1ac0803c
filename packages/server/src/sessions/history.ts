/** What is done with a session as a whole, and their list: the catalog, with titles. */
import { MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { OpenLog } from '../runs/recovery.ts'
import type { Runs } from '../runs/runs.ts'
import { stopRun } from '../runs/stop.ts'
import { Catalog } from './catalog.ts'
import type { Entry } from './catalog-view.ts'
import { requireLog } from './positions.ts'
import { createTitles, type TitleSource } from './titles.ts'
import type { Transcript } from './transcript.ts'
import type { Transcripts } from './transcripts.ts'

export interface ListedSession {
  readonly id: string
  /** What it was renamed to, else the beginning of its first question. */
  readonly title: string
  /** When its first run began that is still known of, and its last one; milliseconds since 1970. */
  readonly createdAt: number
  readonly updatedAt: number
}

export interface ListRequest {
  /** Default 50. */
  readonly limit?: number | undefined
  readonly before?: number | undefined
  /** Whether a session is one to be listed, for whoever asks; default all are. */
  readonly isVisible?: (session: string) => boolean | Promise<boolean>
}

export interface SessionList {
  /** The one used last comes first. They may be fewer than asked for, or none, though others follow. */
  readonly sessions: readonly ListedSession[]
  /** To be given as `before` for those that follow; absent where there are none. */
  readonly next?: number
}

export interface History {
  /** A run has begun. */
  note(run: TitleSource): Promise<void>
  list(request?: ListRequest): Promise<SessionList>
  /** Rejects with `session_not_found`. */
  rename(session: string, title: string): Promise<ListedSession>
  /** What was said, under its title. Rejects with `session_not_found`. */
  read(session: string): Promise<{ readonly title: string; readonly transcript: Transcript }>
  /**
   * Stops what runs in a session and deletes all that is kept of it; its readers are told that it is gone. Rejects with
   * `session_not_found`.
   */
  delete(session: string): Promise<void>
}

export interface HistoryOptions {
  /** Without quarantine: a damaged session is listed, so that it can be deleted. */
  readonly store: Engine
  readonly engine: Engine
  readonly openLog: OpenLog
  readonly runs: Runs
  readonly transcripts: Transcripts
  readonly onError: (error: unknown) => void
}

/** Sessions that one request goes through, also where most of them are not for whoever asks. */
const lookedThroughMax = 2000
/** A run that does not end for so long, in milliseconds, finds its log gone. */
const stopMsMax = 5000

export function createHistory({ store, engine, openLog, runs, transcripts, onError }: HistoryOptions): History {
  const catalog = new Catalog(store, onError)
  const titles = createTitles(store)

  return {
    async note(run) {
      // Both, whichever is refused.
      const noted = await Promise.allSettled([catalog.noteUsed(run.session), titles.keep(run)])
      for (const each of noted) if (each.status === 'rejected') throw each.reason
    },

    async list({ limit = 50, before = Number.POSITIVE_INFINITY, isVisible = () => true } = {}) {
      await catalog.refresh()
      const sessions: ListedSession[] = []
      let next = before
      for (let looked = 0; looked < lookedThroughMax && sessions.length < limit; ) {
        const some = catalog.newest(next, Math.min(limit, lookedThroughMax - looked))
        if (some.length === 0) return { sessions }
        looked += some.length
        const found = await Promise.all(
          some.map(async ([id, entry]) => ((await isVisible(id)) ? describe(id, entry) : undefined)),
        )
        for (const [at, session] of found.entries()) {
          if (sessions.length === limit) break
          next = some[at]?.[1].offset ?? next
          if (session !== undefined) sessions.push(session)
        }
      }
      return catalog.newest(next, 1).length === 0 ? { sessions } : { sessions, next }
    },

    async rename(id, title) {
      await requireLog(openLog, id)
      await titles.rename(id, title)
      // By this the others know that they have to read it again.
      await catalog.noteTitled(id)
      await catalog.refresh()
      const { createdAt = Date.now(), updatedAt = createdAt } = catalog.get(id) ?? {}
      return { id, title, createdAt, updatedAt }
    },

    async read(id) {
      const transcript = await transcripts.read(id)
      if (transcript === undefined) throw new MillraceError('session_not_found')
      return { title: (await titles.read(id)) ?? '', transcript }
    },

    async delete(id) {
      // What is damaged goes all the same. What runs in it ends by itself, and only this process's runs are known.
      const told = await unlessDamaged(async () => (await transcripts.read(id))?.runs, [])
      await Promise.all((told ?? []).filter(({ status }) => status === 'streaming').map(({ run }) => stop(run)))
      // Before the log, by which the session is found again where this is refused half way; and after it, because a
      // rename may have come in between that still saw the log. What an attempt before this one has left goes too.
      await titles.delete(id)
      await engine.delete(id)
      transcripts.forget(id)
      await titles.delete(id)
      if (told === undefined) throw new MillraceError('session_not_found')
      await runs.forget(
        id,
        told.map(({ run }) => run),
      )
      await catalog.noteDeleted(id)
    },
  }

  /** Undefined where retention has taken it. */
  async function describe(id: string, { createdAt, updatedAt, titledAt = 0 }: Entry): Promise<ListedSession | undefined> {
    // Nobody could delete what is not listed.
    const title = await unlessDamaged(() => titles.read(id, titledAt), '')
    if (title === undefined) catalog.drop(id)
    return title === undefined ? undefined : { id, title, createdAt, updatedAt }
  }

  /** What cannot be read although the engine answers is damaged, whatever it says. Rejects where the engine does not answer. */
  async function unlessDamaged<T>(read: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await read()
    } catch {
      await catalog.refresh()
      return read().catch(() => otherwise)
    }
  }

  async function stop(id: string): Promise<void> {
    const run = await runs.find(id)
    if (run === undefined) return
    await stopRun(run, stopMsMax).catch(() => {})
  }
}
