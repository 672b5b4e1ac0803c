/** How the connection is, as an application sees it: one value for all sessions, never mixed with how a run is. */
import type { MillraceError } from './errors.ts'
import type { LinkState } from './link/link-state.ts'
import type { TransportName } from './transports/transport.ts'

export interface ConnectionStatus {
  /**
   * `idle`: nothing is being read. `connecting`: for the first time. `live`: events come as they happen.
   * `catching-up`: a stream is being made anew or exchanged, or the reader has more to take than may wait.
   * `reconnecting`: cut, and trying again. `offline`: the same, and the host has no network. `closed`: for good.
   */
  readonly state: 'idle' | LinkState['phase']
  /** What events come over, or would. */
  readonly transport: TransportName
  /** Attempts that failed since anything was delivered. */
  readonly attempt: number
  /** When the next attempt is made, in milliseconds since 1970. */
  readonly retryAt?: number
  /** Why the last attempt failed, or why it is closed. */
  readonly error?: MillraceError
}

export interface ConnectionStore {
  readonly current: ConnectionStatus
  /** Calls the listener at every change, not at once. Returns what ends it. */
  subscribe(listener: (status: ConnectionStatus) => void): () => void
}

/** What is worst comes first: one session that is cut is worth showing. */
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

/** A listener's mistake is reported as one, and breaks no stream. */
export function tellAll<T>(listeners: Iterable<(value: T) => void>, value: T): void {
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
