/** From the messages of a log to those that a model gets. */
import { type Message, MillraceError, type Params, textOfMessage } from '@millrace/protocol'
import type { Model, ModelMessage, TakenParam } from '../models/model.ts'

export function toModelMessage(message: Message): ModelMessage {
  const { role, content } = message
  const hasMore = typeof content !== 'string' && content.some(({ type }) => type !== 'text')
  return { role, text: textOfMessage(message), ...(hasMore && { parts: content }) }
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
