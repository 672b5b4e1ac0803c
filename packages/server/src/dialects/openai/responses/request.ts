/** A request of the Responses API, as a question. */
import { idPattern, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { AskInput } from '../../../gateway/asking.ts'
import { checkAsked } from '../../../sessions/asked.ts'
import { type GivenMessage, withPlaces } from '../files.ts'
import { parseId, type RunName } from '../ids.ts'
import {
  commonFields,
  functionTool,
  invalid,
  modelOf,
  parseBody,
  reasoningEffort,
  sessionKey,
  textFormat,
  tokens,
  toParams,
  toTools,
} from '../request-fields.ts'
import { type Decided, toDecisions } from './decisions.ts'
import { type Input, type Item, responseInput, toInputMessages } from './input.ts'
import type { PreviousResponse } from './previous.ts'

const responseFields = commonFields.extend({
  input: responseInput,
  instructions: z.string().nullish(),
  max_output_tokens: tokens,
  reasoning: z.looseObject({ effort: reasoningEffort.nullish() }).nullish(),
  text: z.looseObject({ format: textFormat.nullish() }).nullish(),
  tools: z.array(z.looseObject({ type: z.string() })).nullish(),
  previous_response_id: z.string().nullish(),
  conversation: z
    .string()
    .or(z.looseObject({ id: z.string() }))
    .nullish(),
  background: z.boolean().nullish(),
})

export interface ResponseRequest {
  readonly isStreamed: boolean
  /** The response to a request that is not streamed does not wait for the end. */
  readonly isBackground: boolean
  /** The response that this one follows. */
  readonly previous: RunName | undefined
  /** In place of a question. */
  readonly decided: Decided | undefined
  readonly given: Input
  /** `items`: what is given, with its references resolved. Throws what the order of the messages lacks. */
  readonly toInput: (items: string | readonly Item[], previous: PreviousResponse) => ResponseInput
}

interface ResponseInput {
  readonly input: AskInput
  readonly messages: readonly GivenMessage[]
}

/** Throws `invalid_request`, `param_not_supported`, `file_not_supported` and `parent_not_found`. */
export function toResponseRequest(body: unknown): ResponseRequest {
  const given = parseBody(responseFields, body)
  const previous = given.previous_response_id == null ? undefined : requirePrevious(given.previous_response_id)
  const { [sessionKey]: named, ...metadata } = given.metadata ?? {}
  const conversation = given.conversation == null ? undefined : requireConversation(given.conversation)
  if ((previous !== undefined ? 1 : 0) + (conversation !== undefined ? 1 : 0) + (named !== undefined ? 1 : 0) > 1)
    throw invalid('previous_response_id', 'and `conversation` exclude each other')
  const params = toParams({
    temperature: given.temperature,
    topP: given.top_p,
    maxOutputTokens: given.max_output_tokens,
    reasoningEffort: given.reasoning?.effort,
    format: given.text?.format,
    toolChoice: given.tool_choice,
  })
  const tools = toTools((given.tools ?? []).map(requireFunction), given.tool_choice)
  const model = modelOf(given.model)
  const instructions = given.instructions?.trim() || undefined
  // What it does not follow is the beginning of a conversation, also in a session that has others.
  const parent = previous?.run ?? (conversation === undefined && named !== undefined ? null : undefined)
  return {
    isStreamed: given.stream === true,
    isBackground: given.background === true,
    previous,
    decided: toDecisions(given.input, previous),
    given: given.input,
    toInput(items, before) {
      const messages = toInputMessages(items, before)
      if (messages.length === 0) throw invalid('input', 'has nothing that can be answered')
      const asked = checkAsked({ messages: withPlaces(messages), instructions, params, tools, metadata, parent })
      const session = previous?.session ?? conversation ?? named
      return { input: { ...asked, ...(model !== undefined && { models: [model] }), session } as AskInput, messages }
    },
  }
}

function requirePrevious(id: string): RunName {
  const name = parseId('resp', id)
  if (name === undefined)
    throw new MillraceError('parent_not_found', { message: '`previous_response_id` is no id of a response of this server.' })
  return name
}

function requireConversation(given: string | { readonly id: string }): string {
  const id = typeof given === 'string' ? given : given.id
  const session = id.startsWith('conv_') ? id.slice(5) : id
  if (!idPattern.test(session)) throw invalid('conversation', 'is no id of a conversation')
  return session
}

function requireFunction(tool: { readonly type: string }, index: number): z.output<typeof functionTool> {
  if (tool.type === 'function') return parseBody(functionTool, tool)
  const message = `\`tools.${index}.type\` is ${JSON.stringify(tool.type)}; only functions can be declared here.`
  throw new MillraceError('param_not_supported', { message })
}
