/** What a client of Anthropic's Messages API sends: the whole conversation, each time. Objects are loose, as the API grows. */
import {
  type ClientTool,
  type Json,
  type Message,
  type MessagePart,
  MillraceError,
  modelPattern,
  type Params,
  type TextPart,
} from '@millrace/protocol'
import { z } from 'zod'
import type { AskInput } from '../../gateway/asking.ts'
import { checkAsked } from '../../sessions/asked.ts'
import type { FileBytesPart, MessageWithBytes } from '../../sessions/given-files.ts'

const block = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  id: z.string().optional(),
  name: z.string().optional(),
  input: z.unknown().optional(),
  tool_use_id: z.string().optional(),
  content: z.unknown().optional(),
  is_error: z.boolean().nullish(),
  source: z.looseObject({ type: z.string(), media_type: z.string().optional(), data: z.string().optional() }).optional(),
})
const blocks = z.string().or(z.array(block))

const effort = z.enum(['low', 'medium', 'high', 'xhigh', 'max'])

export const messagesBody = z.looseObject({
  model: z.string().regex(modelPattern).describe('`default` for that of the server'),
  max_tokens: z.number().int().min(1),
  messages: z.array(z.looseObject({ role: z.enum(['user', 'assistant', 'system']), content: blocks })).min(1),
  system: blocks.optional(),
  stream: z.boolean().optional(),
  temperature: z.number().min(0).max(1).optional(),
  top_p: z.number().min(0).max(1).optional(),
  stop_sequences: z.array(z.string()).optional(),
  tools: z
    .array(z.looseObject({ name: z.string(), description: z.string().optional(), input_schema: z.unknown().optional() }))
    .optional(),
  tool_choice: z
    .discriminatedUnion('type', [
      z.looseObject({ type: z.enum(['auto', 'none', 'any']) }),
      z.looseObject({ type: z.literal('tool'), name: z.string() }),
    ])
    .optional(),
  metadata: z.looseObject({ user_id: z.string().nullish() }).optional(),
  output_config: z
    .looseObject({ effort: effort.nullish(), format: z.looseObject({ type: z.string(), schema: z.unknown() }).nullish() })
    .optional(),
})

export type MessagesBody = z.output<typeof messagesBody>

export const countBody = messagesBody.extend({ max_tokens: messagesBody.shape.max_tokens.optional() })

export type CountBody = z.output<typeof countBody>
type Block = z.output<typeof block>
type Part = TextPart | FileBytesPart

/** Throws `invalid_request`, `param_not_supported` and `file_not_supported`, and as `checkAsked` does. */
export function toAsk(body: CountBody): {
  readonly ask: AskInput
  readonly messages: readonly (Message | MessageWithBytes)[]
} {
  const { model, system, messages, metadata } = body
  const instructions = system === undefined ? '' : textOf(system)
  const asked = checkAsked({
    ...(instructions !== '' && { instructions }),
    params: toParams(body),
    tools: toTools(body),
    ...(metadata?.user_id != null && { metadata: { user_id: metadata.user_id } }),
  })
  const ask = { ...asked, ...(model !== 'default' && { models: [model] }) } as AskInput
  return { ask, messages: messages.flatMap(toMessages) }
}

function toParams(body: CountBody): Params {
  const { max_tokens, temperature, top_p: topP, stop_sequences = [], output_config: output, tool_choice: choice } = body
  const { effort: reasoningEffort, format } = output ?? {}
  return {
    ...(max_tokens !== undefined && { maxOutputTokens: max_tokens }),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { topP }),
    ...(stop_sequences.length > 0 && { stop: stop_sequences }),
    ...(reasoningEffort != null && { reasoningEffort }),
    ...(choice?.type === 'any' && { toolChoice: 'required' }),
    ...(choice?.type === 'tool' && { toolChoice: { tool: choice.name } }),
    ...(format?.type === 'json_schema' && {
      responseFormat: { type: 'json_schema', schema: format.schema as ClientTool['input'] & object },
    }),
  }
}

/** Tools that Anthropic executes have a type of their own and no schema. */
function toTools({ tools = [], tool_choice: choice }: CountBody): readonly ClientTool[] | undefined {
  if (tools.length === 0 || choice?.type === 'none') return undefined
  return tools.map(({ name, description, input_schema: input }) => {
    if (input === undefined) throw unsupported(`The tool ${name} has no \`input_schema\`; tools of Anthropic's are not here.`)
    return { name, ...(description !== undefined && { description }), input: input as ClientTool['input'] & object }
  })
}

/** Results come in a message of the user, before what the user says. What a model thought before is not given again. */
function toMessages({ role, content }: MessagesBody['messages'][number]): (Message | MessageWithBytes)[] {
  if (typeof content === 'string') return [{ role, content }]
  if (role === 'assistant') {
    const said = content.flatMap(toSaid)
    return said.length === 0 ? [] : [{ role, content: said }]
  }
  const files: Part[] = []
  const results = content.filter(({ type }) => type === 'tool_result').map((result) => toResult(result, files))
  const said = content.filter(({ type }) => type !== 'tool_result').map(toPart)
  return [
    ...(results.length === 0 ? [] : [{ role: 'tool', content: results } as const]),
    ...(files.length + said.length === 0 ? [] : [{ role, content: [...files, ...said] } as Message | MessageWithBytes]),
  ]
}

function toSaid({ type, text = '', id = '', name = '', input = {} }: Block): MessagePart[] {
  if (type === 'text') return text === '' ? [] : [{ type, text }]
  return type === 'tool_use' ? [{ type: 'tool_call', id, name, arguments: input as Json }] : []
}

/** A result is text: its files are in the message of the user after the results, under the numbers that it has in their place. */
function toResult({ tool_use_id: call = '', content = '', is_error: isError }: Block, files: Part[]): MessagePart {
  const given = blocks.catch('').parse(content)
  const value = typeof given === 'string' ? given : given.map((each) => textOrNumber(toPart(each), files)).join('\n\n')
  return { type: 'tool_result', call, value, ...(isError === true && { isError }) }
}

function textOrNumber(part: Part, files: Part[]): string {
  if (part.type === 'text') return part.text
  const label = `[file ${files.filter(({ type }) => type === 'file').length + 1}]`
  files.push({ type: 'text', text: label }, part)
  return label
}

function toPart(block: Block): Part {
  const { type, data, media_type: mediaType } = block.source ?? {}
  if (type === 'text' && data !== undefined) return { type, text: data }
  if (type === 'base64' && data !== undefined && mediaType !== undefined)
    return { type: 'file', bytes: Buffer.from(data, 'base64'), mediaType }
  return toText(block)
}

function toText({ type, text }: Block): { readonly type: 'text'; readonly text: string } {
  if (type === 'text' && text !== undefined) return { type, text }
  throw new MillraceError('file_not_supported', { message: `A message has a block of type ${type} without its text or bytes.` })
}

function textOf(content: string | readonly Block[]): string {
  return typeof content === 'string' ? content : content.map((each) => toText(each).text).join('\n\n')
}

function unsupported(message: string): MillraceError {
  return new MillraceError('param_not_supported', { message })
}
