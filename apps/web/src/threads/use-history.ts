/** The sessions there are, as the panel shows them: read when it is opened, when something was asked, and when the page is seen again. */
import type { Client, ListedSession, MillraceError } from '@millrace/client'
import { useCallback, useEffect, useRef, useState } from 'react'

export interface History {
  /** The one used last first; undefined until they were read. */
  readonly sessions: readonly ListedSession[] | undefined
  readonly hasMore: boolean
  /** The last reading failed; what was read before it is still shown. */
  readonly hasFailed: boolean
  readonly reload: () => void
  readonly readMore: () => void
  /** These reject with a MillraceError. */
  readonly rename: (id: string, title: string) => Promise<void>
  readonly remove: (id: string) => Promise<void>
  readonly exportAs: (id: string, format: 'markdown' | 'json') => Promise<string>
}

interface Read {
  readonly sessions: readonly ListedSession[] | undefined
  readonly next: number | undefined
  readonly hasFailed: boolean
}

const pageLength = 50
const pageLengthMax = 200

/** `news` changes when something was asked. */
export function useHistory({ sessions: remote }: Client, news: string): History {
  const [read, setRead] = useState<Read>({ sessions: undefined, next: undefined, hasFailed: false })
  const length = useRef(0)
  const latest = useRef<AbortController>(undefined)

  const load = useCallback(
    async (before?: number) => {
      // What was asked before would be older than what is asked now.
      latest.current?.abort()
      const abort = new AbortController()
      latest.current = abort
      const limit = before === undefined ? Math.min(pageLengthMax, Math.max(pageLength, length.current)) : pageLength
      try {
        const { sessions, next } = await remote.list({ limit, signal: abort.signal, ...(before !== undefined && { before }) })
        if (abort.signal.aborted) return
        setRead((known) => {
          const all = before === undefined ? sessions : withMore(known.sessions ?? [], sessions)
          length.current = all.length
          return { sessions: all, next, hasFailed: false }
        })
      } catch {
        if (!abort.signal.aborted) setRead((known) => ({ ...known, hasFailed: true }))
      }
    },
    [remote],
  )

  // biome-ignore lint/correctness/useExhaustiveDependencies: it is news, and nothing else, that asks for another reading
  useEffect(() => {
    void load()
    return () => latest.current?.abort()
  }, [load, news])
  useEffect(() => {
    const look = () => !document.hidden && void load()
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [load])

  return {
    sessions: read.sessions,
    hasMore: read.next !== undefined,
    hasFailed: read.hasFailed,
    reload: useCallback(() => void load(), [load]),
    readMore: () => void load(read.next),
    async rename(id, title) {
      const renamed = await remote.rename(id, title)
      setRead((known) => ({ ...known, sessions: known.sessions?.map((one) => (one.id === id ? renamed : one)) }))
    },
    exportAs: (id, format) => remote.export(id, { format }),
    async remove(id) {
      await remote.delete(id).catch((error: MillraceError) => {
        // Somebody else was quicker.
        if (error.code !== 'session_not_found') throw error
      })
      setRead((known) => ({ ...known, sessions: known.sessions?.filter((one) => one.id !== id) }))
    },
  }
}

/** A session that was used meanwhile is on both pages. */
function withMore(known: readonly ListedSession[], more: readonly ListedSession[]): ListedSession[] {
  const ids = new Set(known.map(({ id }) => id))
  return [...known, ...more.filter(({ id }) => !ids.has(id))]
}
