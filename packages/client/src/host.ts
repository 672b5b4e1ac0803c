/** What the host knows of the network. In a browser its events; elsewhere there are none. */
export type HostListener = (news: 'online' | 'offline' | 'visible') => void

interface EventTargetLike {
  addEventListener?(type: string, listener: () => void): void
  removeEventListener?(type: string, listener: () => void): void
}

/** Returns what stops listening. */
export function listenToHost(listener: HostListener): () => void {
  const host = globalThis as EventTargetLike & { document?: EventTargetLike & { visibilityState?: string } }
  const { document } = host
  const subscriptions: [EventTargetLike | undefined, string, () => void][] = [
    [host, 'online', () => listener('online')],
    [host, 'offline', () => listener('offline')],
    [document, 'visibilitychange', () => document?.visibilityState === 'visible' && listener('visible')],
  ]
  for (const [target, type, call] of subscriptions) target?.addEventListener?.(type, call)
  return () => {
    for (const [target, type, call] of subscriptions) target?.removeEventListener?.(type, call)
  }
}

/** What the browser itself says, before any news of it. */
export function isHostOffline(): boolean {
  return (globalThis as { navigator?: { onLine?: boolean } }).navigator?.onLine === false
}

/** 128 random bits. `crypto.randomUUID` would be shorter but is missing on plain http outside localhost. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
