/** The conversation that the address of the page names, and what was asked of it in this tab. */
import type { Client, Session } from '@millrace/client'
import { type Chat, chatOf } from '@millrace/client/chat'
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
}

export interface Conversation extends Shown {
  readonly chat: Chat
  readonly open: (session: string | undefined) => void
  readonly ask: (query: string, models: readonly string[]) => void
}

export function useConversation(client: Client): Conversation {
  const show = (id: string | undefined): Shown => ({ session: client.session(id), isBegun: id !== undefined, asked: new Set() })
  const [shown, setShown] = useState(() => show(sessionOfPage()))
  const { session, isBegun, asked } = shown
  const store = chatOf(session, options)
  const isLongHidden = useLongHidden()
  // Reading a session makes it, and a tab that nobody sees needs no connection while nothing is expected.
  const isRead = isBegun && !(isLongHidden && !isBusy(store.current))
  const chat = useSyncExternalStore(isRead ? store.subscribe : subscribeToNothing, () => store.current)

  useEffect(() => {
    const follow = () => setShown(show(sessionOfPage()))
    window.addEventListener('popstate', follow)
    return () => window.removeEventListener('popstate', follow)
  })

  return {
    ...shown,
    chat,
    open(id) {
      if (isBegun && id === session.id) return
      window.history.pushState(null, '', addressOf(id))
      setShown(show(id))
    },
    ask(query, models) {
      // None chosen, because the list could not be read: the server knows its default.
      const asking = models.length > 0 ? { models } : {}
      if (isBegun && !isUnusable(store.current)) {
        const id = store.current.queue(query, asking)
        return setShown({ session, isBegun, asked: new Set([...asked, id]) })
      }
      const next = isBegun ? client.session() : session
      window.history.pushState(null, '', addressOf(next.id))
      const { id } = chatOf(next, options).current.ask(query, asking)
      setShown({ session: next, isBegun: true, asked: new Set([id]) })
    },
  }
}

/** An address that led nowhere is not made into a session: its name may be anybody's. Nor can one be used that is damaged. */
function isUnusable({ status, error, runs, lost }: Chat): boolean {
  return status === 'closed' && (codeOf(error) !== 'session_not_found' || runs.length + lost.length === 0)
}

/** Whether anything is still to come without the reader's doing. */
function isBusy({ runs, pending, resuming }: Chat): boolean {
  return pending.length > 0 || resuming.size > 0 || runs.some(({ status }) => status === 'streaming')
}

export function codeOf(error: Error | undefined): string | undefined {
  return (error as { code?: string } | undefined)?.code
}

function subscribeToNothing(): () => void {
  return () => {}
}
