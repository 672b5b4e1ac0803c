/** The `input` of a response, as messages. */
import type { Json, Message } from '@millrace/protocol'
import { z } from 'zod'
import type { DecisionInput } from '../../../sessions/decisions.ts'
import { parseArguments } from '../../../tools/json.ts'
import { CallNames } from '../call-names.ts'
import { contentPart, type GivenMessage, readContent, textOfContent } from '../files.ts'
import { invalid } from '../request-fields.ts'
import type { PreviousResponse } from './previous.ts'

const content = z.string().or(z.array(contentPart))

const message = z.looseObject({
  type: z.literal('message').optional(),
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content,
})
const functionCall = z.looseObject({
  type: z.literal('function_call'),
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
})
const functionOutput = z.looseObject({ type: z.literal('function_call_output'), call_id: z.string(), output: content })
/** A call of a tool of the server, which the client sends back as it got it. */
const serverCall = z.looseObject({
  type: z.literal('mcp_call'),
  id: z.string(),
  name: z.string(),
  arguments: z.string(),
  output: z.string().nullish(),
  error: z.unknown().optional(),
})
/** Of an earlier answer, which no model gets again. */
const passedOver = z.looseObject({ type: z.enum(['reasoning', 'mcp_approval_request']) })
const approvalResponse = z.looseObject({
  type: z.literal('mcp_approval_response'),
  approval_request_id: z.string(),
  approve: z.boolean(),
  reason: z.string().nullish(),
})

export const responseInput = z
  .string()
  .min(1)
  .or(
    z
      .array(
        z.union(
          [functionCall, functionOutput, serverCall, passedOver, approvalResponse, message],
          'is no item that can be sent here',
        ),
      )
      .min(1),
  )

type Input = z.output<typeof responseInput>
type Item = Exclude<Input, string>[number]

/**
 * Calls and texts that follow each other are one message of the assistant, results one of tools. Throws `file_not_supported`
 * and `invalid_request`.
 */
export function toInputMessages(input: Input, { unanswered, calls }: PreviousResponse): readonly GivenMessage[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }]
  const names = new CallNames()
  const given = new Set(input.flatMap((item) => (item.type === 'function_call' ? [item.call_id] : [])))
  const answered = new Set(input.flatMap((item) => (item.type === 'function_call_output' ? [item.call_id] : [])))
  const before = calls.filter(({ id }) => answered.has(id) && !given.has(id))
  const asked = before.length === 0 ? [] : unanswered
  for (const { content: parts } of asked)
    for (const part of typeof parts === 'string' ? [] : parts) if (part.type === 'tool_call') names.use(part.id)
  const called = before.map((call): Message => {
    return { role: 'assistant', content: [{ ...call, type: 'tool_call', id: names.begin(call.id) }] }
  })
  return [...asked, ...joined([...called, ...input.flatMap((item, index) => toMessages(item, `input.${index}`, names))])]
}

/**
 * What the input decides about calls of the response before; undefined where it decides nothing. Throws `invalid_request`
 * for what is neither an approval nor the result of a call.
 */
export function toDecisions(input: Input): readonly DecisionInput[] | undefined {
  if (typeof input === 'string' || !input.some(({ type }) => type === 'mcp_approval_response')) return undefined
  return input.map((item, index): DecisionInput => {
    if (item.type === 'function_call_output')
      return { call: item.call_id, decision: 'result', value: textOfContent(item.output, `input.${index}.output`) }
    if (item.type !== 'mcp_approval_response') throw invalid(`input.${index}`, 'is not sent with approvals')
    const { approval_request_id: approval, approve, reason } = item
    return { approval, decision: approve ? 'approve' : 'reject', ...(!approve && reason != null && { reason }) }
  })
}

function toMessages(item: Item, field: string, names: CallNames): GivenMessage[] {
  switch (item.type) {
    case 'function_call': {
      const call = { id: names.begin(item.call_id), name: item.name, arguments: parseArguments(item.arguments) }
      return [{ role: 'assistant', content: [{ type: 'tool_call', ...call }] }]
    }
    case 'function_call_output': {
      const value = textOfContent(item.output, `${field}.output`)
      return [{ role: 'tool', content: [{ type: 'tool_result', call: names.end(item.call_id), value }] }]
    }
    case 'mcp_call':
      return serverCallMessages(item, names)
    case 'reasoning':
    case 'mcp_approval_request':
      return []
    case 'mcp_approval_response':
      throw invalid(field, 'decides about a response that `previous_response_id` does not name')
    default: {
      const { role } = item
      if (role === 'user') {
        const said = readContent(item.content, `${field}.content`)
        if (said.length === 0) throw invalid(`${field}.content`, 'is empty')
        return [typeof said === 'string' ? { role, content: said } : { role, content: said }]
      }
      const text = textOfContent(item.content, `${field}.content`)
      return text === '' ? [] : [{ role: role === 'developer' ? 'system' : role, content: text }]
    }
  }
}

/** One without a result was never finished, and no model gets it. */
function serverCallMessages(
  { id, name, arguments: given, output, error }: z.output<typeof serverCall>,
  names: CallNames,
): Message[] {
  const isError = error !== undefined && error !== null
  if (output == null && !isError) return []
  const call = names.begin(id)
  const value: Json = isError ? (typeof error === 'string' ? error : JSON.stringify(error)) : (output ?? '')
  return [
    { role: 'assistant', content: [{ type: 'tool_call', id: call, name, arguments: parseArguments(given) }] },
    { role: 'tool', content: [{ type: 'tool_result', call: names.end(id), value, ...(isError && { isError }) }] },
  ]
}

function joined(all: readonly GivenMessage[]): readonly GivenMessage[] {
  const messages: GivenMessage[] = []
  for (const message of all) {
    const { role, content: parts } = message
    const last = messages.at(-1)
    if ((role !== 'assistant' && role !== 'tool') || last?.role !== role) messages.push(message)
    else messages[messages.length - 1] = { role, content: [...partsOf(last.content), ...partsOf(parts)] } as Message
  }
  return messages
}

function partsOf(content: GivenMessage['content']): readonly object[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}
