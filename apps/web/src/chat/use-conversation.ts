/** The conversation that the address of the page names, and what was asked of it in this tab. */
import type { Client, Session } from '@millrace/client'
import { type Chat, chatOf } from '@millrace/client/chat'
import { type UploadedFile, withFiles } from '@millrace/client/files'
import { useEffect, useState, useSyncExternalStore } from 'react'
import { tabStorage } from '../settings/storage.ts'
import { addressOf, sessionOfPage } from '../threads/address.ts'
import { useLongHidden } from './long-hidden.ts'

/** Questions that were not sent yet survive a reload. */
const options = { storage: tabStorage }

interface Shown {
  readonly session: Session
  /** False: an empty page, whose first question makes the session. */
  readonly isBegun: boolean
  /** Runs that were asked for in this tab since it was loaded. */
  readonly asked: ReadonlySet<string>
  /** The one of several answers that the next question follows. */
  readonly used?: { readonly run: string; readonly lane: string } | undefined
}

export interface Conversation extends Shown {
  readonly chat: Chat
  readonly open: (session: string | undefined) => void
  readonly ask: (query: string, models: readonly string[], files?: readonly UploadedFile[]) => void
  /** Asks the same again, beside the run. */
  readonly regenerate: (run: string, models: readonly string[]) => void
  /** Asks something else in the place of a run's question. */
  readonly edit: (run: string, question: string, models: readonly string[]) => void
  readonly use: (run: string, lane: string) => void
}

export function useConversation(client: Client): Conversation {
  const [shown, setShown] = useState(() => show(client, sessionOfPage()))
  const { session, isBegun, asked, used } = shown
  const store = chatOf(session, options)
  const isLongHidden = useLongHidden()
  // Reading a session makes it, and a tab that nobody sees needs no connection while nothing is expected.
  const isRead = isBegun && !(isLongHidden && !isBusy(store.current))
  const chat = useSyncExternalStore(isRead ? store.subscribe : subscribeToNothing, () => store.current)

  useEffect(() => {
    const follow = () => setShown(show(client, sessionOfPage()))
    window.addEventListener('popstate', follow)
    return () => window.removeEventListener('popstate', follow)
  }, [client])

  return {
    ...shown,
    chat,
    open(id) {
      window.history.pushState(null, '', addressOf(id))
      setShown(show(client, id))
    },
    ask(text, models, files = []) {
      const query = files.length === 0 ? text : withFiles(text, files)
      // None chosen, because the list could not be read: the server knows its default.
      const asking = models.length > 0 ? { models } : {}
      if (isBegun && !isUnusable(store.current)) {
        const last = store.current.runs.at(-1)?.run
        const place = used !== undefined && used.run === last ? { parent: used.run, parentLane: used.lane } : {}
        return note(store.current.queue(query, { ...asking, ...place }))
      }
      const next = isBegun ? client.session() : session
      window.history.pushState(null, '', addressOf(next.id))
      const { id } = chatOf(next, options).current.ask(query, asking)
      setShown({ session: next, isBegun: true, asked: new Set([id]) })
    },
    regenerate: (run, models) => note(store.current.regenerate(run, { models }).id),
    edit: (run, question, models) => note(store.current.edit(run, question, models.length > 0 ? { models } : {}).id),
    use: (run, lane) => setShown({ ...shown, used: { run, lane } }),
  }

  function note(id: string): void {
    setShown({ session, isBegun, asked: new Set([...asked, id]) })
  }
}

function show(client: Client, id: string | undefined): Shown {
  return { session: client.session(id), isBegun: id !== undefined, asked: new Set() }
}

/** An address that led nowhere is not made into a session: its name may be anybody's. Nor can one be used that is damaged. */
function isUnusable({ status, error, runs, lost }: Chat): boolean {
  return status === 'closed' && (codeOf(error) !== 'session_not_found' || runs.length + lost.length === 0)
}

/** Whether anything is still to come without the reader's doing. */
function isBusy({ runs, pending, resuming }: Chat): boolean {
  return pending.length > 0 || resuming.size > 0 || runs.some(({ status }) => status === 'streaming')
}

/** What Stop would end: answers, or else the question that is on its way. */
export function activityOf({ runs, pending, stopping }: Chat) {
  const streaming = runs.filter((run) => run.status === 'streaming')
  const sending = pending.find((entry) => entry.status === 'sending')
  const isStopping = streaming.length > 0 && streaming.every(({ run }) => stopping.has(run))
  const isIdle = streaming.length === 0 && sending === undefined
  return { streaming, sending, activity: isStopping ? 'stopping' : isIdle ? 'idle' : 'stoppable' } as const
}

export function codeOf(error: Error | undefined): string | undefined {
  return (error as { code?: string } | undefined)?.code
}

function subscribeToNothing(): () => void {
  return () => {}
}
