/**
 * A session as it is shown: its transcript, kept up to date by one loop however many look, and what was asked
 * but is not in it yet. The parts of it are in the files beside this one.
 */
import type { MillraceError } from '../errors.ts'
import type { Session, Transcript } from '../session.ts'
import { createActions } from './actions.ts'
import type { Chat, ChatOptions, ChatStore } from './chat.ts'
import { findRun } from './find-run.ts'
import { type ChatRun, type ChatTranscript, joinTranscript } from './fold.ts'
import { createFollower } from './follower.ts'
import { createListeners } from './listeners.ts'
import { createLiveStore } from './live-store.ts'
import { createMarks } from './marks.ts'
import { type AskOptions, createQuestions } from './questions.ts'
import { createMerge } from './queued.ts'
import { type Tree, treeOf } from './tree.ts'
import type { ChatTypes } from './typed-parts.ts'

interface OwnStore extends ChatStore {
  use(options: ChatOptions): void
}

const stores = new WeakMap<Session, OwnStore>()

/** The store of a session: the same one for everybody. Nothing is read until somebody subscribes. */
export function chatOf<Types extends ChatTypes = ChatTypes>(
  session: Session,
  options: ChatOptions<Types> = {},
): ChatStore<Types> {
  const store = stores.get(session) ?? createChatStore(session)
  stores.set(session, store)
  store.use(options as object)
  return store as object as ChatStore<Types>
}

function createChatStore(session: Session): OwnStore {
  /** Of the transcript; its shape changes only where a run begins. */
  let tree: Tree | undefined
  let chosen: string | undefined
  const withQueue = createMerge()
  const changed = () => store.changed('now')
  const questions = createQuestions(session, changed)
  const marks = createMarks(changed)
  const { followed, ...follower } = createFollower({
    session,
    questions,
    onEdge: settle,
    onEvent: (event) => listeners.notify(followed.transcript.runs, event),
    onChange: (when) => store.changed(when),
  })
  const actions = createActions({ session, questions, marks, followed, place: here, recreate })
  const listeners = createListeners(session, questions, actions.decide)
  const commands = {
    ...actions,
    choose(run: string) {
      show(run)
      changed()
    },
    reload() {
      follower.expire()
      store.restart()
    },
  }
  const store = createLiveStore<Chat>(view, follower.follow)
  return Object.assign(store, {
    preview(first: Transcript): Chat {
      const { runs, complete } = joinTranscript(first)
      const { path, siblings } = treeOf(runs)
      return { ...store.initial, runs: path.map((place) => runs[place] as ChatRun), siblings, complete }
    },
    use({ transcript, storage, ...given }: ChatOptions) {
      if (storage !== undefined) questions.keepIn(storage)
      listeners.use(given)
      if (transcript !== undefined) follower.use(transcript)
      listeners.executeWaiting(followed.transcript.runs)
    },
  })

  function view(): Chat {
    const { transcript, ...shown } = followed
    const { stopping, resuming } = marks
    const { complete } = transcript
    const pending = withQueue(transcript.queue, questions.pending)
    tree ??= treeOf(transcript.runs, chosen)
    const { siblings, path } = tree
    const isAll = path.length === transcript.runs.length
    const runs = isAll ? transcript.runs : path.map((place) => transcript.runs[place] as ChatRun)
    return { ...shown, stopping, resuming, runs, siblings, pending, complete, connection: follower.connection(), ...commands }
  }

  /** Only what was shown here: a session that was never seen may be the name of another user's. */
  function recreate(): void {
    const { transcript, lost, status, error } = followed
    if (status !== 'closed' || (error as MillraceError | undefined)?.code !== 'session_not_found') return
    if (transcript.runs.length + lost.length === 0) return
    // The question that follows waits for the same request, and says why it fails.
    session.create().then(commands.reload, () => {})
  }

  /** Where a path was chosen, the question belongs to its end. */
  function here(): AskOptions {
    const parent = chosen === undefined ? undefined : store.current.runs.at(-1)?.run
    return parent === undefined ? {} : { parent }
  }

  function show(run: string | undefined): void {
    chosen = run
    tree = undefined
  }

  function settle(next: ChatTranscript): void {
    tree = undefined
    // What was asked here is the newest, and is shown.
    if (questions.pending.some(({ id }) => findRun(next, id) !== undefined)) show(undefined)
    marks.settle(next)
    listeners.executeWaiting(next.runs)
    questions.settle(
      new Set([...next.runs.map(({ run }) => run), ...(next.queue ?? []).map(({ entry }) => entry)]),
      next.runs.some(({ status }) => status === 'streaming'),
    )
  }
}
