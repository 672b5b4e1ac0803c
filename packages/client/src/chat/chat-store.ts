/**
 * A session as it is shown: its transcript, kept up to date by one loop however many look, and what was asked
 * but does not stand in it yet. First the transcript is read, then the events from its position are folded into
 * it; where the log can no longer be read on from there, it is read again.
 */
import { type Message, queryOf } from '@millrace/protocol'
import { isFinal, MillraceError } from '../errors.ts'
import { listenToHost } from '../host.ts'
import type { ResumeOptions, Run, RunOptions, Session, Transcript } from '../session.ts'
import { backoffMs, defaultTimings } from '../timings.ts'
import { type ChatRun, type ChatTranscript, foldTranscript, interruptTranscript, joinTranscript, lastRun } from './fold.ts'
import { createLiveStore, type Store } from './live-store.ts'

/** Asked, and not in `runs` yet. */
export interface PendingRun {
  /** Becomes `run` of the run. */
  readonly id: string
  readonly query: string
  /** Why it was refused; it stays until it is dismissed. While undefined it waits, for the connection or for its start. */
  readonly error: MillraceError | undefined
}

export interface Chat {
  /**
   * In the order they began; what continues a run is a part of it. A run that did not change is the same object as before.
   */
  readonly runs: readonly ChatRun[]
  /** In the order they were asked. Each is gone with the change that brings its run. */
  readonly pending: readonly PendingRun[]
  /** False where retention has cut the beginning of the log. */
  readonly complete: boolean
  /**
   * `loading`: the transcript is being read, for the first time or because the log was cut or re-created.
   * `live`: `runs` follow the log; how the connection is, `client.connection` says. `closed`: it does not go on, by
   * `error`, or because somebody called `leave` of the session or `close` of the client.
   */
  readonly status: 'loading' | 'live' | 'closed'
  /**
   * Why it is closed, or why the last attempt to load failed; that is repeated by itself. A MillraceError, or a
   * TypeError where a loop of your own reads the same session.
   */
  readonly error: Error | undefined
  /**
   * Asks a question, or with new messages, in order after what was asked before; see `Session.run`. At most 100 wait. What it
   * gives need not be awaited: an error shows in `pending`.
   */
  ask(question: string | readonly Message[], options?: Omit<RunOptions, 'query' | 'messages' | keyof ResumeOptions>): Run
  /**
   * Goes on with a run that was stopped, has failed or was interrupted: it is `streaming` again, and what is added stands
   * behind what it had said. Need not be awaited; rejects with `run_not_continuable`.
   */
  resume(run: string): Run
  /** Stops a run for everybody, by its id. Need not be awaited; rejects with `run_not_found`. */
  stop(run: string): ReturnType<Session['stop']>
  /** Forgets a pending run that was refused. */
  dismiss(id: string): void
  /** Reads the transcript again and goes on from there, also when it was closed. */
  reload(): void
}

export interface ChatStore extends Store<Chat> {
  /** What a server renders that has read this transcript, and the page at first. Changes nothing: requests share a session. */
  preview(transcript: Transcript): Chat
  /** What a server has read already; ignored once anything was read here. */
  begin(transcript: Transcript): void
}

/** Built once for all components that look for a run of their own. */
const indexes = new WeakMap<Chat['runs'], ReadonlyMap<string, ChatRun>>()

/** The run with this id, which is the same object until it changes; undefined until it is in the transcript. */
export function findRun({ runs }: Pick<Chat, 'runs'>, id: string): ChatRun | undefined {
  const index = indexes.get(runs) ?? new Map(runs.map((run) => [run.run, run]))
  indexes.set(runs, index)
  return index.get(id)
}

const stores = new WeakMap<Session, ChatStore>()

/** The store of a session: the same one for everybody. Nothing is read until somebody subscribes. */
export function chatOf(session: Session): ChatStore {
  const known = stores.get(session)
  if (known !== undefined) return known
  const store = createChatStore(session)
  stores.set(session, store)
  return store
}

