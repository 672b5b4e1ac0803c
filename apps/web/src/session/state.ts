/**
 * What the page knows of one session: every run with what its lanes have said, and the position up
 * to which that is the whole truth. Nothing here knows the network, the clock or React.
 *
 * `position` and the runs belong together: the state is the fold of all events up to that position.
 */
import type { EndStatus, FileInfo, FinishReason, Json, PublicError, Timings, Usage } from '@millrace/protocol'

export type Status = 'streaming' | EndStatus

export interface End {
  readonly usage: Usage
  readonly timings: Timings
  readonly finishReason?: FinishReason
  readonly error?: PublicError
}

export interface FileState extends FileInfo {
  /** The next event after it has the bytes. */
  readonly position: string
  /** Undefined where they were there before this page, and are to be read. */
  readonly bytes?: Uint8Array<ArrayBuffer> | 'coming'
}

export interface LaneState {
  readonly lane: string
  readonly model: string
  readonly text: string
  readonly reasoning: string
  readonly data: readonly { readonly name: string; readonly value: Json }[]
  readonly files: readonly FileState[]
  readonly status: Status
  /** Of this run and those before it together. */
  readonly end?: End
  /** Of the runs whose answer this one goes on with. */
  readonly before?: End
}

/** One question and its answers: a run, and the runs that continue it, as one. */
export interface RunState {
  readonly run: string
  /** The last of the runs that continue it. */
  readonly continuedBy?: string
  /** The run that it goes on with, where that is no longer kept. */
  readonly continues?: string
  readonly query: string
  readonly status: Status
  readonly lanes: readonly LaneState[]
  readonly end?: End
}

export interface SessionState {
  readonly session: string
  /** The token of the last event that is in `runs`. */
  readonly position: string
  /** False where retention has cut the beginning of the session. */
  readonly complete: boolean
  /** Set when what follows cannot be made whole from events alone: read the snapshot again. */
  readonly stale: boolean
  readonly runs: readonly RunState[]
}

export function newLane(lane: string, model: string): LaneState {
  return { lane, model, text: '', reasoning: '', data: [], files: [], status: 'streaming' }
}
