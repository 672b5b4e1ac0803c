/**
 * A session as it is shown: its transcript, kept up to date by one loop however many look, and what was asked
 * but is not in it yet. First the transcript is read, then the events from its position are folded into
 * it; where the log can no longer be read on from there, it is read again.
 */
import { type CallDecision, type Decided, type Message, parsePosition } from '@millrace/protocol'
import { isFinal, MillraceError } from '../errors.ts'
import type { StopOptions } from '../run.ts'
import type { QueueOptions, Run, Session, Transcript } from '../session.ts'
import type { ConnectionStatus } from '../status.ts'
import { backoffMs, defaultTimings } from '../timings.ts'
import { checkTranscript, judgeEvent } from './decode.ts'
import { type ChatRun, type ChatTranscript, foldTranscript, interruptTranscript, joinTranscript, lastRun } from './fold.ts'
import { createLiveStore, type Store } from './live-store.ts'
import { pause } from './pause.ts'
import { type AskOptions, type ChatStorage, createQuestions, type PendingRun } from './questions.ts'
import { createMerge } from './queued.ts'
import { type Tree, treeOf } from './tree.ts'

export interface Chat {
  /**
   * The path that is shown, from the first question to the newest, unless another was chosen. What continues a run is a part
   * of it. A run that did not change is the same object as before.
   */
  readonly runs: readonly ChatRun[]
  /**
   * Of each run that is not alone at its place in the tree, the runs there in the order in which they began, itself included.
   * Its number is its place in the list, as in `2 / 3`.
   */
  readonly siblings: ReadonlyMap<string, readonly string[]>
  /** Runs that were shown before the session was lost or deleted. They cannot be stopped or resumed. */
  readonly lost: readonly ChatRun[]
  /**
   * In the order they were asked, first those that wait on the server, also those of others. Each is gone with the change
   * that brings its run.
   */
  readonly pending: readonly PendingRun[]
  /** Runs that are being stopped from here, and have not ended yet. */
  readonly stopping: ReadonlySet<string>
  /** Runs that were resumed from here and do not go on yet; with the error where they will not. */
  readonly resuming: ReadonlyMap<string, MillraceError | undefined>
  /** False where retention has cut the beginning of the log. */
  readonly complete: boolean
  /**
   * `loading`: the transcript is being read, for the first time or because the log was cut or re-created.
   * `live`: `runs` follow the log; how the connection is, `connection` says. `closed`: it does not go on, by
   * `error`, or because somebody called `leave` of the session or `close` of the client.
   */
  readonly status: 'loading' | 'live' | 'closed'
  /**
   * Why it is closed, or why the last attempt to load failed; that is repeated by itself. A MillraceError, or a
   * TypeError where a loop of your own reads the same session.
   */
  readonly error: Error | undefined
  /** That of the client, and `reconnecting` while the transcript waits to be read again. */
  readonly connection: ConnectionStatus
  /**
   * Asks a question, or with new messages, in order after what was asked before; see `Session.run`. At most 100 wait. What it
   * gives need not be awaited: an error shows in `pending`. Where the session was lost, it is created again.
   */
  ask(question: string | readonly Message[], options?: AskOptions): Run
  /** Asks the question of a run again, beside it, by the same models or others. It is shown when it begins. */
  regenerate(run: string, options?: AskOptions): Run
  /** Asks another question in place of a run's, beside it. */
  edit(run: string, question: string | readonly Message[], options?: AskOptions): Run
  /** Goes on from an earlier run, or from one of its lanes with `parentLane`. */
  branch(run: string, question: string | readonly Message[], options?: AskOptions): Run
  /** Shows the path through a run, to the newest below it, until something is asked here. */
  choose(run: string): void
  /** Asks when nothing is being answered any more. Returns the id of the run. */
  queue(question: string | readonly Message[], options?: AskOptions): string
  /** Stops what is being answered, and asks next. Returns the id of the run. */
  steer(question: string | readonly Message[], options?: AskOptions): string
  /** Changes a question that waits on the server: what it asks, or with `steer` that it is asked now. */
  changeQueued(id: string, change: Omit<QueueOptions, 'id'>): ReturnType<Session['queue']['edit']>
  /** Asks a rejected question again. */
  retry(id: string): void
  /** Takes a pending question back. If it had been sent, its run is stopped. */
  withdraw(id: string): void
  /**
   * Goes on with a run that was stopped, has failed or was interrupted: it is `streaming` again, and what is added stands
   * behind what it had said. Need not be awaited; rejects with `run_not_continuable`.
   */
  resume(run: string): Run
  /** Decides about calls of a run that is `waiting`; see `Session.decide`. Need not be awaited. */
  decide(run: string, decisions: readonly CallDecision[]): Promise<Decided>
  /** Stops a run, or one of its lanes, for everybody, by its id. Need not be awaited; rejects with `run_not_found`. */
  stop(run: string, options?: Pick<StopOptions, 'lane'>): ReturnType<Session['stop']>
  /** Reads the transcript again and goes on from there, at once, also when it was closed. */
  reload(): void
}

