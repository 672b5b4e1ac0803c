/** Stores of sessions, as the tests of them watch and forge them. */
import type { Session, SessionLogEvent } from '@millrace/client'
import { type Chat, type ChatOptions, type ChatStorage, chatOf, type Store } from '@millrace/client/chat'
import { onTestFinished } from 'vitest'

/** Resolves with the first state that the predicate accepts, now or later. */
export function until<T>(store: Store<T>, isWanted: (current: T) => boolean): Promise<T> {
  return new Promise((resolve) => {
    const look = () => {
      if (!isWanted(store.current)) return
      queueMicrotask(leave)
      resolve(store.current)
    }
    const leave = store.subscribe(look)
    look()
  })
}

/** A subscriber for as long as the test lasts. */
export function watch(session: Session, options?: ChatOptions): Store<Chat> {
  const store = chatOf(session, options)
  onTestFinished(store.subscribe(() => {}))
  return store
}

/** As a browser's. */
export function createStorage(): ChatStorage & { readonly kept: Map<string, string> } {
  const kept = new Map<string, string>()
  return {
    kept,
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  }
}

export const ended = (count: number) => (chat: Chat) => chat.runs.filter((run) => run.status !== 'streaming').length === count

export const textOf = ({ runs }: Pick<Chat, 'runs'>) =>
  runs.map(({ lanes }) => lanes.map(({ text }) => text).join('|')).join('\n')

/** The session with other events before its own, in each loop. `reads` counts how often its transcript was read until then. */
export function forge(
  session: Session,
  before: (from: string, reads: number) => readonly unknown[],
): { readonly forged: Session; readonly reads: () => number } {
  let reads = 0
  const forged: Session = {
    ...session,
    read(options) {
      reads++
      return session.read(options)
    },
    async *events(options) {
      yield* before(options?.from ?? '', reads) as readonly SessionLogEvent[]
      yield* session.events(options)
    },
  }
  return { forged, reads: () => reads }
}
