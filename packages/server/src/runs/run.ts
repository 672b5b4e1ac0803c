import type { Position, RunEnd, SessionEvents } from '@millrace/protocol'

/** An end as it is recorded. */
export interface RecordedEnd extends RunEnd {
  /** Of the end's event, with the session. Absent where the log was deleted, or accepts no more events. */
  readonly position?: string
}

export interface Run {
  readonly id: string
  readonly session: string
  /** Of the question, whose text is only in the log. See query-hash.ts. */
  readonly queryHash: string
  readonly asked: readonly string[] | undefined
  /** The run that this one resumes. */
  readonly continues: string | undefined
  readonly lanes: SessionEvents['stream_start']['lanes']
  /** Before the run's first event: where a reader of the whole run starts. */
  readonly start: Position
  /**
   * The end, once it is in the log. Never rejects for a run of this server. For another node's run it rejects with the
   * engine's error where the log can no longer be read.
   */
  readonly ended: Promise<RecordedEnd>
  /** Undefined while the run is in progress, and where this process does not know its end. */
  readonly end: RecordedEnd | undefined
  /** Cancels the run, or one lane of it, for everybody and keeps its text. Does nothing after the end. */
  stop(lane?: string): void
}
