/** A run before it begins. */
import type { ModelMessage } from '../models/model.ts'
import type { Source } from './lane.ts'

/** A lane before its model is asked. */
export interface LanePlan {
  readonly lane: string
  readonly model: string
  /** Opens the stream for the conversation; called once, after the run's start stands in the log. */
  readonly open: (messages: readonly ModelMessage[], signal: AbortSignal) => Source | Promise<Source>
}

export interface RunPlan {
  readonly id: string
  readonly session: string
  readonly query: string
  /** The models as they were asked for; undefined for the default. */
  readonly asked: readonly string[] | undefined
  readonly lanes: readonly LanePlan[]
  /** The run that this one goes on with. */
  readonly continues?: string | undefined
  /** Of the session's log when it was found: one that is deleted meanwhile MUST NOT be made anew by this run. */
  readonly epoch?: string
  /** Nobody else knows of the session: it was made up for this run. */
  readonly isNew?: boolean
  /** What one lane's model is to see: the conversation before, the question, and what else there is to it. */
  readonly messages: (lane: string) => readonly ModelMessage[]
}
