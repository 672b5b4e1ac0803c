/**
 * Keeps one session read: snapshot first, then a native EventSource from the snapshot's position.
 *
 * A native EventSource comes back by itself after a cut connection and sends `Last-Event-ID`. It
 * gives up for good on any answer that is not 200, for example the 502 of a proxy during a deploy.
 * Then this wrapper waits, reads the snapshot (whose status tells whether the session still
 * exists) and goes on from its position. Everything it touches is handed in, so tests need no network.
 */
import { backoffMs } from './backoff.ts'
import type { SessionState } from './state.ts'
import { eventTypes, readEvent, type WireEvent } from './wire.ts'

/** State of the wire; never mixed up with the state of a run. */
export type Connection =
  | { readonly state: 'idle' | 'catching-up' | 'live' | 'lost' }
  /** `retryAt` is missing while the browser decides by itself when to try again. */
  | { readonly state: 'reconnecting'; readonly retryAt?: number }

export type SnapshotAnswer =
  | { readonly kind: 'snapshot'; readonly state: SessionState }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreachable' }

export interface StreamPorts {
  readonly openEventSource: (session: string, position: string) => EventSource
  readonly readSnapshot: (session: string, signal: AbortSignal) => Promise<SnapshotAnswer>
  readonly setTimer: (run: () => void, delayMs: number) => () => void
  readonly now: () => number
  readonly random: () => number
}

export interface StreamOwner {
  /** The position up to which everything has been handled; undefined before the first snapshot. */
  readonly position: () => string | undefined
  readonly takeSnapshot: (state: SessionState) => void
  /** Answers false when the events no longer add up and a snapshot is needed. */
  readonly takeEvent: (event: WireEvent) => boolean
  readonly takeConnection: (connection: Connection) => void
  /** True while events are expected, because a run is in progress. */
  readonly isBusy: () => boolean
}

export interface SessionStream {
  /** Connects anew at once from the position reached, for example when the network is back. */
  readonly reconnect: () => void
  /** Gives the connection up until `reconnect`. */
  readonly rest: () => void
  readonly close: () => void
}

/**
 * The server's heartbeats are comments, which a native EventSource does not show. A link that died
 * without a word is therefore found by silence in mid-answer, and connecting anew costs little.
 */
const silenceMaxMs = 30_000

const closed = 2

export function openSessionStream(session: string, owner: StreamOwner, ports: StreamPorts): SessionStream {
  const abort = new AbortController()
  let source: EventSource | undefined
  let cancelTimer = () => {}
  let cancelWatch = () => {}
  let attempt = 0

  async function load(): Promise<void> {
    owner.takeConnection({ state: 'catching-up' })
    const answer = await ports.readSnapshot(session, abort.signal)
    if (abort.signal.aborted) return
    if (answer.kind === 'unreachable') return waitAndLoad()
    if (answer.kind === 'missing') return owner.takeConnection({ state: 'lost' })
    owner.takeSnapshot(answer.state)
    listen(answer.state.position)
  }

  function listen(position: string): void {
    const opened = ports.openEventSource(session, position)
    source = opened
    opened.onopen = () => {
      attempt = 0
      owner.takeConnection({ state: 'live' })
      watchSilence()
    }
    opened.onerror = () => {
      if (opened !== source) return
      if (opened.readyState === closed) waitAndLoad()
      else owner.takeConnection({ state: 'reconnecting' })
    }
    for (const type of eventTypes) {
      opened.addEventListener(type, (message) => {
        // A source that was replaced may still hold events that were dispatched before its end.
        if (opened !== source) return
        watchSilence()
        const event = readEvent(type, message.data, message.lastEventId)
        if (event === undefined || !owner.takeEvent(event)) waitAndLoad()
      })
    }
  }

  function waitAndLoad(): void {
    drop()
    const delayMs = backoffMs(attempt++, ports.random)
    owner.takeConnection({ state: 'reconnecting', retryAt: ports.now() + delayMs })
    cancelTimer = ports.setTimer(() => void load(), delayMs)
  }

  function watchSilence(): void {
    cancelWatch()
    cancelWatch = ports.setTimer(() => (owner.isBusy() ? reconnect() : watchSilence()), silenceMaxMs)
  }

  function reconnect(): void {
    if (abort.signal.aborted) return
    const position = owner.position()
    const hadFailed = source === undefined
    drop()
    // After a failure only the snapshot tells whether the position is still good.
    if (position === undefined || hadFailed) return void load()
    owner.takeConnection({ state: 'catching-up' })
    listen(position)
  }

  function drop(): void {
    cancelTimer()
    cancelWatch()
    source?.close()
    source = undefined
  }

  void load()
  return {
    reconnect,
    rest() {
      drop()
      if (!abort.signal.aborted) owner.takeConnection({ state: 'idle' })
    },
    close() {
      abort.abort()
      drop()
    },
  }
}
