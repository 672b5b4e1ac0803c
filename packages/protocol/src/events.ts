/**
 * The events of a session's log: what is appended, what every transport carries. A session's log
 * is a sequence of runs; each run is one `stream_start`, then deltas of its lanes, then one
 * `stream_end`. Runs may overlap. See PROTOCOL.md#events.
 */
import type { PublicError } from './errors.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** How a lane or a run ended. A deadline ends it as `failed` with the code `model_timeout`. */
export type EndStatus = 'completed' | 'stopped' | 'failed' | 'interrupted'

/** Why the model itself ended, in the provider's terms mapped to this list. */
export type FinishReason = 'stop' | 'length' | 'content_filter' | 'tool_calls' | 'other'

export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly totalTokens: number
  /** Part of `outputTokens` that was spent on reasoning. */
  readonly reasoningTokens?: number
  /** True when the provider did not say and Millrace counted deltas instead. */
  readonly estimated?: true
}

export interface Timings {
  /** From the acceptance of the request to the first delta of any kind; null when none came. */
  readonly firstTokenMs: number | null
  /** From the acceptance of the request to the end. */
  readonly durationMs: number
}

export interface LaneEnd {
  readonly status: EndStatus
  readonly model: string
  readonly finishReason?: FinishReason
  readonly usage: Usage
  readonly timings: Timings
  readonly error?: PublicError
}

/** Data of each event type as it stands in the log. */
export interface SessionEvents {
  /**
   * A run began: who asked what of which models. `lanes` maps each lane to its model, in order; `node` is the server
   * that the run belongs to, where several share their logs. With `continues` it goes on with what these lanes said
   * in that run, which ended before its time: PROTOCOL.md#continuing-an-answer.
   */
  stream_start: {
    run: string
    session: string
    query: string
    lanes: readonly Lane[]
    continues?: string
    node?: string
  }
  /** A piece of the answer of one lane. */
  message: { run: string; lane: string; text: string }
  /** A piece of the thinking of one lane. */
  reasoning: { run: string; lane: string; reasoning: string }
  /** A value the application put into the run under a name of its own. */
  data: { run: string; lane: string; name: string; value: Json }
  /** One lane gives a file of `size` bytes, which are the data of the next event of the log: PROTOCOL.md#files. */
  file: { run: string; lane: string } & FileInfo
  /** The bytes of the file that the event before told of. */
  file_data: Uint8Array<ArrayBuffer>
  /** One lane of a run with several lanes ended; the others go on. */
  lane_end: { run: string; lane: string } & LaneEnd
  /** The run ended. `lanes` only where there were several. */
  stream_end: { run: string } & RunEnd
}

export interface FileInfo {
  readonly mediaType: string
  readonly name?: string
  /** In bytes. */
  readonly size: number
}

export interface Lane {
  /** Unique in its run: the model's name, with `#2`, `#3` … where a model runs more than once. */
  readonly lane: string
  readonly model: string
}

export interface RunEnd {
  readonly status: EndStatus
  readonly finishReason?: FinishReason
  readonly usage: Usage
  readonly timings: Timings
  readonly error?: PublicError
  readonly lanes?: Readonly<Record<string, LaneEnd>>
}

export type SessionEventType = keyof SessionEvents

export type SessionEvent = { [T in SessionEventType]: { type: T; data: SessionEvents[T] } }[SessionEventType]

/** Between two events some are gone for good: `from` is the last position served, `to` where it goes on. */
export interface Gap {
  readonly from: string
  readonly to: string
}
