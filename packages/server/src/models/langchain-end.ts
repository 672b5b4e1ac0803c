/** What LangChain models say at their end, usage and finish reason, in our words; nothing where they did not say. */
import type { FinishReason } from '@millrace/protocol'
import type { ModelPart } from './model.ts'

export interface UsageMetadata {
  readonly input_tokens?: number | null | undefined
  readonly output_tokens?: number | null | undefined
  readonly total_tokens?: number | null | undefined
  readonly output_token_details?: { readonly reasoning?: number | null | undefined } | undefined
}

/** Nothing for a usage without its counts, or with none: then deltas are counted, which is nearer the truth than 0. */
export function* usageOf(usage: UsageMetadata | undefined): Generator<ModelPart> {
  const inputTokens = usage?.input_tokens ?? 0
  const outputTokens = usage?.output_tokens ?? 0
  const reasoningTokens = usage?.output_token_details?.reasoning ?? 0
  // Some providers count more than the two, and their bill does.
  const totalTokens = Math.max(usage?.total_tokens ?? 0, inputTokens + outputTokens)
  if (inputTokens + outputTokens > 0)
    yield { usage: { inputTokens, outputTokens, totalTokens, ...(reasoningTokens > 0 && { reasoningTokens }) } }
}

/** The words of OpenAI, Anthropic, Google, Mistral and LangChain for the same four reasons. */
const finishReasons = new Map<string, FinishReason>([
  ['stop', 'stop'],
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['length', 'length'],
  ['max_tokens', 'length'],
  ['max_output_tokens', 'length'],
  ['model_length', 'length'],
  ['content_filter', 'content_filter'],
  ['safety', 'content_filter'],
  ['refusal', 'content_filter'],
  ['tool_calls', 'tool_calls'],
  ['tool_use', 'tool_calls'],
  ['function_call', 'tool_calls'],
])

/** Ollama and Google end a call of a tool with `stop`. */
export function* finishOf(reason: string | undefined, hasToolCalls: boolean): Generator<ModelPart> {
  const known = reason === undefined ? undefined : (finishReasons.get(reason.toLowerCase()) ?? 'other')
  const finishReason = hasToolCalls && (known === undefined || known === 'stop') ? 'tool_calls' : known
  if (finishReason !== undefined) yield { finishReason }
}
