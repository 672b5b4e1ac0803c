/** Usage in the two shapes of OpenAI's API. */
import type { Usage } from '@millrace/protocol'

export function completionUsage({ inputTokens, outputTokens, totalTokens, reasoningTokens = 0, cachedInputTokens = 0 }: Usage) {
  return {
    prompt_tokens: inputTokens,
    prompt_tokens_details: { cached_tokens: cachedInputTokens },
    completion_tokens: outputTokens,
    total_tokens: totalTokens,
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  }
}

export function responseUsage({ inputTokens, outputTokens, totalTokens, reasoningTokens = 0, cachedInputTokens = 0 }: Usage) {
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: cachedInputTokens },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: totalTokens,
  }
}
