/** A request of Chat Completions, as a question. */
import { limits, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { AskInput } from '../../../gateway/asking.ts'
import { checkAsked } from '../../../sessions/asked.ts'
import { type GivenMessage, withPlaces } from '../files.ts'
import {
  commonFields,
  functionTool,
  invalid,
  modelOf,
  parseBody,
  reasoningEffort,
  responseFormat,
  sessionKey,
  severalModels,
  tokens,
  toParams,
  toTools,
} from '../request-fields.ts'
import { chatMessage, toMessages } from './messages.ts'

const chatFields = commonFields.extend({
  messages: z.array(chatMessage).min(1),
  /** Several models, one choice each. Not of OpenAI. */
  models: severalModels,
  n: z.number().int().min(1).max(limits.lanesMax).nullish(),
  max_tokens: tokens,
  max_completion_tokens: tokens,
  stop: z.string().or(z.array(z.string())).nullish(),
  seed: z.number().int().min(0).max(2_147_483_647).nullish(),
  reasoning_effort: reasoningEffort.nullish(),
  response_format: responseFormat.nullish(),
  tools: z.array(z.looseObject({ type: z.literal('function'), function: functionTool })).nullish(),
  functions: z.array(z.unknown()).nullish(),
  logprobs: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
})

export interface ChatRequest {
  readonly input: AskInput
  /** Those of the input, with the bytes of their files. */
  readonly messages: readonly GivenMessage[]
  readonly isStreamed: boolean
  readonly includeUsage: boolean
}

/**
 * The client posts its whole history with each request, so the run follows no other one. Throws `invalid_request`,
 * `param_not_supported`, `file_not_supported`, and what the order of the messages lacks.
 */
export function toChatRequest(body: unknown): ChatRequest {
  const given = parseBody(chatFields, body)
  if (given.functions != null && given.functions.length > 0) throw unsupported('functions', 'send `tools` in place of it')
  if (given.logprobs === true) throw unsupported('logprobs', 'leave it out')
  const { [sessionKey]: session, ...metadata } = given.metadata ?? {}
  const params = toParams({
    temperature: given.temperature,
    topP: given.top_p,
    maxOutputTokens: given.max_completion_tokens ?? given.max_tokens,
    stop: given.stop,
    seed: given.seed,
    reasoningEffort: given.reasoning_effort,
    toolChoice: given.tool_choice,
    format:
      given.response_format?.type === 'json_schema'
        ? { ...given.response_format.json_schema, type: 'json_schema' }
        : given.response_format,
  })
  const messages = toMessages(given.messages)
  const asked = checkAsked({
    messages: withPlaces(messages),
    params,
    tools: toTools(
      (given.tools ?? []).map((tool) => tool.function),
      given.tool_choice,
    ),
    metadata,
    parent: session === undefined ? undefined : null,
  })
  return {
    input: { ...asked, models: lanesOf(given.model, given.models, given.n ?? 1), session } as AskInput,
    messages,
    isStreamed: given.stream === true,
    includeUsage: given.stream_options?.include_usage === true,
  }
}

/** Each choice is a lane. */
function lanesOf(model: string | null | undefined, models: readonly string[] | null | undefined, n: number) {
  const names = models ?? [modelOf(model)]
  if (names.length * n > limits.lanesMax) throw invalid('n', `makes more than ${limits.lanesMax} choices`)
  const lanes = names.flatMap((name) => Array.from({ length: n }, () => name))
  if (lanes.length === 1 && lanes[0] === undefined) return undefined
  const [first] = lanes
  if (first === undefined) throw invalid('model', 'is missing, which several choices need')
  return lanes.map((name) => name ?? first)
}

function unsupported(field: string, advice: string): MillraceError {
  return new MillraceError('param_not_supported', { message: `\`${field}\` is not supported; ${advice}.` })
}
