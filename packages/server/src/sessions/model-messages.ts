/** From the messages of a log to those that a model gets. */
import {
  type LanePart,
  type Message,
  type MessagePart,
  MillraceError,
  type Params,
  type ToolPart,
  textOfMessage,
} from '@millrace/protocol'
import type { Model, ModelMessage, TakenParam } from '../models/model.ts'
import { noFile, type ReadFile, toModelPart } from './message-files.ts'

export function toModelMessage(message: Message, readFile: ReadFile = noFile): ModelMessage {
  const { role, content } = message
  const hasMore = typeof content !== 'string' && content.some(({ type }) => type !== 'text')
  return { role, text: textOfMessage(message), ...(hasMore && { parts: content.map((part) => toModelPart(part, readFile)) }) }
}

/**
 * What a lane has said and called, as its model is to get it: each step is a message of the assistant, and one of its tools.
 * A call without a result was never finished, and no provider accepts it. `pending`: those that are about to get theirs.
 */
export function answerMessages(parts: readonly LanePart[], pending: ReadonlySet<string> = new Set()): ModelMessage[] {
  const messages: ModelMessage[] = []
  let said: MessagePart[] = []
  let results: MessagePart[] = []
  const flush = () => {
    if (said.length > 0) messages.push(toModelMessage({ role: 'assistant', content: said }))
    if (results.length > 0) messages.push(toModelMessage({ role: 'tool', content: results }))
    said = []
    results = []
  }
  let isOpen = false
  for (const part of parts) {
    if (part.type === 'step') flush()
    else if (part.type === 'text' && part.text !== '') {
      // Text after calls is of the next step, also where a model that executes them says nothing of its steps.
      if (isOpen) flush()
      isOpen = false
      said.push({ type: 'text', text: part.text })
    } else if (part.type === 'tool' && (pending.has(part.call) || hasResult(part))) {
      isOpen = true
      said.push({ type: 'tool_call', id: part.call, name: part.name, arguments: part.arguments ?? {} })
      if (!pending.has(part.call)) results.push(toResult(part))
    }
  }
  flush()
  return messages
}

function hasResult({ state, value, preliminary }: ToolPart): boolean {
  return state === 'rejected' || (value !== undefined && preliminary === undefined)
}

function toResult({ call, value, state, decision }: ToolPart): MessagePart {
  const isError = state !== 'done'
  const isWithdrawn = decision?.decision === 'withdraw'
  const why = isWithdrawn ? 'The answer was stopped before anybody decided.' : 'The call was rejected.'
  return { type: 'tool_result', call, value: value ?? decision?.reason ?? why, ...(isError && { isError }) }
}

/** Instructions are one message, before the conversation; a first message of the system becomes a part of it. */
export function withInstructions(
  instructions: readonly (string | undefined)[],
  messages: readonly ModelMessage[],
): readonly ModelMessage[] {
  const texts = instructions.filter((text) => text !== undefined && text !== '')
  if (texts.length === 0) return messages
  const [first, ...rest] = messages
  const isSystem = first?.role === 'system'
  const text = [...texts, ...(isSystem ? [first.text] : [])].join('\n\n')
  return [{ role: 'system', text }, ...(isSystem ? rest : messages)]
}

/** Throws `param_not_supported`. */
export function requireTaken({ name, takes = [] }: Pick<Model, 'name' | 'takes'>, params: Params = {}): void {
  const asked = Object.keys(params) as TakenParam[]
  if (params.responseFormat?.type === 'json_schema') asked.push('responseFormat.json_schema')
  const refused = asked.find((param) => !takes.includes(param))
  if (refused === undefined) return
  const message = `The model ${name} does not take \`params.${refused}\`; leave it out, or ask another model.`
  throw new MillraceError('param_not_supported', { message })
}
