/**
 * Keeps one session read: snapshot first, then the client's events from the snapshot's position. The client
 * resumes by itself, over whichever transport. Where it cannot go on exactly, or the events no longer add up,
 * the snapshot is read again; its status tells whether the session still exists.
 */
import type { Client, ConnectionStatus, TransportName } from '@millrace/client'
import { backoffMs } from './backoff.ts'
import { type DecodedEvent, isEventType, readEvent } from './decode.ts'
import type { SessionState } from './state.ts'

/** State of the connection, separate from the status of a run. */
export type SessionConnection =
  | { readonly state: 'idle' | 'catching-up' }
  | { readonly state: 'lost'; readonly why: 'missing' | 'damaged' }
  | { readonly state: 'live'; readonly transport: TransportName }
  /** `retryAt` is missing while an attempt is under way. */
  | { readonly state: 'reconnecting'; readonly retryAt?: number }

export type SnapshotAnswer =
  | { readonly kind: 'snapshot'; readonly state: SessionState }
  | { readonly kind: 'missing' | 'damaged' | 'unreachable' }

export interface StreamPorts {
  readonly client: Pick<Client, 'session' | 'connection'>
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
  readonly takeEvent: (event: DecodedEvent) => boolean
  readonly takeConnection: (connection: SessionConnection) => void
}

export interface SessionStream {
  /** Tries again at once, where it is not live. */
  readonly reconnect: () => void
  /** Ends a wait for the next attempt. A connection that is being read is the client's to mend. */
  readonly hurry: () => void
  /** Gives the connection up until `reconnect`. */
  readonly rest: () => void
  readonly close: () => void
}

export function openSessionStream(session: string, owner: StreamOwner, ports: StreamPorts): SessionStream {
  const { client } = ports
  /** What is under way: one load, one wait or one loop of events. Beginning another ends it. */
  let current: { readonly step: 'loading' | 'waiting' | 'reading'; readonly abort: AbortController } | undefined
  let isClosed = false
  let attempt = 0
  const unsubscribe = client.connection.subscribe(show)

  function begin(step: 'loading' | 'waiting' | 'reading'): AbortSignal {
    drop()
    const abort = new AbortController()
    current = { step, abort }
    return abort.signal
  }

  async function load(): Promise<void> {
    const signal = begin('loading')
    owner.takeConnection({ state: 'catching-up' })
    const answer = await ports.readSnapshot(session, signal)
    if (signal.aborted) return
    if (answer.kind === 'unreachable') return waitAndLoad()
    if (answer.kind === 'snapshot') {
      owner.takeSnapshot(answer.state)
      return listen(answer.state.position)
    }
    drop()
    owner.takeConnection({ state: 'lost', why: answer.kind })
  }

  function listen(position: string): void {
    void read(position, begin('reading'))
    show(client.connection.current)
  }

  /** Never rejects. */
  async function read(from: string, signal: AbortSignal): Promise<void> {
    try {
      for await (const { type, data, id } of client.session(session).events({ from, signal })) {
        // A loop that was replaced may still hold events.
        if (signal.aborted) return
        if (!isEventType(type)) continue
        const event = readEvent(type, data, id)
        if (event === undefined || !owner.takeEvent(event)) return waitAndLoad()
        attempt = 0
      }
    } catch {
      // It cannot go on from here: only the snapshot tells from where, or that the session is gone. After a pause,
      // for whatever refused the events may refuse them again right after a snapshot that was given.
      if (!signal.aborted) waitAndLoad()
    }
  }

  function show(status: ConnectionStatus): void {
    if (current?.step !== 'reading') return
    const { state, transport, retryAt } = status
    if (state === 'live') owner.takeConnection({ state, transport })
    else if (state === 'connecting' || state === 'catching-up') owner.takeConnection({ state: 'catching-up' })
    else if (state === 'reconnecting' || state === 'offline')
      owner.takeConnection({ state: 'reconnecting', ...(retryAt !== undefined && { retryAt }) })
  }

  function waitAndLoad(): void {
    const signal = begin('waiting')
    const delayMs = backoffMs(attempt++, ports.random)
    owner.takeConnection({ state: 'reconnecting', retryAt: ports.now() + delayMs })
    const cancel = ports.setTimer(() => void load(), delayMs)
    signal.addEventListener('abort', cancel)
  }

  function drop(): void {
    const ended = current
    current = undefined
    ended?.abort.abort()
  }

  void load()
  return {
    reconnect() {
      if (isClosed) return
      const position = owner.position()
      if (current?.step !== 'reading' || position === undefined) return void load()
      if (client.connection.current.state !== 'live') listen(position)
    },
    hurry() {
      if (current?.step === 'waiting') void load()
    },
    rest() {
      drop()
      if (!isClosed) owner.takeConnection({ state: 'idle' })
    },
    close() {
      isClosed = true
      unsubscribe()
      drop()
    },
  }
}
