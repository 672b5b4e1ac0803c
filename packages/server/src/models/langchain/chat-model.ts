import type { LangChainChunk } from './chunks.ts'
import type { LangChainMessage } from './messages.ts'
import type { Fields } from './provider-chunk.ts'

export type CallOptions = { readonly signal: AbortSignal } & Fields

/** The used part of a LangChain chat model, of any version. */
export interface LangChainModel {
  _llmType(): string
  stream(messages: LangChainMessage[], options: CallOptions): Promise<AsyncIterable<LangChainChunk>>
}
