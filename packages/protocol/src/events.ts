/**
 * The events of a session's log, as they are appended and as every transport sends them. A session's log contains
 * runs; each run is one `stream_start`, then deltas of its lanes, then one `stream_end`. Runs may overlap. See
 * PROTOCOL.md#events.
 */
import type { PublicError } from './errors.ts'
import type { Json } from './json.ts'
import type { Asked } from './messages.ts'
import type { QueueMove } from './queue.ts'

/**
 * How a lane or a run ended. A deadline ends it as `failed` with the code `model_timeout`. `waiting`: calls of tools wait for
 * decisions or results, and a run that `continues` it goes on with them.
 */
export type EndStatus = 'completed' | 'waiting' | 'stopped' | 'failed' | 'interrupted'

/** Why the model ended; the provider's term mapped to this list. */
export type FinishReason = 'stop' | 'length' | 'content_filter' | 'tool_calls' | 'other'

export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly totalTokens: number
  /** The part of `outputTokens` spent on reasoning. */
  readonly reasoningTokens?: number
  /** The part of `inputTokens` that the provider had in its cache. */
  readonly cachedInputTokens?: number
  /** The provider did not report the usage, and Millrace counted deltas. */
  readonly estimated?: true
}

export interface Timings {
  /** From the acceptance of the request to the first delta of any kind; `null` without a delta. */
  readonly firstTokenMs: number | null
  /** From the acceptance of the request to the end. */
  readonly durationMs: number
  /** From the first piece of reasoning to what followed it; absent without reasoning, and for several lanes together. */
  readonly reasoningMs?: number
}

/** What an answer cost, where the operator has set a currency. */
export interface Cost {
  /** In units of the currency, such as 0.0025 dollars. */
  readonly amount: number
  /** ISO 4217. */
  readonly currency: string
}

export interface LaneEnd {
  readonly status: EndStatus
  readonly model: string
  readonly finishReason?: FinishReason
  readonly usage: Usage
  readonly timings: Timings
  readonly cost?: Cost
  readonly error?: PublicError
}

/** The data of each event type, as recorded in the log. */
export interface SessionEvents {
  /**
   * A run started. `query` is the question; with `messages`, the text of their last one of a user. `lanes` lists each lane
   * with its model, in order. Without a `parent`, it is the newest run before it. `node` is the server that owns the run, where several servers share an engine. With
   * `continues`, the lanes continue their answers of that run: PROTOCOL.md#continuing-an-answer.
   */
  stream_start: {
    run: string
    session: string
    query: string
    lanes: readonly Lane[]
    continues?: string
    node?: string
  } & Asked
  /** A piece of the text of one lane. `part` is the part of the lane that it belongs to; absent for the first, 0. */
  message: { run: string; lane: string; part?: number; text: string }
  /** A piece of the reasoning of one lane. */
  reasoning: { run: string; lane: string; part?: number; reasoning: string }
  /** A call of a tool begins, where its arguments arrive in pieces. `call` is unique in its run. */
  tool_call_start: { run: string; lane: string; call: string; name: string }
  /** A piece of the JSON of the arguments. */
  tool_call_delta: { run: string; lane: string; call: string; arguments: string }
  /** A whole call. `isRepeated`: the run goes on with a call of the run that it continues. */
  tool_call: { run: string; lane: string; call: string; name: string; arguments: Json; by: ToolExecutor; isRepeated?: true }
  /** What a tool returned, or with `isError` why there is nothing. `preliminary`: a later result replaces it. */
  tool_result: { run: string; lane: string; call: string } & ToolResult
  /** A call waits for somebody's decision, until `expiresAt` in milliseconds since 1970. */
  approval_request: { run: string; lane: string; approval: string; call: string; expiresAt: number }
  /** A call of an ended run is decided. Of several decisions about one call only the first is in the log. */
  tool_decision: { run: string; call: string } & ToolDecision
  /** What the answer of a lane refers to. `source` is its id in the lane. */
  source: { run: string; lane: string } & SourceInfo
  /** One call of the model ended, and the lane goes on. `step` counts from 0. The last step ends with its lane. */
  step_end: { run: string; lane: string; step: number; finishReason?: FinishReason; usage: Usage }
  /** A value that the application added to the run, under a name that it chose. */
  data: { run: string; lane: string; name: string; value: Json }
  /** A file of one lane. Its bytes are the data of the next event in the log: PROTOCOL.md#files. */
  file: { run: string; lane: string } & FileInfo
  /** The bytes of the `file` event before it. */
  file_data: Uint8Array<ArrayBuffer>
  /** A file was uploaded. Its bytes are in no event of the session: PROTOCOL.md#uploads. */
  upload: { upload: string } & FileInfo
  /** One lane ended; the other lanes go on. Only in runs with several lanes. */
  lane_end: { run: string; lane: string } & LaneEnd
  /** The run ended. `lanes` is present only in runs with several lanes. */
  stream_end: { run: string } & RunEnd
  /** A question waits until nothing is being answered: PROTOCOL.md#the-queue. */
  queue_added: QueuedQuestion
  /** The question that waits is another one now. */
  queue_changed: QueuedQuestion
  /** It waits at another place. */
  queue_moved: QueueMove
  /** It does not wait any more; with an `error`, because its run could not be started. */
  queue_removed: { entry: string; error?: PublicError }
}

