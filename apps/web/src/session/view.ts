/** What React is shown of a conversation, and the pure steps by which it changes. */
import type { PendingRun } from './outbox.ts'
import { interruptSession } from './reduce.ts'
import type { RunState, SessionState } from './state.ts'
import type { Connection } from './stream.ts'

export interface View {
  readonly session: string | undefined
  /** Undefined until the session's snapshot has been read. */
  readonly state: SessionState | undefined
  /** Runs of a log that the server has lost meanwhile; they are shown above what came after. */
  readonly lost: readonly RunState[]
  readonly pending: readonly PendingRun[]
  /** Runs whose stop was asked for here and is not in the log yet. */
  readonly stopping: ReadonlySet<string>
  /** Runs that were asked for in this tab since it was loaded. */
  readonly asked: ReadonlySet<string>
  readonly connection: Connection
}

export const emptyView: View = {
  session: undefined,
  state: undefined,
  lost: [],
  pending: [],
  stopping: new Set(),
  asked: new Set(),
  connection: { state: 'idle' },
}

/** A stop that was asked for is over once its run has ended, however it ended. */
export function withState(view: View, state: SessionState): View {
  const stopping = new Set(
    [...view.stopping].filter((id) => state.runs.some(({ run, status }) => run === id && status === 'streaming')),
  )
  return { ...view, state, stopping }
}

/** What was read of a log that is no more is the reader's to keep. */
export function withLostLog(view: View): View {
  if (view.state === undefined) return view
  return { ...view, lost: [...view.lost, ...interruptSession(view.state).runs], state: undefined, stopping: new Set() }
}

/** Whether anything is still to come without the reader's doing. */
export function isBusy({ pending, state }: View): boolean {
  return pending.length > 0 || isAnswering(state)
}

export function isAnswering(state: SessionState | undefined): boolean {
  return state?.runs.some((run) => run.status === 'streaming') ?? false
}
