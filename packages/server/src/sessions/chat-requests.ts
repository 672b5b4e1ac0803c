/** What runs are asked, from the library and the gateway. */
import type { Asked } from '@millrace/protocol'
import type { Source } from '../runs/lane.ts'

export interface ChatRequest extends Asked {
  /** The question; this or `messages`. */
  readonly query?: string | undefined
  /** Names of models, one lane each; absent means the default model. */
  readonly models?: readonly string[] | undefined
  /** MUST exist. Absent means a new one. */
  readonly session?: string | undefined
  /** The id of the user to whom the session belongs from now on. Rejects with `session_not_found` where it has another owner. */
  readonly owner?: string | undefined
  /** The run's id; absent means a new one. The same id again is the same run. */
  readonly id?: string | undefined
  /** Id of who asks, to whom the run's usage is charged; absent for the application itself. */
  readonly principal?: string | undefined
}

export interface ResumeRequest {
  /** The run to resume. MUST have ended without completing, and MUST NOT have been resumed before. */
  readonly run: string
  /** Its session. Needed where the server no longer knows the run by its id. */
  readonly session?: string | undefined
  /** Only this lane goes on; absent means all that did not complete. */
  readonly lane?: string | undefined
  /** The model that goes on, in place of those of the lanes. */
  readonly model?: string | undefined
  /** The new run's id; absent means a new one. The same id again is the same run. */
  readonly id?: string | undefined
  /** Id of who asks, to whom the run's usage is charged; absent for the application itself. */
  readonly principal?: string | undefined
  /** Called with the names of the models before they are asked; throws to deny them. */
  readonly requireModels?: ((names: readonly string[]) => void | Promise<void>) | undefined
}

/** A question that is asked again, or another one in its place. What is absent is that of the run. */
export interface RegenerateRequest extends Omit<ResumeRequest, 'run' | 'lane' | 'model'>, Omit<Asked, 'parent' | 'parentLane'> {
  /** Whose place in the tree the new run has beside it. It may be in progress. */
  readonly run: string
  /** Another question; this or `messages`. */
  readonly query?: string | undefined
  readonly models?: readonly string[] | undefined
}

/** A run whose answer comes from the caller's own code. */
export interface SourceRequest extends Pick<Asked, 'messages' | 'metadata' | 'parent' | 'parentLane'> {
  /** Created if it does not exist. Absent means a new one. */
  readonly session?: string | undefined
  /** The id of the user to whom the session belongs from now on. Rejects with `session_not_found` where it has another owner. */
  readonly owner?: string | undefined
  readonly id?: string | undefined
  /** Id of who asks, to whom the run's usage is charged; absent for the application itself. */
  readonly principal?: string | undefined
  /** The question, for the transcript; default '', or that of the `messages`. */
  readonly query?: string | undefined
  /** The run that this one continues: one that ended early, whose question this is too. */
  readonly continues?: string | undefined
  /** The lane's name; default `app`. With `continues` the lane that goes on; default the first that did not complete. */
  readonly model?: string | undefined
  /** Text or events, or a function that returns them; its signal aborts when the run is stopped. */
  readonly source: Source | ((signal: AbortSignal) => Source)
}