export interface QueuedQuestion extends Asked {
  /** Becomes the id of its run. */
  readonly entry: string
  readonly query: string
  /** As in the request; absent for the default. */
  readonly models?: readonly string[]
  /** It has stopped what was being answered, and goes before the others. */
  readonly steer?: boolean
}

/**
 * Who executes a call: the server, a client, which then sends the result, or for `model` the provider or an agent, whose calls
 * are only shown.
 */
export type ToolExecutor = 'server' | 'client' | 'model'

export interface ToolResult {
  readonly value: Json
  readonly isError?: true
  /** Somebody decided that the call is not executed; `value` is the reason. */
  readonly isRejected?: true
  readonly preliminary?: true
}

export interface ToolDecision {
  /**
   * `result`: of a tool that a client executes. `withdraw`: the run was stopped while the call waited. The others are about a
   * call that waits for approval.
   */
  readonly decision: 'approve' | 'reject' | 'edit' | 'answer' | 'result' | 'withdraw'
  /** The id of the approval. */
  readonly approval?: string
  /** With `edit`: what the tool is called with instead. */
  readonly arguments?: Json
  /** With `answer` and `result`: what the model gets as the result. */
  readonly value?: Json
  readonly isError?: true
  /** With `reject`. */
  readonly reason?: string
  /** The id of the principal who decided; absent for an anonymous one and the server's application. */
  readonly by?: string
}

export interface SourceInfo {
  readonly source: string
  readonly url?: string
  readonly title?: string
  readonly mediaType?: string
}

export interface FileInfo {
  readonly mediaType: string
  readonly name?: string
  /** Number of bytes. */
  readonly size: number
}

export interface Lane {
  /** Unique in its run: the model's name, with `#2`, `#3` … when a model runs more than once. */
  readonly lane: string
  readonly model: string
}

export interface RunEnd {
  readonly status: EndStatus
  readonly finishReason?: FinishReason
  readonly usage: Usage
  readonly timings: Timings
  /** Of all lanes that have a price. */
  readonly cost?: Cost
  readonly error?: PublicError
  readonly lanes?: Readonly<Record<string, LaneEnd>>
}

export type SessionEventType = keyof SessionEvents

export type SessionEvent = { [T in SessionEventType]: { type: T; data: SessionEvents[T] } }[SessionEventType]

/** Events after `from`, up to and including `to`, are no longer kept; the stream goes on after `to`. */
export interface Gap {
  readonly from: string
  readonly to: string
}
