/** What is done with a session as a whole, and their list: the catalog, with titles. No text of anybody's is kept twice. */
import { MillraceError, type SessionEvents } from '@millrace/protocol'
import type { Engine, LogState } from '../log/log.ts'
import type { Runs } from '../runs/runs.ts'
import { stopRun } from '../runs/stop.ts'
import { requireLog } from './begin.ts'
import { createCatalog, type Entry } from './catalog.ts'
import { readTranscript, type Transcript } from './transcript.ts'

export interface ListedSession {
  readonly id: string
  /** What it was renamed to, else the beginning of its first question. */
  readonly title: string
  /** When its first run began that is still known of, and its last one; milliseconds since 1970. */
  readonly createdAt: number
  readonly updatedAt: number
}

export interface SessionList {
  /** The one used last comes first. */
  readonly sessions: readonly ListedSession[]
  /** To be given as `before` for those that follow; absent where there are none. */
  readonly next?: number
}

export interface History {
  /** A run begins in a session. */
  note(session: string): Promise<void>
  /** `limit` sessions, default 50. */
  list(page?: { readonly limit?: number | undefined; readonly before?: number | undefined }): Promise<SessionList>
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
  /** As it is: nothing is recovered of a session for the sake of a list. */
  readonly store: Engine
  /** The door to every session. */
  readonly engine: Engine
  readonly runs: Runs
  readonly onError: (error: unknown) => void
}

const titleOf = (session: string) => `title/${session}`
const derivedTitleMax = 80
/** A run that does not end for so long, in milliseconds, finds its log gone. */
const stopMsMax = 5000

export function createHistory({ store, engine, runs, onError }: HistoryOptions): History {
  const catalog = createCatalog(store, onError)

  return {
    note: catalog.note,

    async list({ limit = 50, before = Number.POSITIVE_INFINITY } = {}) {
      const entries = await catalog.read()
      const sessions: ListedSession[] = []
      const rest = [...entries].reverse().filter(([, { offset }]) => offset < before)
      for (let index = 0; index < rest.length; index += limit) {
        const some = rest.slice(index, index + limit)
        const found = await Promise.all(some.map(([id, entry]) => describe(id, entry)))
        for (const [at, session] of found.entries()) {
          if (session === undefined) {
            // Retention has taken it.
            catalog.drop(some[at]?.[0] ?? '')
            continue
          }
          sessions.push(session)
          const isLast = index + at === rest.length - 1
          if (sessions.length === limit) return isLast ? { sessions } : { sessions, next: some[at]?.[1].offset ?? 0 }
        }
      }
      return { sessions }
    },

    async rename(id, title) {
      await requireLog(engine, id)
      // The titles before it stay until the session goes: what an engine lets go by itself, it need not overwrite.
      await store.append(titleOf(id), [{ type: 'title', data: title }])
      if ((await store.inspect(id)) === undefined) {
        // Deleted since; whoever did it has seen no title, perhaps.
        await store.delete(titleOf(id))
        throw new MillraceError('session_not_found')
      }
      const { createdAt = Date.now(), updatedAt = createdAt } = (await catalog.read()).get(id) ?? {}
      return { id, title, createdAt, updatedAt }
    },

    async read(id) {
      const transcript = await readTranscript(engine, id)
      if (transcript === undefined) throw new MillraceError('session_not_found')
      return { title: (await readTitle(id)) ?? '', transcript }
    },

    async delete(id) {
      // What is damaged goes all the same. What runs in it ends by itself, and only this process's runs are known.
      const told = await unlessDamaged(async () => (await readTranscript(engine, id))?.runs, [])
      await Promise.all((told ?? []).filter(({ status }) => status === 'streaming').map(({ run }) => stop(run)))
      // Before the log, by which the session is found again where this is refused half way; and after it, because a
      // rename may have come in between that still saw the log. What an attempt before this one has left goes too.
      await store.delete(titleOf(id))
      await engine.delete(id)
      await store.delete(titleOf(id))
      if (told === undefined) throw new MillraceError('session_not_found')
      await runs.forget(
        id,
        told.map(({ run }) => run),
      )
      await catalog.noteDeleted(id)
    },
  }

  async function describe(id: string, { createdAt, updatedAt }: Entry): Promise<ListedSession | undefined> {
    // Nobody could delete what is not listed.
    const title = await unlessDamaged(() => readTitle(id), '')
    return title === undefined ? undefined : { id, title, createdAt, updatedAt }
  }

  /** What cannot be read although the engine answers is damaged, whatever it says. Rejects where the engine does not answer. */
  async function unlessDamaged<T>(read: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await read()
    } catch {
      await catalog.read()
      return read().catch(() => otherwise)
    }
  }

  /** Undefined where there is no such session. */
  async function readTitle(id: string): Promise<string | undefined> {
    const [named, state] = await Promise.all([store.inspect(titleOf(id)), store.inspect(id)])
    if (state === undefined) return undefined
    try {
      if (named !== undefined) {
        const { events } = await store.read(titleOf(id), { ...named.head, offset: Math.max(0, named.head.offset - 1) })
        if (events.length > 0) return events.at(-1)?.data as string
      }
      return await deriveTitle(id, state)
    } catch (error) {
      // Deleted between two calls.
      if (error instanceof MillraceError && (error.code === 'session_not_found' || error.code === 'position_foreign'))
        return undefined
      throw error
    }
  }

  async function deriveTitle(id: string, { start }: LogState): Promise<string> {
    const { events } = await store.read(id, start, { eventsMax: 64 })
    const first = events.find(({ type }) => type === 'stream_start')?.data as SessionEvents['stream_start'] | undefined
    const words = (first?.query ?? '')
      .slice(0, 20 * derivedTitleMax)
      .replace(/\s+/g, ' ')
      .trim()
    const characters = Array.from(new Intl.Segmenter().segment(words), ({ segment }) => segment)
    return characters.length > derivedTitleMax ? `${characters.slice(0, derivedTitleMax - 1).join('')}…` : words
  }

  async function stop(id: string): Promise<void> {
    const run = await runs.find(id)
    if (run === undefined) return
    await stopRun(run, stopMsMax).catch(() => {})
  }
}