// The commands and the read loop share every variable; the fold of events is in fold.ts.
// oxlint-disable-next-line max-lines-per-function
function createChatStore(session: Session): ChatStore {
  let transcript: ChatTranscript = { id: session.id, position: 'start', complete: true, runs: [] }
  let isStale = true
  let pending: readonly PendingRun[] = []
  let status: Chat['status'] = 'loading'
  let error: Error | undefined
  /** Pending runs whose start is recorded. */
  const started = new WeakSet<PendingRun>()

  const commands: Pick<Chat, 'ask' | 'resume' | 'stop' | 'dismiss' | 'reload'> = {
    ask(question, options) {
      const isQuery = typeof question === 'string'
      const run = session.run({ ...options, ...(isQuery ? { query: question } : { messages: question }) })
      const query = isQuery ? question : queryOf(question)
      const asked: PendingRun = { id: run.id, query, error: undefined }
      pending = [...pending, asked]
      run.then(
        () => started.add(asked),
        (refusal: MillraceError) => {
          pending = pending.map((one) => (one === asked ? { ...asked, error: refusal } : one))
          store.changed('now')
        },
      )
      store.changed('now')
      return run
    },
    resume(run) {
      const continued = session.resume(lastOf(run))
      // Of two clicks, in whichever tabs, one comes too late.
      continued.catch(() => {})
      return continued
    },
    stop(run) {
      const stopped = session.stop(lastOf(run))
      // A click that comes too late is no mistake.
      stopped.catch(() => {})
      return stopped
    },
    dismiss(id) {
      pending = pending.filter((one) => one.id !== id || one.error === undefined)
      store.changed('now')
    },
    reload() {
      isStale = true
      store.restart()
    },
  }
  const store = createLiveStore<Chat>(
    () => ({ runs: transcript.runs, pending, complete: transcript.complete, status, error, ...commands }),
    follow,
  )
  return Object.assign(store, {
    preview(first: Transcript): Chat {
      const { runs, complete } = joinTranscript(first)
      return { ...store.initial, runs, complete }
    },
    begin(first: Transcript) {
      if (transcript.position !== 'start') return
      isStale = false
      put(joinTranscript(first))
      store.changed('now')
    },
  })

  /** Never rejects. */
  async function follow(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        if (isStale) await read(signal)
        tell('live')
        for await (const event of session.events({ from: transcript.position, signal })) {
          // Another loop may have begun where this one was when it ended.
          if (signal.aborted) return
          // What is missing would be a hole in the text; the transcript says what there still is.
          if (event.type === 'gap') throw new MillraceError('position_expired')
          attempt = 0
          put(foldTranscript(transcript, event, Date.now()))
          store.changed(event.type === 'stream_start' || event.type === 'stream_end' ? 'now' : 'frame')
        }
        return signal.aborted ? undefined : tell('closed')
      } catch (cause) {
        if (signal.aborted) return
        isStale = true
        const { code, retryAfterMs } = cause as MillraceError
        if (code === 'session_not_found') put(interruptTranscript(transcript))
        // Of no more use, but the transcript names a position that is.
        const isPosition = ['position_foreign', 'position_expired', 'position_ahead'].includes(code)
        if (!isPosition && (!(cause instanceof MillraceError) || isFinal(cause))) return tell('closed', cause as Error)
        tell('loading', cause as Error)
        await pause(backoffMs(attempt, Math.random(), defaultTimings, { retryAfterMs }), signal)
      }
    }
  }

  async function read(signal: AbortSignal): Promise<void> {
    tell('loading', error)
    const before = pending.filter((one) => started.has(one))
    const next = await session.read({ signal })
    signal.throwIfAborted()
    isStale = false
    // What had been started and is not there was in a log that is lost: it will not come.
    pending = pending.filter((one) => !before.includes(one))
    put(joinTranscript(next))
  }

  function lastOf(id: string): string {
    const run = transcript.runs.find(({ run }) => run === id)
    return run === undefined ? id : lastRun(run)
  }

  function put(next: ChatTranscript): void {
    transcript = next
    if (pending.length > 0) pending = pending.filter(({ id }) => !next.runs.some(({ run }) => run === id))
  }

  function tell(next: Chat['status'], cause?: Error): void {
    if (next === status && cause === error && next === 'loading') return
    status = next
    error = cause
    store.changed('now')
  }
}

/** Until the time is over, the host says that something has changed, or nobody looks any more. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    const stopListening = listenToHost((news) => news !== 'offline' && done())
    signal.addEventListener('abort', done)

    function done(): void {
      clearTimeout(timer)
      stopListening()
      signal.removeEventListener('abort', done)
      resolve()
    }
  })
}
