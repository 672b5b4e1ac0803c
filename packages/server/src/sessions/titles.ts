/**
 * What sessions are called: what they were renamed to, else the beginning of their first question. A title has a log of
 * its own, for retention may take the question, and goes with its session; in the list of sessions there is no word of it.
 */
import { MillraceError, type SessionEvents } from '@millrace/protocol'
import type { Engine, LogState } from '../log/log.ts'

/** A run as far as it may give its session a title. */
export interface TitleSource {
  readonly session: string
  readonly query: string
  /** Nothing stood in the session before it. */
  readonly isFirst: boolean
}

export interface Titles {
  /** A run has begun: its session has a title from now on, for as long as it is used. */
  keep(run: TitleSource): Promise<void>
  /** Undefined where there is no such session. `version` changes when it may have been renamed; absent where nobody can say. */
  read(session: string, version?: number): Promise<string | undefined>
  /** Rejects with `session_not_found`. */
  rename(session: string, title: string): Promise<void>
  delete(session: string): Promise<void>
}

interface Kept {
  readonly title: string
  readonly version: number | undefined
  /** When it was written last. */
  readonly time: number
}

const derivedTitleMax = 80
/** Titles in memory, each of at most 200 characters. */
const keptMax = 10_000
/** One that is older is written again when its session is used: retention by age would take it before the session. */
const freshMs = 60 * 60 * 1000
const titleOf = (session: string) => `title/${session}`
const gone: ReadonlySet<string> = new Set(['session_not_found', 'position_foreign'])

export function createTitles(store: Engine): Titles {
  const kept = new Map<string, Kept>()
  /** Where logs end with the process, titles may as well. */
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
        // Deleted between two calls.
        if (gone.has((error as MillraceError).code)) return undefined
        throw error
      }
    },

    async rename(session, title) {
      const offset = (await store.inspect(titleOf(session)))?.head.offset ?? 0
      const events = [{ type: 'title', data: title }]
      const { duplicate } = await store.append(titleOf(session), events, { key: after(offset) })
      // Somebody was quicker; the last one counts.
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

  /** Unless it was renamed since it was read. */
  async function write(session: string, { title, offset }: { readonly title: string; readonly offset: number }): Promise<void> {
    if (isWritten) {
      const { duplicate } = await store.append(titleOf(session), [{ type: 'title', data: title }], { key: after(offset) })
      if (duplicate || !(await isThere(session))) return
    }
    put(session, { title, version: undefined, time: Date.now() })
  }

  /** A session that was deleted meanwhile: whoever did it has seen no title, perhaps. */
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

/** Of several that write behind the same title, the first one does. */
const after = (offset: number): string => `after ${offset}`

function shorten(query: string): string {
  const words = query
    .slice(0, 20 * derivedTitleMax)
    .replace(/\s+/g, ' ')
    .trim()
  const characters = Array.from(new Intl.Segmenter().segment(words), ({ segment }) => segment)
  return characters.length > derivedTitleMax ? `${characters.slice(0, derivedTitleMax - 1).join('')}…` : words
}