export interface ChatOptions {
  /** What `session.read()` gave on a server: the store begins with it, if it has read nothing yet. */
  readonly transcript?: Transcript | undefined
  /** Where pending questions are kept over a reload of the page, such as `sessionStorage`. Default nowhere. */
  readonly storage?: ChatStorage | undefined
}

export interface ChatStore extends Store<Chat> {
  /** What a server renders that has read this transcript, and the page at first. Changes nothing: requests share a session. */
  preview(transcript: Transcript): Chat
}

/** Built once for all components that look for a run of their own. */
const indexes = new WeakMap<Chat['runs'], ReadonlyMap<string, ChatRun>>()

/** The run with this id, which is the same object until it changes; undefined until it is in the transcript. */
export function findRun({ runs }: Pick<Chat, 'runs'>, id: string): ChatRun | undefined {
  const index = indexes.get(runs) ?? new Map(runs.map((run) => [run.run, run]))
  indexes.set(runs, index)
  return index.get(id)
}

interface OwnStore extends ChatStore {
  use(options: ChatOptions): void
}

const stores = new WeakMap<Session, OwnStore>()

/** The store of a session: the same one for everybody. Nothing is read until somebody subscribes. */
export function chatOf(session: Session, options: ChatOptions = {}): ChatStore {
  const store = stores.get(session) ?? createChatStore(session)
  stores.set(session, store)
  store.use(options)
  return store
}

