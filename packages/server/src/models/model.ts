/**
 * What a model is to Millrace: something that answers messages with a stream of parts. Adapters
 * in this folder make LangChain models, simulated models and the guide into one; a host makes its
 * own by writing `stream`.
 *
 * A model MUST
 *  - end its stream by returning when it is done, and by throwing when it failed;
 *  - stop its work, including the request to its provider, when `signal` aborts, and then return or throw soon;
 *  - yield text exactly once, in order; nothing it yielded is ever taken back. It may be cut anywhere, also within an
 *    emoji, and be of any length.
 * A model MUST NOT keep state between calls that changes a later answer, nor know who reads it.
 */
import type { FinishReason, Json, Usage } from '@millrace/protocol'

export interface ModelMessage {
  readonly role: 'user' | 'assistant'
  readonly text: string
}

export interface ModelRequest {
  /**
   * The conversation so far, oldest first; the last one is the user's: a question, or, after a part of an answer, the
   * request to go on with it.
   */
  readonly messages: readonly ModelMessage[]
  /** Aborts when the run is stopped, times out, or the server ends. */
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

/** A picture, a document, a sound: PROTOCOL.md#files. */
export interface ModelFile {
  /** `image/png`; without parameters. */
  readonly mediaType: string
  /** 1 to 255 characters, none of them a control character. */
  readonly name?: string
  /** At most `limits.fileBytesMax`. They are copied. */
  readonly bytes: Uint8Array
}

export interface Model {
  /** As it is asked for: `openai:gpt-6-luna`, `sim:count`, `builtin:guide`. */
  readonly name: string
  stream(request: ModelRequest): AsyncIterable<ModelPart>
}

/** A family of models that share the part before the colon. */
export interface ModelProvider {
  /** The part before the colon, without it: `sim`. */
  readonly prefix: string
  /** Names that work as they are, for the model menu; may be empty where any name can be asked for. */
  list(): readonly ModelInfo[]
  /**
   * The model of this full name. MUST throw a MillraceError: `model_not_found` for a name that cannot
   * be meant, `model_unavailable` with what to install or set where the name is fine and this machine is not ready.
   */
  open(name: string): Model | Promise<Model>
}

export interface ModelInfo {
  readonly name: string
  /** One line for people. */
  readonly description: string
  /** False for `builtin:guide` and `sim:`, which are not language models and must not look like one. */
  readonly languageModel: boolean
}
