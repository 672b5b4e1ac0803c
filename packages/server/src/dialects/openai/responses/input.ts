/** The `input` of a response, as messages. */
import type { Json, Message } from '@millrace/protocol'
import { z } from 'zod'
import { callId } from '../../../sessions/asked.ts'
import { parseArguments } from '../../../tools/json.ts'
import { digestId } from '../../shared/id-of-name.ts'
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
/** To an item that this server has shown; the type may be left out. */
const reference = z
  .strictObject({ type: z.literal('item_reference').nullish(), id: z.string() })
  .transform(({ id }) => ({ type: 'item_reference' as const, id }))

export const item = z.union(
  [functionCall, functionOutput, serverCall, passedOver, approvalResponse, message],
  'is no item that can be sent here',
)
export const responseInput = z
  .string()
  .min(1)
  .or(z.array(z.union([...item.options, reference], 'is no item that can be sent here')).min(1))

export type Input = z.output<typeof responseInput>
export type GivenItem = Exclude<Input, string>[number]
export type Item = z.output<typeof item>

/**
 * Calls and texts that follow each other are one message of the assistant, results one of tools. Throws `file_not_supported`
 * and `invalid_request`.
 */
export function toInputMessages(
  input: string | readonly Item[],
  { unanswered, calls }: PreviousResponse,
): readonly GivenMessage[] {
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
    // What it decided is in the answer after it: decisions.ts.
    case 'mcp_approval_response':
      return []
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
  // The id of an item may be longer than that of a call may be.
  const own = callId.safeParse(id).success ? id : digestId([id])
  const call = names.begin(own)
  const value: Json = isError ? (typeof error === 'string' ? error : JSON.stringify(error)) : (output ?? '')
  return [
    { role: 'assistant', content: [{ type: 'tool_call', id: call, name, arguments: parseArguments(given) }] },
    { role: 'tool', content: [{ type: 'tool_result', call: names.end(own), value, ...(isError && { isError }) }] },
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
