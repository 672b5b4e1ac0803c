/** The state of the connection as an application sees it: one value for all sessions, separate from the status of runs. */
import type { MillraceError } from './errors.ts'
import type { LinkState } from './link/link-state.ts'
import type { TransportName } from './transports/transport.ts'

export interface ConnectionStatus {
  /**
   * `idle`: nothing is being read. `connecting`: for the first time. `live`: events come as they happen.
   * `catching-up`: a stream is being re-opened or replaced, or the reader's queue is full.
   * `reconnecting`: cut, and trying again. `offline`: the same, and the host has no network. `closed`: permanently.
   */
  readonly state: 'idle' | LinkState['phase']
  /** Carries the events, or would. */
  readonly transport: TransportName
  /** Failed attempts since the last event was delivered. */
  readonly attempt: number
  /** When the next attempt is made, in milliseconds since 1970. */
  readonly retryAt?: number
  /** Why the last attempt failed, or why it is closed. */
  readonly error?: MillraceError
}

export interface ConnectionStore {
  readonly current: ConnectionStatus
  /** Calls the listener at every change, but not with the current value. Returns the function that unsubscribes. */
  subscribe(listener: (status: ConnectionStatus) => void): () => void
}

/** `update` reads the status again, and calls the listeners when it has changed. */
export function createConnectionStore(read: () => ConnectionStatus): {
  readonly store: ConnectionStore
  update(): void
} {
  const listeners = new Set<(status: ConnectionStatus) => void>()
  let current = read()
  return {
    store: {
      get current() {
        return current
      },
      subscribe(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    update() {
      const next = read()
      const isSame = (['state', 'transport', 'attempt', 'error'] as const).every((key) => next[key] === current[key])
      // Computed from two clocks, `retryAt` varies by a millisecond; a new wait comes with a new attempt or error.
      if (isSame && (next.retryAt === undefined) === (current.retryAt === undefined)) return
      current = next
      notifyAll(listeners, current)
    },
  }
}

/** The worst first: of many sessions, the one that is cut is shown. */
const order: readonly ConnectionStatus['state'][] = ['offline', 'reconnecting', 'connecting', 'catching-up', 'live']

export function summarize(links: readonly LinkState[], transport: TransportName, now: number): ConnectionStatus {
  const worst = order.map((phase) => links.find((link) => link.phase === phase)).find((link) => link !== undefined)
  const shown = worst ?? links.at(-1)
  if (shown === undefined) return { state: 'idle', transport, attempt: 0 }
  const { phase, stream, target, attempt, retryAt, error } = shown
  return {
    state: phase,
    transport: stream?.transport ?? target,
    attempt,
    ...(retryAt !== undefined && { retryAt: Math.round(retryAt - now) + Date.now() }),
    ...(error !== undefined && { error }),
  }
}

/** An error in a listener becomes an uncaught error, and breaks no stream. */
export function notifyAll<T>(listeners: Iterable<(value: T) => void>, value: T): void {
  for (const listener of listeners) {
    try {
      listener(value)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
