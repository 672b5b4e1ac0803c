/**
 * Titles of sessions: the name that a session was given, else the beginning of its first question. A title has a log of
 * its own, because retention may delete the question, and is deleted with its session. The catalog contains no title.
 */
import { MillraceError, type SessionEvents } from '@millrace/protocol'
import type { Engine, LogState } from '../log/log.ts'

/** A run that may give its session a title. */
export interface TitleSource {
  readonly session: string
  readonly query: string
  /** The run's start is the session's first event. */
  readonly isFirst: boolean
}

export interface Titles {
  /** Called when a run has started: its session has a title from now on, as long as it is used. */
  keep(run: TitleSource): Promise<void>
  /** Undefined where there is no such session. `version` changes with each rename; absent where it is unknown. */
  read(session: string, version?: number): Promise<string | undefined>
  /** Rejects with `session_not_found`. */
  rename(session: string, title: string): Promise<void>
  delete(session: string): Promise<void>
}

interface Kept {
  readonly title: string
  readonly version: number | undefined
  /** When it was last written. */
  readonly time: number
}

const derivedTitleMax = 80
let segmenter: Intl.Segmenter | undefined
/** Titles in memory, each of at most 200 characters. */
const keptMax = 10_000
/** An older title is written again when its session is used: retention by age would delete it before the session. */
const freshMs = 60 * 60 * 1000
const titleOf = (session: string) => `title/${session}`
const deletedCodes: ReadonlySet<string> = new Set(['session_not_found', 'position_foreign'])

export function createTitles(store: Engine): Titles {
  const kept = new Map<string, Kept>()
  /** With an engine that is not durable, titles are kept in memory only. */
  const isWritten = store.isDurable || store.isShared

  return {
    async keep({ session, query, isFirst }) {
      const known = kept.get(session)
      if (known !== undefined && (!isWritten || known.time > Date.now() - freshMs)) return
      const written = isFirst ? undefined : await readWritten(session)
      if (written !== undefined && written.time > Date.now() - freshMs) put(session, { ...written, version: undefined })
      else await write(session, written ?? { title: await firstTitle(session, query, isFirst), offset: 0 })
    },

    async read(session, version) {
      const state = await store.inspect(session)
      if (state === undefined) return undefined
      const known = kept.get(session)
      const isCurrent = !store.isShared || (version !== undefined && known?.version === version)
      if (known !== undefined && isCurrent) return known.title
      try {
        const written = await readWritten(session)
        if (written === undefined) return known?.title ?? (await derive(session, state))
        put(session, { ...written, version })
        return written.title
      } catch (error) {
        // The session was deleted between two calls.
        if (deletedCodes.has((error as MillraceError).code)) return undefined
        throw error
      }
    },

    async rename(session, title) {
      const offset = (await store.inspect(titleOf(session)))?.head.offset ?? 0
      const events = [{ type: 'title', data: title }]
      const { duplicate } = await store.append(titleOf(session), events, { key: after(offset) })
      // Another rename was first; the last one counts.
      if (duplicate) await store.append(titleOf(session), events)
      if (!(await isThere(session))) throw new MillraceError('session_not_found')
      put(session, { title, version: undefined, time: Date.now() })
    },

    async delete(session) {
      kept.delete(session)
      await store.delete(titleOf(session))
    },
  }

  async function firstTitle(session: string, query: string, isFirst: boolean): Promise<string> {
    if (isFirst) return shorten(query)
    const state = await store.inspect(session)
    return (state && (await derive(session, state))) || shorten(query)
  }

  /** Does nothing where the session was renamed since it was read. */
  async function write(session: string, { title, offset }: { readonly title: string; readonly offset: number }): Promise<void> {
    if (isWritten) {
      const { duplicate } = await store.append(titleOf(session), [{ type: 'title', data: title }], { key: after(offset) })
      if (duplicate || !(await isThere(session))) return
    }
    put(session, { title, version: undefined, time: Date.now() })
  }

  /** Deletes the title of a session that was deleted meanwhile: that deletion may have seen no title. */
  async function isThere(session: string): Promise<boolean> {
    if ((await store.inspect(session)) !== undefined) return true
    await store.delete(titleOf(session))
    return false
  }

  async function readWritten(session: string): Promise<{ title: string; time: number; offset: number } | undefined> {
    const state = await store.inspect(titleOf(session))
    if (state === undefined) return undefined
    const { events } = await store.read(titleOf(session), { ...state.head, offset: Math.max(0, state.head.offset - 1) })
    const last = events.at(-1)
    return last && { title: last.data as string, time: last.time, offset: last.offset }
  }

  async function derive(session: string, { start }: LogState): Promise<string> {
    const { events } = await store.read(session, start, { eventsMax: 64 })
    const first = events.find(({ type }) => type === 'stream_start')?.data as SessionEvents['stream_start'] | undefined
    return shorten(first?.query ?? '')
  }

  function put(session: string, title: Kept): void {
    kept.delete(session)
    kept.set(session, title)
    if (kept.size > keptMax) kept.delete(kept.keys().next().value as string)
  }
}

/** Of several appends after the same title, the first one counts. */
const after = (offset: number): string => `after ${offset}`

function shorten(query: string): string {
  const words = query
    .slice(0, 20 * derivedTitleMax)
    .replace(/\s+/g, ' ')
    .trim()
  // Most questions are this short, and to take characters apart costs more than the rest of a start's title.
  if (words.length <= derivedTitleMax) return words
  // Made when it is needed: it takes milliseconds, which a start would wait for.
  segmenter ??= new Intl.Segmenter()
  const characters = Array.from(segmenter.segment(words), ({ segment }) => segment)
  return characters.length > derivedTitleMax ? `${characters.slice(0, derivedTitleMax - 1).join('')}…` : words
}
