/** What React is shown of a conversation, and the pure steps by which it changes. */
import type { PublicError } from '@millrace/protocol'
import { lastRun } from './join.ts'
import type { PendingRun } from './outbox.ts'
import { interruptSession } from './reduce.ts'
import type { RunState, SessionState } from './state.ts'
import type { SessionConnection } from './stream.ts'

/** An answer is to go on, and does not in the log yet. */
export interface Continuing {
  /** The last of its runs when that was asked. */
  readonly last: string
  /** Why it does not. */
  readonly error?: PublicError
}

export interface ConversationView {
  readonly session: string | undefined
  /** Undefined until the session's snapshot has been read. */
  readonly state: SessionState | undefined
  /** Runs of a log that the server has lost meanwhile; they are shown above what came after. */
  readonly lost: readonly RunState[]
  readonly pending: readonly PendingRun[]
  /** Runs whose stop was asked for here and is not in the log yet. */
  readonly stopping: ReadonlySet<string>
  /** Runs that were asked here to go on. */
  readonly continuing: ReadonlyMap<string, Continuing>
  /** Runs that were asked for in this tab since it was loaded. */
  readonly asked: ReadonlySet<string>
  readonly connection: SessionConnection
}

export const emptyView: ConversationView = {
  session: undefined,
  state: undefined,
  lost: [],
  pending: [],
  stopping: new Set(),
  continuing: new Map(),
  asked: new Set(),
  connection: { state: 'idle' },
}

/** A stop that was asked for is over once its run has ended, however it ended; going on, once another run stands behind it. */
export function withState(view: ConversationView, state: SessionState): ConversationView {
  const stopping = new Set(
    [...view.stopping].filter((id) => state.runs.some(({ run, status }) => run === id && status === 'streaming')),
  )
  const continuing = new Map(
    [...view.continuing].filter(([id, { last }]) => state.runs.some((run) => run.run === id && lastRun(run) === last)),
  )
  return { ...view, state, stopping, continuing }
}

/** What was read of a log that is no more is the reader's to keep. */
export function withLostLog(view: ConversationView): ConversationView {
  if (view.state === undefined) return view
  const lost = [...view.lost, ...interruptSession(view.state).runs]
  return { ...view, lost, state: undefined, stopping: new Set(), continuing: new Map() }
}

/** Whether anything is still to come without the reader's doing. */
export function isBusy({ pending, continuing, state }: ConversationView): boolean {
  return pending.length > 0 || continuing.size > 0 || isAnswering(state)
}

export function isAnswering(state: SessionState | undefined): boolean {
  return state?.runs.some((run) => run.status === 'streaming') ?? false
}
