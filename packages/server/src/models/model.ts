/**
 * The contract of a model: it answers messages with a stream of parts. The adapters in this folder implement it for
 * LangChain's models, simulated models and the guide; a host implements it with a `stream` method.
 *
 * A model MUST
 *  - end its stream by returning when it is done, and by throwing when it failed;
 *  - stop its work, including the request to its provider, when `signal` aborts, and then return or throw soon;
 *  - yield text exactly once, in order, and never retract it. A piece may end anywhere, also within an emoji, and may have
 *    any length.
 * A model MUST NOT keep state between calls that changes a later answer, nor know its readers.
 */
import type {
  FilePart,
  FinishReason,
  Json,
  MessagePart,
  ParamName,
  Params,
  Role,
  SourceInfo,
  ToolResult,
  Usage,
} from '@millrace/protocol'
import type { Tool, ToolDefinition } from '../tools/tool.ts'

export interface ModelMessage {
  readonly role: Role
  /** All of its text; of a tool, the results. */
  readonly text: string
  /** Where it is more than text: files, calls of tools, and their results. */
  readonly parts?: readonly ModelMessagePart[]
}

export type ModelMessagePart = Exclude<MessagePart, FilePart> | ModelFilePart

/** A file of a type that the model accepts. Its bytes are not in memory until they are read. */
export interface ModelFilePart {
  readonly type: 'file'
  readonly mediaType: string
  readonly name?: string
  /** Number of bytes. */
  readonly size: number
  /** Rejects with `position_expired` where the bytes are no longer kept. */
  readonly read: (signal?: AbortSignal) => Promise<Uint8Array>
}

export interface ModelRequest {
  /**
   * The conversation so far, oldest first; before it the instructions, as one message of the system. The last message is the
   * user's: a question, or, after a partial answer, the request to continue it. Or it is a tool's.
   */
  readonly messages: readonly ModelMessage[]
  /** How to answer. Has only what the model takes. */
  readonly params?: Params
  /**
   * What it may call; absent without tools. When a stream has ended that contained calls, the model is asked again with
   * their results.
   */
  readonly tools?: readonly ToolDefinition[]
  /** Aborts when the run is stopped, times out, or the server stops. */
  readonly signal: AbortSignal
}

/** A piece of an answer. A bare string is text. */
export type ModelPart =
  | string
  | { readonly text: string }
  | { readonly reasoning: string }
  | { readonly data: { readonly name: string; readonly value: Json } }
  | { readonly file: ModelFile }
  | { readonly usage: Omit<Usage, 'estimated'> }
  | { readonly finishReason: FinishReason }
  | { readonly source: SourceInfo }
  /** A call begins, where its arguments arrive in pieces. */
  | { readonly toolCallStart: Pick<ModelToolCall, 'id' | 'name'> }
  | { readonly toolCallDelta: { readonly id: string; readonly arguments: string } }
  | { readonly toolCall: ModelToolCall }
  /** Of a call that the model executes itself. */
  | { readonly toolResult: { readonly call: string } & Omit<ToolResult, 'isRejected'> }

export interface ModelToolCall {
  /** Unique among the calls that have no result yet. */
  readonly id: string
  readonly name: string
  /** An object; the text that the model has written, where it is not JSON. */
  readonly arguments: Json
  /** The model executes it itself, and the call is only shown. */
  readonly by?: 'model'
}

/** A picture, a document, a sound: PROTOCOL.md#files. */
export interface ModelFile {
  /** Such as `image/png`, without parameters. */
  readonly mediaType: string
  /** 1 to 255 characters, none of them a control character. */
  readonly name?: string
  /** At most `limits.fileBytesMax`; the bytes are copied. */
  readonly bytes: Uint8Array
}

/** `responseFormat` alone is without JSON schemas. */
export type TakenParam = ParamName | 'responseFormat.json_schema'

export interface Model {
  /** The full name: `openai:gpt-6-luna`, `sim:count`, `builtin:guide`. */
  readonly name: string
  /** The parameters that it takes; a run with another is rejected before it starts. Default none. */
  readonly takes?: readonly TakenParam[]
  /**
   * The media types of files that it accepts: `image/png`, or `image/` and an asterisk. A run with another is rejected before it
   * starts; of earlier files its model gets the names. Default none.
   */
  readonly accepts?: readonly string[]
  /** Tools that only this model has, beside those of the server. */
  readonly tools?: Readonly<Record<string, Tool>>
  stream(request: ModelRequest): AsyncIterable<ModelPart>
}

/** A family of models that share the part before the colon. */
export interface ModelProvider {
  /** The part before the colon: `sim`. */
  readonly prefix: string
  /** Names for the model menu; may be empty if any name is possible. */
  list(): readonly ModelInfo[]
  /**
   * The model of this full name. MUST throw a MillraceError: `model_not_found` for an impossible name, `model_unavailable`
   * with what to install or set if the name is right and this machine is not ready.
   */
  open(name: string): Model | Promise<Model>
}

export interface ModelInfo {
  readonly name: string
  /** One line for people. */
  readonly description: string
  /** False for `builtin:guide` and `sim:`, which are not language models and must not look like one. */
  readonly languageModel: boolean
  /** The media types of files that it accepts; empty for none. */
  readonly accepts: readonly string[]
}
