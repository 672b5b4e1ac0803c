/** Why a message ended, in Anthropic's terms. */
import type { RunEnd, Usage } from '@millrace/protocol'

/** `hasCalls`: the client is to execute tools. */
export function stopReason({ status, finishReason }: Pick<RunEnd, 'status' | 'finishReason'>, hasCalls: boolean): string {
  if (status === 'waiting') return hasCalls ? 'tool_use' : 'pause_turn'
  if (finishReason === 'length') return 'max_tokens'
  return finishReason === 'content_filter' ? 'refusal' : 'end_turn'
}

type Counted = Pick<Usage, 'inputTokens' | 'outputTokens' | 'cachedInputTokens'>

/** Their `input_tokens` are those that were not in the cache. */
export function usageOf({ inputTokens, outputTokens, cachedInputTokens = 0 }: Counted): object {
  return {
    input_tokens: Math.max(0, inputTokens - cachedInputTokens),
    cache_creation_input_tokens: null,
    cache_read_input_tokens: cachedInputTokens > 0 ? cachedInputTokens : null,
    output_tokens: outputTokens,
  }
}
