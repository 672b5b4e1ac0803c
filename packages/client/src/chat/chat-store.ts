/**
 * A session as it is shown: its transcript, kept up to date by one loop however many look, and what was asked
 * but is not in it yet. First the transcript is read, then the events from its position are folded into
 * it; where the log can no longer be read on from there, it is read again.
 */
import { type CallDecision, type Decided, parsePosition, type SessionEvent } from '@millrace/protocol'
import { isFinal, MillraceError } from '../errors.ts'
import type { Session, Transcript } from '../session.ts'
import { type ConnectionStatus, notifyAll } from '../status.ts'
import { backoffMs, defaultTimings } from '../timings.ts'
import type { Chat, ChatOptions, ChatStore, ClientCall } from './chat.ts'
import { checkTranscript, judgeEvent } from './decode.ts'
import { type ChatRun, type ChatTranscript, foldTranscript, interruptTranscript, joinTranscript, lastRun } from './fold.ts'
import { createLiveStore } from './live-store.ts'
import { pause } from './pause.ts'
import { type AskOptions, createQuestions, type PendingRun } from './questions.ts'
import { createMerge } from './queued.ts'
import { type Tree, treeOf } from './tree.ts'

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
  /** Calls that were executed: a run that goes on with one repeats it. */
  const executed = new Set<string>()
  let listeners: Pick<ChatOptions, 'onEnd' | 'onToolCall'> = {}
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
    resume(run, part) {
      const last = lastOf(run)
      const resumed = session.resume(last, part)
      resumedFrom.set(run, last)
      markResuming(new Map(resuming).set(run, undefined))
      // Of two clicks, in whichever tabs, one comes too late: its error shows until the run goes on.
      resumed.catch((cause: MillraceError) => {
        if (resuming.has(run) && lastOf(run) === last) markResuming(new Map(resuming).set(run, cause))
      })
      return resumed
    },
    decide,
    stop(run, options) {
      const stopped = session.stop(lastOf(run), options)
      if (options?.lane === undefined) markStopping(new Set(stopping).add(run))
      // A click that comes too late is no mistake.
      stopped.catch(() => markStopping(new Set([...stopping].filter((one) => one !== run))))
      return stopped
    },
    approve: (run, call) => decide(run, [{ call, decision: 'approve' }]),
    addToolResults: (run, results) => {
      const decisions = results.map((result) => ({ ...result, decision: 'result' as const }))
      return decide(run, decisions)
    },
    clearError(run) {
      if (resuming.get(run) !== undefined) markResuming(new Map([...resuming].filter(([id]) => id !== run)))
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
    use({ transcript: first, storage, onEnd, onToolCall }: ChatOptions) {
      listeners = { ...listeners, ...(onEnd && { onEnd }), ...(onToolCall && { onToolCall }) }
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

  function take(next: ChatTranscript, event: SessionEvent): void {
    const { type } = event
    const isEdge = type === 'stream_start' || type === 'stream_end' || type.startsWith('queue_')
    if (isEdge) put(next)
    else transcript = next
    store.changed(isEdge ? 'now' : 'frame')
    if (event.type === 'stream_end' || event.type === 'tool_call') report(event)
  }

  function report(event: Extract<SessionEvent, { type: 'stream_end' | 'tool_call' }>): void {
    const run = transcript.runs.findLast((one) => lastRun(one) === event.data.run)
    if (run === undefined) return
    if (event.type === 'stream_end') return notifyAll(listeners.onEnd ? [listeners.onEnd] : [], run)
    const { call, name, arguments: given, by } = event.data
    const { onToolCall } = listeners
    const key = `${run.run} ${call}`
    if (by !== 'client' || onToolCall === undefined || !questions.isAsked(run.run) || executed.has(key)) return
    executed.add(key)
    void execute(onToolCall, { call, name, arguments: given, run: run.run })
  }

  /** Never rejects. */
  async function execute(onToolCall: NonNullable<ChatOptions['onToolCall']>, given: ClientCall): Promise<void> {
    const { run, call } = given
    try {
      const value = await onToolCall(given)
      if (value !== undefined) void decide(run, [{ call, decision: 'result', value }])
    } catch (cause) {
      void decide(run, [{ call, decision: 'result', value: String(cause), isError: true }])
    }
  }

  function decide(run: string, decisions: readonly CallDecision[]): Promise<Decided> {
    const decided = session.decide(lastOf(run), decisions)
    // Somebody else was quicker: what counts is in the log.
    decided.catch(() => {})
    return decided
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
