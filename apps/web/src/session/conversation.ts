/**
 * The page's one conversation: introduces stream, reducer, outbox and frame scheduler to each
 * other and shows React a view that changes at most once per frame. It decides nothing about
 * looks, and everything it does to the world goes through its ports.
 */
import type { Answer } from './api.ts'
import type { Commands } from './commands.ts'
import { createFrameScheduler, type FramePorts } from './frame.ts'
import { lastRun } from './join.ts'
import { createOutbox, type Outbox, type PendingRun } from './outbox.ts'
import { comparePositions, reduceSession } from './reduce.ts'
import type { SessionState } from './state.ts'
import { openSessionStream, type SessionStream, type StreamPorts } from './stream.ts'
import { type Continuing, type ConversationView, emptyView, isAnswering, isBusy, withLostLog, withState } from './view.ts'

export interface ConversationPorts extends StreamPorts, Commands {
  readonly frames: FramePorts
  readonly createSession: (id: string) => Promise<Answer>
  readonly newId: () => string
  /** The address of the page follows the session. */
  readonly sessionBegan: (session: string) => void
  /** Questions that were not sent yet survive a reload. */
  readonly savePending: (session: string, pending: readonly PendingRun[]) => void
  readonly readPending: (session: string) => readonly PendingRun[]
}

export interface Conversation {
  readonly subscribe: (listener: () => void) => () => void
  readonly getView: () => ConversationView
  /** Shows this session, or none: an empty page whose first question makes one. */
  readonly open: (session: string | undefined) => void
  readonly ask: (query: string, models: readonly string[]) => void
  /** Goes on with an answer that ended before its time. */
  readonly resume: (run: string) => void
  readonly stop: (run: string) => void
  readonly retryPending: (id: string) => void
  readonly cancelPending: (id: string) => void
  readonly reconnect: () => void
  /** The network is back: what waits is tried at once. The client sees to its own connection. */
  readonly hurry: () => void
  /** Gives up the connection if nothing is expected over it; answers whether it did. */
  readonly rest: () => boolean
}

// Connects the stream, the outbox and the view, each a part with a file of its own.
// oxlint-disable-next-line max-lines-per-function
export function createConversation(ports: ConversationPorts): Conversation {
  const listeners = new Set<() => void>()
  let next = emptyView
  let shown = emptyView
  let stream: SessionStream | undefined
  let outbox: Outbox | undefined
  let isKnownToServer = false

  const frames = createFrameScheduler(() => {
    if (shown === next) return
    shown = next
    for (const listener of listeners) listener()
  }, ports.frames)

  function change(part: Partial<ConversationView>): void {
    next = { ...next, ...part }
    frames.mark()
  }

  function leave(): void {
    stream?.close()
    outbox?.close()
    stream = undefined
    outbox = undefined
    isKnownToServer = false
    next = emptyView
  }

  function begin(session: string): Outbox {
    leave()
    change({ session })
    outbox = createOutbox(session, {
      ensureSession: () => ensureSession(session),
      startRun: ports.startRun,
      setTimer: ports.setTimer,
      random: ports.random,
      changed(pending) {
        if (next.session !== session) return
        ports.savePending(session, pending)
        change({ pending })
      },
    })
    return outbox
  }

  async function ensureSession(session: string): Promise<Answer> {
    if (isKnownToServer) return { kind: 'done', body: undefined }
    const answer = await ports.createSession(session)
    if (answer.kind === 'done' && next.session === session) {
      isKnownToServer = true
      listen(session)
    }
    return answer
  }

  function listen(session: string): void {
    stream?.close()
    stream = openSessionStream(
      session,
      {
        position: () => next.state?.position,
        takeConnection(connection) {
          change({ connection })
          if (connection.state !== 'lost') return
          isKnownToServer = false
          loseLog()
          outbox?.settle(new Set(), false)
        },
        takeSnapshot(state) {
          isKnownToServer = true
          if (next.state !== undefined && comparePositions(next.state.position, state.position) === 'foreign') loseLog()
          takeState(state)
        },
        takeEvent(event) {
          if (next.state === undefined) return false
          const state = reduceSession(next.state, event)
          if (event.type === 'stream_start' || event.type === 'stream_end') takeState(state)
          else change({ state })
          return !state.stale
        },
      },
      ports,
    )
  }

  function loseLog(): void {
    change(withLostLog(next))
    outbox?.lose()
  }

  function takeState(state: SessionState): void {
    change(withState(next, state))
    outbox?.settle(new Set(state.runs.map((run) => run.run)), isAnswering(state))
  }

  async function goOn(run: string): Promise<void> {
    const { session } = next
    if (session === undefined) return
    const last = lastOf(run)
    markContinuing(run, { last })
    // What is added comes through the log like everything else, and takes `run` out of `continuing`.
    const answer = await ports.resumeRun(session, last, ports.newId())
    if (answer.kind === 'done' || next.continuing.get(run)?.last !== last) return
    // When another client was quicker, the error shows only until their run comes through the log.
    markContinuing(run, answer.kind === 'refused' ? { last, error: answer.error } : undefined)
  }

  function markContinuing(run: string, mark: Continuing | undefined): void {
    const continuing = new Map(next.continuing)
    if (mark === undefined) continuing.delete(run)
    else continuing.set(run, mark)
    change({ continuing })
  }

  /** What is shown as one answer may be the work of several runs. */
  function lastOf(id: string): string {
    const run = next.state?.runs.find((one) => one.run === id)
    return run === undefined ? id : lastRun(run)
  }

  async function stop(run: string): Promise<void> {
    const { session } = next
    if (session === undefined) return
    change({ stopping: new Set([...next.stopping, run]) })
    // Its end comes through the log like every other event, and takes `run` out of `stopping`.
    const answer = await ports.stopRun(session, lastOf(run))
    if (answer.kind !== 'done') change({ stopping: new Set([...next.stopping].filter((one) => one !== run)) })
  }

  return {
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    getView: () => shown,
    open(session) {
      if (session === next.session && session !== undefined) return
      leave()
      if (session !== undefined) {
        const box = begin(session)
        // Until the snapshot says what is in progress, nothing that was left over is sent.
        box.settle(new Set(), true)
        for (const entry of ports.readPending(session)) box.add(entry)
        listen(session)
      }
      frames.flushNow()
    },
    ask(query, models) {
      const id = ports.newId()
      let box = outbox
      const { connection } = next
      // An address that led nowhere is not made into a session: its name may be anybody's. Nor can one be used that is damaged.
      if (box === undefined || (connection.state === 'lost' && (connection.why === 'damaged' || next.lost.length === 0))) {
        const session = ports.newId()
        box = begin(session)
        ports.sessionBegan(session)
      }
      change({ asked: new Set([...next.asked, id]) })
      box.add({ id, query, models })
      frames.flushNow()
    },
    resume(run) {
      void goOn(run)
      frames.flushNow()
    },
    stop(run) {
      void stop(run)
      frames.flushNow()
    },
    retryPending: (id) => outbox?.retry(id),
    cancelPending(id) {
      // It may have reached the server although no answer came back.
      const wasSent = next.pending.some((entry) => entry.id === id && entry.status !== 'queued')
      if (wasSent && next.session !== undefined) void ports.stopRun(next.session, id)
      outbox?.cancel(id)
    },
    reconnect() {
      stream?.reconnect()
      outbox?.hurry()
    },
    hurry() {
      stream?.hurry()
      outbox?.hurry()
    },
    rest() {
      if (isBusy(next)) return false
      if (next.connection.state !== 'lost') stream?.rest()
      return true
    },
  }
}
