/** Why a message ended, in Anthropic's terms. */
import type { RunEnd, Usage } from '@millrace/protocol'

/** `hasCalls`: the client is to execute tools. */
export function stopReason({ status, finishReason }: Pick<RunEnd, 'status' | 'finishReason'>, hasCalls: boolean): string {
  if (status === 'waiting') return hasCalls ? 'tool_use' : 'pause_turn'
  if (finishReason === 'length') return 'max_tokens'
  return finishReason === 'content_filter' ? 'refusal' : 'end_turn'
}

export function usageOf({ inputTokens, outputTokens }: Pick<Usage, 'inputTokens' | 'outputTokens'>): object {
  return {
    input_tokens: inputTokens,
    cache_creation_input_tokens: null,
    cache_read_input_tokens: null,
    output_tokens: outputTokens,
  }
}
