import type { Position, RunEnd, SessionEvents } from '@millrace/protocol'

/** An end as it stands in the log. */
export interface RecordedEnd extends RunEnd {
  /** After it, with the session: all that was said is before it. Absent where its log is gone, or takes nothing any more. */
  readonly position?: string
}

export interface Run {
  readonly id: string
  readonly session: string
  /** Of what was asked: the words stand in the log only. See query-hash.ts. */
  readonly queryHash: string
  readonly asked: readonly string[] | undefined
  /** The run that this one goes on with. */
  readonly continues: string | undefined
  readonly lanes: SessionEvents['stream_start']['lanes']
  /** Before the run's first event: where a reader of the whole run begins. */
  readonly start: Position
  /**
   * The end once it stands in the log. Never rejects for a run of this server; for another node's with the refusal
   * where its log cannot be read any more.
   */
  readonly ended: Promise<RecordedEnd>
  /** Undefined while the run goes on, and where it is not known here that it has ended. */
  readonly end: RecordedEnd | undefined
  /** Ends the run for everybody; what was said is kept. Does nothing after the end. */
  stop(): void
}
