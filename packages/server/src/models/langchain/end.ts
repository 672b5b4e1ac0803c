/** What LangChain models say at their end, usage and finish reason, in our words; nothing where they did not say. */
import type { FinishReason } from '@millrace/protocol'
import type { ModelPart } from '../model.ts'

/** Filled while an answer is read, so that what is known is there also where the reading throws. */
export interface AnswerEnd {
  usage?: UsageMetadata | undefined
  /** In the provider's own word, where LangChain passes it on. */
  reason?: string | undefined
  hasToolCalls?: boolean
}

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

/** The words of many providers for the same four reasons. */
const reasonWords = {
  stop: 'stop end_turn stop_sequence eos eos_token end complete completed',
  length: 'length max_tokens max_output_tokens model_length model_context_window_exceeded error_limit',
  content_filter:
    'content_filter content_filtered safety image_safety refusal sensitive guardrail_intervened recitation blocklist prohibited_content spii error_toxic',
  tool_calls: 'tool_calls tool_call tool_use function_call',
} satisfies Partial<Record<FinishReason, string>>

const finishReasons = new Map(
  Object.entries(reasonWords).flatMap(([known, words]) => words.split(' ').map((word) => [word, known as FinishReason] as const)),
)

/**
 * Words by which providers say that they broke off: `error`, `insufficient_system_resource` (DeepSeek), `network_error`
 * (GLM), `abort` (vLLM), `malformed_function_call` (Google). A new one that is no failure is `other`.
 */
const failureWords =
  /(^|_)err|error|fail|abort|cancel|interrupt|terminat|time[d_]*out|insufficient|overload|unavailable|busy|exhaust|quota|rate_?limit|throttl|network|disconnect|exception|crash|malformed|unexpected|incomplete/i

/** Whether the model did not end by itself, so that the answer is not whole. */
export function saysFailure(reason: string): boolean {
  return !finishReasons.has(reason.toLowerCase()) && failureWords.test(reason)
}

/** Ollama and Google end a call of a tool with `stop`. */
export function* finishOf(reason: string | undefined, hasToolCalls = false): Generator<ModelPart> {
  const known = reason === undefined ? undefined : (finishReasons.get(reason.toLowerCase()) ?? 'other')
  const finishReason = hasToolCalls && known !== 'length' && known !== 'content_filter' ? 'tool_calls' : known
  if (finishReason !== undefined) yield { finishReason }
}
