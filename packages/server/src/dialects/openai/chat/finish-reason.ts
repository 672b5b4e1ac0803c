/** Why a choice ended, in OpenAI's words. */
import type { EndStatus, FinishReason } from '@millrace/protocol'

export interface EndedLane {
  readonly status: EndStatus
  readonly finishReason?: FinishReason | undefined
}

/** `hasCalls`: the client is to execute calls of the lane. */
export function finishReasonOf({ status, finishReason }: EndedLane, hasCalls: boolean): string {
  if (status === 'waiting' && hasCalls) return 'tool_calls'
  return status === 'completed' && (finishReason === 'length' || finishReason === 'content_filter') ? finishReason : 'stop'
}
