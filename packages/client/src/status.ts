/** The state of the connection as an application sees it: one value for all sessions, separate from the status of runs. */
import type { MillraceError } from './errors.ts'
import type { LinkState } from './link/link-state.ts'
import type { TransportName } from './transports/transport.ts'

/** What is measured while the client is used. */
export interface Gauges {
  /** The last time between a question to the server and its answer, in milliseconds. Absent until one was measured. */
  roundTripMs?: number
  /** Events that were missing: the sum of all gaps. */
  lost: number
  /** Events that came twice and were handed out once. */
  repeated: number
  /** Streams that went on where an earlier one had ended. */
  resumed: number
}

/** What holds in every state. The gauges are as of the last change. */
interface ConnectionFacts extends Readonly<Gauges> {
  /** Carries the events, or would. */
  readonly transport: TransportName
  /** This tab's connections are those of all; always true where tabs share nothing. */
  readonly isLeading: boolean
  /** Failed attempts since the last event was delivered. */
  readonly attempt: number
  /** Why the last attempt failed, or why it is closed. */
  readonly error?: MillraceError
}

export type ConnectionStatus = ConnectionFacts &
  (
    | {
        /**
         * `idle`: nothing is being read. `connecting`: for the first time. `live`: events come as they happen.
         * `catching-up`: a stream is being re-opened or replaced, or the reader's queue is full. `closed`: permanently.
         */
        readonly state: 'idle' | 'connecting' | 'live' | 'catching-up' | 'closed'
        readonly retryAt?: undefined
      }
    | {
        /** `reconnecting`: cut, and trying again. `offline`: the same, and the host has no network. */
        readonly state: 'reconnecting' | 'offline'
        /** When the next attempt is made, in milliseconds since 1970; absent while one is under way. */
        readonly retryAt?: number
      }
  )

export interface ConnectionStore {
  /** Before anything is read: what a server renders, and the page that goes on with it. */
  readonly initial: ConnectionStatus
  readonly current: ConnectionStatus
  /** Calls the listener at every change, but not with the current value. Returns the function that unsubscribes. */
  readonly subscribe: (listener: (status: ConnectionStatus) => void) => () => void
}

const initial: ConnectionStatus = {
  state: 'idle',
  transport: 'sse',
  attempt: 0,
  isLeading: true,
  lost: 0,
  repeated: 0,
  resumed: 0,
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
      initial,
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
      const isSame = (['state', 'transport', 'attempt', 'error', 'isLeading', 'lost'] as const).every(
        (key) => next[key] === current[key],
      )
      // Computed from two clocks, `retryAt` varies by a millisecond; a new wait comes with a new attempt or error.
      if (isSame && 'retryAt' in next === 'retryAt' in current) return
      current = next
      notifyAll(listeners, current)
    },
  }
}

/** The worst first: of many sessions, the one that is cut is shown. */
const order: readonly ConnectionStatus['state'][] = ['offline', 'reconnecting', 'connecting', 'catching-up', 'live']

type Summary = Pick<ConnectionStatus, 'state' | 'transport' | 'attempt' | 'error'> & { readonly retryAt?: number }

export function summarize(links: readonly LinkState[], transport: TransportName, now: number): Summary {
  const worst = order.map((phase) => links.find((link) => link.phase === phase)).find((link) => link !== undefined)
  const shown = worst ?? links.at(-1)
  if (shown === undefined) return { state: 'idle', transport, attempt: 0 }
  const { phase, stream, target, attempt, retryAt, error } = shown
  const isWaiting = retryAt !== undefined && (phase === 'reconnecting' || phase === 'offline')
  return {
    state: phase,
    transport: stream?.transport ?? target,
    attempt,
    ...(isWaiting && { retryAt: Math.round(retryAt - now) + Date.now() }),
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
