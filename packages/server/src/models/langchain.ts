/**
 * LangChain's chat models as Millrace's: text, reasoning, usage, finish reason, and errors as codes.
 * Nothing of LangChain is imported here but at run time, and only when a model is asked for by name:
 * it is an optional peer, and a model handed in by code brings its own.
 *
 * Read by `.stream()`, chunk by chunk, and not by `streamEvents`, which wraps every chunk in several
 * events that would be thrown away.
 */
import type { Usage } from '@millrace/protocol'
import { toMillraceError } from './langchain-errors.ts'
import type { Model, ModelPart } from './model.ts'

/** What is needed of a LangChain chat model, whichever version it is of. */
export interface LangChainModel {
  _llmType(): string
  stream(
    messages: { role: 'user' | 'assistant'; content: string }[],
    options: { signal: AbortSignal },
  ): Promise<AsyncIterable<LangChainChunk>>
}

export interface LangChainChunk {
  readonly content: unknown
  /** LangChain's own reading of content that is not plain text; computed when it is asked for. */
  readonly contentBlocks?: readonly { readonly type: string }[] | undefined
  readonly additional_kwargs?: Readonly<Record<string, unknown>> | undefined
  readonly response_metadata?: Readonly<Record<string, unknown>> | undefined
  readonly usage_metadata?:
    | {
        readonly input_tokens: number
        readonly output_tokens: number
        readonly output_token_details?: { readonly reasoning?: number | undefined } | undefined
      }
    | undefined
}

export function isLangChainModel(value: object): value is LangChainModel {
  return '_llmType' in value && typeof value._llmType === 'function'
}

/** @param name How the model is asked for; default its own, such as `gpt-5-mini`. */
export function fromLangChain(chatModel: LangChainModel, name = nameOf(chatModel)): Model {
  return {
    name,
    async *stream({ messages, signal }) {
      let usage: Omit<Usage, 'estimated'> | undefined
      let finish: ModelPart | undefined
      try {
        const chunks = await chatModel.stream(
          messages.map(({ role, text }) => ({ role, content: text })),
          { signal },
        )
        for await (const chunk of chunks) {
          yield* partsOf(chunk)
          usage = addUsage(usage, chunk)
          finish = finishOf(chunk) ?? finish
        }
      } catch (error) {
        throw toMillraceError(error, name)
      }
      if (usage !== undefined) yield { usage }
      if (finish !== undefined) yield finish
    },
  }
}

function nameOf(chatModel: LangChainModel): string {
  const { model } = chatModel as { model?: unknown }
  return typeof model === 'string' && model !== '' ? model : chatModel._llmType()
}

function* partsOf(chunk: LangChainChunk): Generator<ModelPart> {
  // A de-facto field of providers that speak OpenAI's protocol: DeepSeek, vLLM, llama.cpp.
  const reasoning = chunk.additional_kwargs?.reasoning_content
  if (typeof reasoning === 'string' && reasoning !== '') yield { reasoning }
  if (typeof chunk.content === 'string') {
    if (chunk.content !== '') yield chunk.content
    return
  }
  for (const block of chunk.contentBlocks ?? []) {
    if (block.type === 'text' && 'text' in block) yield { text: String(block.text) }
    else if (block.type === 'reasoning' && 'reasoning' in block && block.reasoning !== reasoning)
      yield { reasoning: String(block.reasoning) }
  }
}

/** Providers tell their usage in one chunk or spread over several; LangChain's convention is that the sum is right. */
function addUsage(
  sum: Omit<Usage, 'estimated'> | undefined,
  { usage_metadata: added }: LangChainChunk,
): Omit<Usage, 'estimated'> | undefined {
  if (added === undefined) return sum
  const inputTokens = (sum?.inputTokens ?? 0) + added.input_tokens
  const outputTokens = (sum?.outputTokens ?? 0) + added.output_tokens
  const reasoningTokens = (sum?.reasoningTokens ?? 0) + (added.output_token_details?.reasoning ?? 0)
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens, ...(reasoningTokens > 0 && { reasoningTokens }) }
}

/** The words of OpenAI, Anthropic, Google and Mistral for the same four reasons. */
const finishReasons: Record<string, 'stop' | 'length' | 'content_filter' | 'tool_calls'> = {
  stop: 'stop',
  end_turn: 'stop',
  stop_sequence: 'stop',
  length: 'length',
  max_tokens: 'length',
  model_length: 'length',
  content_filter: 'content_filter',
  safety: 'content_filter',
  refusal: 'content_filter',
  tool_calls: 'tool_calls',
  tool_use: 'tool_calls',
  function_call: 'tool_calls',
}

function finishOf({ response_metadata: metadata = {}, additional_kwargs: extra = {} }: LangChainChunk): ModelPart | undefined {
  const reason =
    metadata.finish_reason ?? metadata.stop_reason ?? metadata.finishReason ?? extra.stop_reason ?? metadata.done_reason
  if (typeof reason !== 'string' || reason === '') return undefined
  return { finishReason: finishReasons[reason.toLowerCase()] ?? 'other' }
}
