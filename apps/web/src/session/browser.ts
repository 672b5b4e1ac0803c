/**
 * The conversation's ports in a real browser, and the moments at which a browser should reconnect:
 * the network is back, the page was woken from the back-forward cache or from a long sleep.
 */
import type { Client } from '@millrace/client'
import { errors } from '@millrace/protocol'
import { createSession, readSession } from './api.ts'
import { type Commands, createCommands } from './commands.ts'
import { type Conversation, type ConversationPorts, createConversation } from './conversation.ts'
import { isFields } from './decode.ts'
import type { PendingRun } from './outbox.ts'

/**
 * A browser opens at most six connections to one HTTP/1.1 server, and each tab holds one: the
 * seventh tab would hang. So a tab that was hidden for this long and expects nothing closes
 * its own. One that was hidden this long may also have lost it unnoticed (a closed laptop, a
 * phone in a pocket), so it reconnects when it is seen again. Nothing is missed either way.
 */
const hiddenMaxMs = 30_000

export function openConversation(client: Client): Conversation {
  const conversation = createConversation({ ...browserPorts, ...createCommands(client), client })
  conversation.open(sessionOfPage())
  window.addEventListener('popstate', () => conversation.open(sessionOfPage()))
  // The client gets this event too and opens its connection again; what the page itself waits with is not its business.
  window.addEventListener('online', () => conversation.hurry())
  window.addEventListener('pageshow', (event) => event.persisted && conversation.reconnect())
  disconnectWhileHidden(conversation)
  return conversation
}

function disconnectWhileHidden(conversation: Conversation): void {
  let timer = 0
  let wasLong = false
  const check = () => {
    wasLong = true
    if (!conversation.rest()) timer = window.setTimeout(check, hiddenMaxMs)
  }
  document.addEventListener('visibilitychange', () => {
    window.clearTimeout(timer)
    if (document.hidden) timer = window.setTimeout(check, hiddenMaxMs)
    else if (wasLong) conversation.reconnect()
    wasLong = false
  })
}

const browserPorts: Omit<ConversationPorts, 'client' | keyof Commands> = {
  readSnapshot: readSession,
  createSession,
  newId,
  now: () => Date.now(),
  random: () => Math.random(),
  setTimer(run, delayMs) {
    const timer = window.setTimeout(run, delayMs)
    return () => window.clearTimeout(timer)
  },
  frames: {
    isHidden: () => document.hidden,
    requestFrame: (run) => window.requestAnimationFrame(run),
    cancelFrame: (handle) => window.cancelAnimationFrame(handle),
  },
  sessionBegan(session) {
    window.history.pushState(null, '', addressOf(session))
  },
  savePending(session, pending) {
    try {
      if (pending.length === 0) window.sessionStorage.removeItem(pendingKey(session))
      else window.sessionStorage.setItem(pendingKey(session), JSON.stringify(pending))
    } catch {
      // Storage is full or forbidden: the question still stands in the page, it only would not survive a reload.
    }
  },
  readPending(session) {
    try {
      const saved: unknown = JSON.parse(window.sessionStorage.getItem(pendingKey(session)) ?? '[]')
      return Array.isArray(saved) ? saved.filter(isPendingRun) : []
    } catch {
      return []
    }
  },
}

export function addressOf(session: string | undefined): string {
  const url = new URL(window.location.href)
  url.hash = ''
  url.search = session === undefined ? '' : `?session=${encodeURIComponent(session)}`
  return url.href
}

function sessionOfPage(): string | undefined {
  return new URLSearchParams(window.location.search).get('session') ?? undefined
}

/** 128 random bits. `crypto.randomUUID` would be shorter but is missing on plain http outside localhost. */
function newId(): string {
  const bytes = window.crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function pendingKey(session: string): string {
  return `millrace.pending.${session}`
}

function isPendingRun(entry: unknown): entry is PendingRun {
  if (!isFields(entry) || !Array.isArray(entry.models)) return false
  if (entry.error !== undefined && !(isFields(entry.error) && String(entry.error.code) in errors)) return false
  return typeof entry.id === 'string' && typeof entry.query === 'string'
}
