/** Usage and finish reason of LangChain's models in Millrace's terms; absent if the provider did not send them. */
import type { FinishReason } from '@millrace/protocol'
import type { ModelPart } from '../model.ts'

/** Filled while an answer is read, so that it is available when reading throws. */
export interface AnswerEnd {
  usage?: UsageMetadata | undefined
  /** In the provider's term, if LangChain passes it on. */
  reason?: string | undefined
  hasToolCalls?: boolean
}

export interface UsageMetadata {
  readonly input_tokens?: number | null | undefined
  readonly output_tokens?: number | null | undefined
  readonly total_tokens?: number | null | undefined
  readonly input_token_details?: { readonly cache_read?: number | null | undefined } | undefined
  readonly output_token_details?: { readonly reasoning?: number | null | undefined } | undefined
}

/** Undefined for usage without counts, or with zeros: counting deltas is closer to the truth than 0. */
export function* usageOf(usage: UsageMetadata | undefined): Generator<ModelPart> {
  const inputTokens = usage?.input_tokens ?? 0
  const outputTokens = usage?.output_tokens ?? 0
  const reasoningTokens = usage?.output_token_details?.reasoning ?? 0
  const cachedInputTokens = usage?.input_token_details?.cache_read ?? 0
  // Some providers count more than the two, and so does their bill.
  const totalTokens = Math.max(usage?.total_tokens ?? 0, inputTokens + outputTokens)
  if (inputTokens + outputTokens > 0)
    yield {
      usage: {
        inputTokens,
        outputTokens,
        totalTokens,
        ...(reasoningTokens > 0 && { reasoningTokens }),
        ...(cachedInputTokens > 0 && { cachedInputTokens }),
      },
    }
}

/** The terms of many providers for the same four reasons. */
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
 * Reasons of answers that broke off: `error`, `insufficient_system_resource` (DeepSeek), `network_error` (GLM), `abort`
 * (vLLM), `malformed_function_call` (Google). An unknown reason that is not a failure is `other`.
 */
const failureWords =
  /(^|_)err|error|fail|abort|cancel|interrupt|terminat|time[d_]*out|insufficient|overload|unavailable|busy|exhaust|quota|rate_?limit|throttl|network|disconnect|exception|crash|malformed|unexpected|incomplete/i

/** Whether the model did not end by itself, so that the answer is incomplete. */
export function saysFailure(reason: string): boolean {
  return !finishReasons.has(reason.toLowerCase()) && failureWords.test(reason)
}

/** Ollama and Google end a tool call with `stop`. */
export function* finishOf(reason: string | undefined, hasToolCalls = false): Generator<ModelPart> {
  const known = reason === undefined ? undefined : (finishReasons.get(reason.toLowerCase()) ?? 'other')
  const finishReason = hasToolCalls && known !== 'length' && known !== 'content_filter' ? 'tool_calls' : known
  if (finishReason !== undefined) yield { finishReason }
}