// The commands and the read loop share every variable; the fold is in fold.ts, and questions are in questions.ts.
// oxlint-disable-next-line max-lines-per-function
function createChatStore(session: Session): OwnStore {
  let transcript: ChatTranscript = { id: session.id, position: 'start', complete: true, runs: [] }
  /** Of the transcript; its shape changes only where a run begins. */
  let tree: Tree | undefined
  let chosen: string | undefined
  let lost: readonly ChatRun[] = []
  let isStale = true
  let hasBegun = false
  let status: Chat['status'] = 'loading'
  let error: Error | undefined
  /** While it waits to load again. */
  let wait: Partial<ConnectionStatus> | undefined
  let stopping: ReadonlySet<string> = new Set()
  let resuming: ReadonlyMap<string, MillraceError | undefined> = new Map()
  /** The last run of each answer when it was resumed. */
  const resumedFrom = new Map<string, string>()
  const withQueue = createMerge()
  const questions = createQuestions(session, () => store.changed('now'))

  const commands = {
    ask(question, options = {}) {
      recreate()
      return questions.ask(question, { ...here(), ...options })
    },
    regenerate(run, options = {}) {
      const { query = '', messages } = findRun(transcript, run) ?? {}
      return questions.ask(messages ?? query, { ...options, ...placeOf(run), regenerates: run })
    },
    edit: (run, question, options = {}) =>
      questions.ask(question, { ...options, ...placeOf(run), regenerates: run, isEdited: true }),
    branch: (run, question, options = {}) => questions.ask(question, { ...options, parent: run }),
    choose(run) {
      show(run)
      store.changed('now')
    },
    queue(question, options = {}) {
      recreate()
      return questions.queue(question, { ...here(), ...options })
    },
    retry(id) {
      recreate()
      questions.retry(id)
    },
    steer(question, options = {}) {
      recreate()
      return questions.queue(question, { ...here(), ...options, steer: true })
    },
    changeQueued(id, change) {
      const changed = session.queue.edit(id, change)
      // It may have been started meanwhile.
      changed.catch(() => {})
      return changed
    },
    withdraw(id) {
      if (transcript.queue?.some(({ entry }) => entry === id)) session.queue.remove(id).catch(() => {})
      else questions.withdraw(id)
    },
    resume(run) {
      const last = lastOf(run)
      const resumed = session.resume(last)
      resumedFrom.set(run, last)
      markResuming(new Map(resuming).set(run, undefined))
      // Of two clicks, in whichever tabs, one comes too late: its error shows until the run goes on.
      resumed.catch((cause: MillraceError) => {
        if (resuming.has(run) && lastOf(run) === last) markResuming(new Map(resuming).set(run, cause))
      })
      return resumed
    },
    decide(run, decisions) {
      const decided = session.decide(lastOf(run), decisions)
      // Somebody else was quicker: what counts is in the log.
      decided.catch(() => {})
      return decided
    },
    stop(run, options) {
      const stopped = session.stop(lastOf(run), options)
      if (options?.lane === undefined) markStopping(new Set(stopping).add(run))
      // A click that comes too late is no mistake.
      stopped.catch(() => markStopping(new Set([...stopping].filter((one) => one !== run))))
      return stopped
    },
    reload() {
      isStale = true
      store.restart()
    },
  } satisfies Partial<Chat>
  const store = createLiveStore<Chat>(view, follow)
  return Object.assign(store, {
    preview(first: Transcript): Chat {
      const { runs, complete } = joinTranscript(first)
      const { path, siblings } = treeOf(runs)
      return { ...store.initial, runs: path.map((place) => runs[place] as ChatRun), siblings, complete }
    },
    use({ transcript: first, storage }: ChatOptions) {
      if (first !== undefined && transcript.position === 'start') {
        isStale = false
        put(joinTranscript(first))
        store.changed('now')
      }
      if (storage !== undefined) questions.keepIn(storage)
    },
  })

  function view(): Chat {
    const { complete } = transcript
    const pending = withQueue(transcript.queue, questions.pending)
    tree ??= treeOf(transcript.runs, chosen)
    const { siblings, path } = tree
    const isAll = path.length === transcript.runs.length
    const runs = isAll ? transcript.runs : path.map((place) => transcript.runs[place] as ChatRun)
    return { runs, siblings, lost, pending, stopping, resuming, complete, status, error, connection: connection(), ...commands }
  }

  function connection(): ConnectionStatus {
    const { initial, current } = session.connection
    if (!hasBegun) return initial
    if (wait !== undefined) return { ...current, ...wait } as ConnectionStatus
    return status === 'loading' && current.state === 'idle' ? { ...current, state: 'connecting' } : current
  }

  /** Never rejects. */
  async function follow(signal: AbortSignal): Promise<void> {
    hasBegun = true
    const unsubscribe = session.connection.subscribe(() => store.changed('now'))
    signal.addEventListener('abort', unsubscribe)
    let isUnmade = false
    for (let attempt = 0; ; attempt++) {
      try {
        if (isUnmade) await session.create({ signal })
        if (isStale) await read(signal)
        tell('live')
        for await (const event of session.events({ from: transcript.position, signal })) {
          // Another loop may have begun where this one was when it ended.
          if (signal.aborted) return
          // What is missing would be a hole in the text; the transcript says what there still is.
          if (event.type === 'gap') throw new MillraceError('position_expired')
          const verdict = judgeEvent(event)
          if (verdict === 'bad') throw new MillraceError('bad_answer')
          attempt = 0
          take(
            verdict === 'unknown' ? { ...transcript, position: event.id } : foldTranscript(transcript, event, Date.now()),
            event,
          )
        }
        return signal.aborted ? undefined : tell('closed')
      } catch (cause) {
        if (signal.aborted) return
        isStale = true
        const { code, retryAfterMs } = cause as MillraceError
        // The page was reloaded after the first question and before its session was made.
        isUnmade = code === 'session_not_found' && transcript.position === 'start' && questions.pending.some(isQueued)
        if (isUnmade) continue
        if (code === 'session_not_found') {
          put(interruptTranscript(transcript))
          questions.lose(questions.started())
        }
        // Of no more use, but the transcript names a position that is.
        const isPosition = ['position_foreign', 'position_expired', 'position_ahead'].includes(code)
        if (!isPosition && (!(cause instanceof MillraceError) || isFinal(cause))) return tell('closed', cause as Error)
        const delayMs = backoffMs(attempt, Math.random(), defaultTimings, { retryAfterMs })
        wait = { state: 'reconnecting', retryAt: Date.now() + delayMs, attempt: attempt + 1, error: cause as MillraceError }
        tell('loading', cause as Error)
        await pause(delayMs, signal)
      }
    }
  }

  async function read(signal: AbortSignal): Promise<void> {
    wait = undefined
    tell('loading', error)
    const started = questions.started()
    const next = joinTranscript(checkTranscript(await session.read({ signal })))
    signal.throwIfAborted()
    isStale = false
    const epoch = epochOf(transcript)
    if (epoch !== undefined && epoch !== epochOf(next)) lost = [...lost, ...interruptTranscript(transcript).runs]
    put(next)
    questions.lose(started)
  }

  function take(next: ChatTranscript, { type }: { readonly type: string }): void {
    const isEdge = type === 'stream_start' || type === 'stream_end' || type.startsWith('queue_')
    if (isEdge) put(next)
    else transcript = next
    store.changed(isEdge ? 'now' : 'frame')
  }

  /** Only what was shown here: a session that was never seen may be the name of another user's. */
  function recreate(): void {
    if (status !== 'closed' || (error as MillraceError | undefined)?.code !== 'session_not_found') return
    if (transcript.runs.length + lost.length === 0) return
    // The question that follows waits for the same request, and says why it fails.
    session.create().then(commands.reload, () => {})
  }

  function lastOf(id: string): string {
    const run = findRun(transcript, id)
    return run === undefined ? id : lastRun(run)
  }

  /** Where a path was chosen, the question belongs to its end. */
  function here(): AskOptions {
    const parent = chosen === undefined ? undefined : store.current.runs.at(-1)?.run
    return parent === undefined ? {} : { parent }
  }

  function placeOf(run: string): AskOptions {
    const { parent, parentLane } = findRun(transcript, run) ?? {}
    return { parent, parentLane }
  }

  function show(run: string | undefined): void {
    chosen = run
    tree = undefined
  }

  function put(next: ChatTranscript): void {
    transcript = next
    tree = undefined
    // What was asked here is the newest, and is shown.
    if (questions.pending.some(({ id }) => findRun(next, id) !== undefined)) show(undefined)
    if (stopping.size > 0) stopping = new Set([...stopping].filter((id) => findRun(next, id)?.status === 'streaming'))
    if (resuming.size > 0) resuming = new Map([...resuming].filter(([id]) => lastOf(id) === resumedFrom.get(id)))
    questions.settle(
      new Set([...next.runs.map(({ run }) => run), ...(next.queue ?? []).map(({ entry }) => entry)]),
      next.runs.some(isStreaming),
    )
  }

  function markStopping(next: typeof stopping): void {
    stopping = next
    store.changed('now')
  }

  function markResuming(next: typeof resuming): void {
    resuming = next
    store.changed('now')
  }

  function tell(next: Chat['status'], cause?: Error): void {
    if (next !== 'loading') wait = undefined
    else if (next === status && cause === error) return
    status = next
    error = cause
    store.changed('now')
  }
}

function epochOf({ position }: ChatTranscript): string | undefined {
  return parsePosition(position)?.epoch
}

function isQueued({ status }: PendingRun): boolean {
  return status === 'queued'
}

function isStreaming({ status }: ChatRun): boolean {
  return status === 'streaming'
}
