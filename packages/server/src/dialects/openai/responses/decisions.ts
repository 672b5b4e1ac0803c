/** What an input decides about calls that wait, in place of a question. */
import type { DecisionInput } from '../../../sessions/decisions.ts'
import { textOfContent } from '../files.ts'
import { parseApprovalId, type RunName } from '../ids.ts'
import { invalid } from '../request-fields.ts'
import type { GivenItem, Input } from './input.ts'

export interface Decided {
  /** The response whose calls wait. */
  readonly name: RunName
  readonly decisions: readonly DecisionInput[]
}

/**
 * Undefined where the input decides nothing: it has no approval after the last item of an answer. What is before is the
 * history, which the run that waits has. Throws `invalid_request` for what is sent with approvals and is no result of a call.
 */
export function toDecisions(input: Input, previous: RunName | undefined): Decided | undefined {
  if (typeof input === 'string') return undefined
  const begin = input.findLastIndex(isOfAnswer) + 1
  const first = input.slice(begin).find((item) => item.type === 'mcp_approval_response')
  if (first === undefined) return undefined
  const name = previous ?? parseApprovalId(first.approval_request_id)?.name
  if (name === undefined) throw invalid(`input.${input.indexOf(first)}`, 'decides about no call of a response that is known here')
  const decisions = input.flatMap((item, index): DecisionInput[] => {
    if (index < begin || isRequest(item)) return []
    const field = `input.${index}`
    if (item.type === 'function_call_output')
      return [{ call: item.call_id, decision: 'result', value: textOfContent(item.output, `${field}.output`) }]
    if (item.type !== 'mcp_approval_response') throw invalid(field, 'is not sent with approvals')
    const { approval_request_id: id, approve, reason } = item
    const asked = parseApprovalId(id)
    if (asked?.name.session !== name.session || asked.name.run !== name.run)
      throw invalid(field, 'decides about a call of another response')
    const decision = approve ? 'approve' : 'reject'
    return [{ approval: asked.approval, decision, ...(!approve && reason != null && { reason }) }]
  })
  return { name, decisions }
}

/** What a client sends again before its decision. */
function isRequest(item: GivenItem): boolean {
  return item.type === 'mcp_approval_request' || (item.type === 'item_reference' && parseApprovalId(item.id) !== undefined)
}

function isOfAnswer(item: GivenItem): boolean {
  switch (item.type) {
    case 'function_call':
    case 'mcp_call':
    case 'reasoning':
      return true
    case 'item_reference':
      return !isRequest(item)
    default:
      return 'role' in item && item.role === 'assistant'
  }
}
