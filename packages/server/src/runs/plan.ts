/** A run before it starts. */
import type { Asked } from '@millrace/protocol'
import type { ModelMessage } from '../models/model.ts'
import type { AdmitRun } from './admission.ts'
import type { Source } from './lane.ts'
import type { StepsPlan } from './steps.ts'

/** A lane before its model is asked. */
export interface LanePlan {
  readonly lane: string
  readonly model: string
  /** Absent where the lane has no tools. */
  readonly steps?: StepsPlan | undefined
  /** Ids of calls in the runs that this one continues. */
  readonly usedCalls?: readonly string[]
  /** Opens the stream for the conversation, of each step. Called after the run's start is recorded. */
  readonly open: (messages: readonly ModelMessage[], signal: AbortSignal) => Source | Promise<Source>
}

export interface RunPlan {
  readonly id: string
  readonly session: string
  readonly query: string
  /** What is recorded beside the query. */
  readonly details?: Asked | undefined
  /** Id of who asks; absent for the application itself. */
  readonly principal?: string | undefined
  /** When, in milliseconds since 1970; set when the run is started. */
  readonly askedAt?: number
  /** Takes the run's place within the limits of who asks; absent where nothing limits it. */
  readonly admit?: AdmitRun | undefined
  /** The names of the models in the request; undefined for the default. */
  readonly asked: readonly string[] | undefined
  readonly lanes: readonly LanePlan[]
  /** The run that this one resumes. */
  readonly continues?: string | undefined
  /** Of the session's log when the request was accepted: this run MUST NOT re-create a log that is deleted meanwhile. */
  readonly epoch?: string
  /** The offset of that log's head; where it has another, the start is rejected with `head_moved`. */
  readonly expect?: number | undefined
  /** Of the session, where the start gives it one. */
  readonly owner?: string | undefined
  /** Called before the start is recorded, once the run was admitted. */
  readonly prepare?: () => Promise<void>
  /** The session's id was generated for this run, and no one else knows it. */
  readonly isNew?: boolean
  /** The messages for one lane's model: the conversation, the question, and for a resumed answer its beginning. */
  readonly messages: (lane: string) => readonly ModelMessage[]
}
