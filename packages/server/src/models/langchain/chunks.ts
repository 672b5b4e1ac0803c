/** Reads the message chunks of a LangChain model as parts; usage and finish reason go into `end`. */

import type { ModelPart } from '../model.ts'
import type { AnswerEnd, UsageMetadata } from './end.ts'
import { asFields, readContent, readReason } from './provider-chunk.ts'
import { sourcesOf } from './sources.ts'
import { ToolCalls } from './tool-calls.ts'

/** The used part of LangChain's `AIMessageChunk`. */
export interface LangChainChunk {
  readonly content: unknown
  /** LangChain's representation of content that is not plain text; computed by its getter. */
  readonly contentBlocks?: readonly { readonly type: string }[] | undefined
  readonly additional_kwargs?: Readonly<Record<string, unknown>> | undefined
  readonly response_metadata?: Readonly<Record<string, unknown>> | undefined
  readonly usage_metadata?: UsageMetadata | undefined
  readonly tool_call_chunks?: readonly unknown[] | undefined
  readonly tool_calls?: readonly unknown[] | undefined
}

export async function* readChunks(chunks: AsyncIterable<LangChainChunk>, end: AnswerEnd): AsyncGenerator<ModelPart> {
  let hasReasoning = false
  const calls = new ToolCalls()
  const cited = new Set<string>()
  for await (const chunk of chunks) {
    // The last chunk of OpenAI's Responses, which has the status, repeats all its reasoning.
    const isSummary = hasReasoning && chunk.response_metadata?.status !== undefined
    for (const part of newParts(chunk, cited)) {
      const isReasoning = typeof part === 'object' && 'reasoning' in part
      hasReasoning ||= isReasoning
      if (!(isReasoning && isSummary)) yield part
    }
    yield* callsOf(chunk, calls)
    end.usage = addUsage(end.usage, chunk.usage_metadata)
    end.reason = reasonOf(chunk) ?? end.reason
    end.hasToolCalls ||= Boolean(chunk.tool_call_chunks?.length || chunk.tool_calls?.length)
  }
  yield* calls.end()
}

/** A model that does not stream its calls has them whole. */
export function* callsOf({ tool_call_chunks, tool_calls }: LangChainChunk, calls: ToolCalls): Generator<ModelPart> {
  const pieces = tool_call_chunks?.length ? tool_call_chunks : (tool_calls ?? [])
  for (const piece of pieces) yield* calls.add(asFields(piece))
}

/** Without sources that earlier chunks had; adds to `cited`. */
export function* newParts(chunk: LangChainChunk, cited: Set<string>): Generator<ModelPart> {
  for (const part of partsOf(chunk)) {
    const source = typeof part === 'object' && 'source' in part ? part.source.source : undefined
    if (source === undefined || !cited.has(source)) yield part
    if (source !== undefined) cited.add(source)
  }
}

function* partsOf(chunk: LangChainChunk): Generator<ModelPart> {
  // A de-facto field of providers with OpenAI's protocol: DeepSeek, LM Studio, llama.cpp.
  const reasoning = chunk.additional_kwargs?.reasoning_content
  if (isSaid(reasoning)) yield { reasoning }
  if (typeof chunk.content === 'string') {
    if (chunk.content !== '') yield chunk.content
    return
  }
  // LangChain has no block for thinking that is a list, as Mistral's is.
  let thought = isSaid(reasoning) ? '' : readContent(chunk.content).reasoning
  for (const block of chunk.contentBlocks ?? []) {
    if (block.type === 'text' && 'text' in block && isSaid(block.text)) yield block.text
    if ('annotations' in block) for (const source of sourcesOf(block.annotations)) yield { source }
    if (block.type === 'reasoning' && 'reasoning' in block && isSaid(block.reasoning)) {
      if (block.reasoning !== reasoning) yield { reasoning: block.reasoning }
      thought = ''
    }
  }
  if (thought !== '') yield { reasoning: thought }
}

function isSaid(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** Providers send usage in one chunk or spread over several; by LangChain's convention the sum is right. */
export function addUsage(sum: UsageMetadata | undefined, added: UsageMetadata | undefined): UsageMetadata | undefined {
  if (sum === undefined || added === undefined) return sum ?? added
  const reasoning = (sum.output_token_details?.reasoning ?? 0) + (added.output_token_details?.reasoning ?? 0)
  return {
    input_tokens: (sum.input_tokens ?? 0) + (added.input_tokens ?? 0),
    output_tokens: (sum.output_tokens ?? 0) + (added.output_tokens ?? 0),
    total_tokens: (sum.total_tokens ?? 0) + (added.total_tokens ?? 0),
    output_token_details: { reasoning },
  }
}

function reasonOf({ response_metadata: metadata = {}, additional_kwargs: extra = {} }: LangChainChunk): string | undefined {
  const reason =
    metadata.finish_reason ?? metadata.stop_reason ?? metadata.finishReason ?? extra.stop_reason ?? metadata.done_reason
  // The others are Bedrock's, and OpenAI's Responses for an incomplete answer.
  return (
    readReason(reason) ??
    readReason(asFields(metadata.messageStop).stopReason) ??
    readReason(asFields(metadata.incomplete_details).reason) ??
    (metadata.status === 'completed' ? 'stop' : undefined)
  )
}
