/** What was decided in a message of the AI SDK about the calls of its tools. */
import type { CallDecision, Json, LanePart, ToolPart } from '@millrace/protocol'
import type { UIMessage } from 'ai'

export function isWaiting(part: LanePart): part is ToolPart {
  return part.type === 'tool' && part.state === 'waiting'
}

/** Of the calls that wait: what is in the message of others came from the server. */
export function readDecisions({ parts }: UIMessage, waiting: ReadonlySet<string>): readonly CallDecision[] {
  return parts.flatMap((part): CallDecision[] => {
    if (!('toolCallId' in part) || !waiting.has(part.toolCallId)) return []
    const { toolCallId: call } = part
    if (part.state === 'output-available') return [{ call, decision: 'result', value: part.output as Json }]
    if (part.state === 'output-error') return [{ call, decision: 'result', value: part.errorText, isError: true }]
    if (part.state !== 'approval-responded') return []
    const { id: approval, approved, reason } = part.approval
    if (approved) return [{ call, approval, decision: 'approve' }]
    return [{ call, approval, decision: 'reject', ...(reason !== undefined && { reason }) }]
  })
}
