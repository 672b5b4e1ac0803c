/**
 * The parameters of a run in the body of a request to a provider. They are written where the request is sent, and not through
 * a package of LangChain: those keep some of them in the model, which other runs use at the same time, know others as options
 * of a call, and leave out what they do not know of a model's name.
 */
import type { Params } from '@millrace/protocol'
import type { TakenParam } from '../model.ts'
import type { Fields } from './provider-chunk.ts'

const common: readonly TakenParam[] = [
  'temperature',
  'topP',
  'maxOutputTokens',
  'reasoningEffort',
  'responseFormat',
  'toolChoice',
  'provider',
]
const schemas: TakenParam = 'responseFormat.json_schema'

/** By `_llmType()`: the models whose requests are written here, and what their APIs have. */
const families: Readonly<Record<string, readonly TakenParam[]>> = {
  openai: [...common, schemas, 'stop', 'seed'],
  azure_openai: [...common, schemas, 'stop', 'seed'],
  // Its JSON mode has no schema.
  deepseek: [...common, 'stop'],
  groq: [...common, schemas, 'stop', 'seed'],
  mistral_ai: [...common, schemas, 'stop', 'seed'],
  xai: [...common, schemas, 'stop', 'seed'],
}

interface ChatModel {
  _llmType(): string
  /** Of OpenAI's, which has two APIs. */
  _useResponsesApi?(options: undefined): boolean
}

export function takenBy(chatModel: ChatModel): readonly TakenParam[] {
  const taken = families[chatModel._llmType()] ?? []
  // Responses have neither.
  return chatModel._useResponsesApi?.(undefined) ? taken.filter((param) => param !== 'stop' && param !== 'seed') : taken
}

/** The body with the parameters, which replace those of the model. */
export function withParams(
  body: Fields,
  params: Params,
  { url, family }: { readonly url: URL; readonly family: string },
): Fields {
  const { temperature, topP, maxOutputTokens, stop, seed, provider = {} } = params
  const isResponses = url.pathname.endsWith('/responses')
  const { max_tokens, max_completion_tokens, max_output_tokens, ...rest } = body
  const limits = withoutAbsent({ max_tokens, max_completion_tokens, max_output_tokens })
  const limit = isResponses ? 'max_output_tokens' : limitOf(body, url, family)
  return {
    ...rest,
    ...(maxOutputTokens === undefined ? limits : { [limit]: maxOutputTokens }),
    ...provider,
    ...withoutAbsent({ temperature, top_p: topP, stop, [family === 'mistral_ai' ? 'random_seed' : 'seed']: seed }),
    ...(isResponses ? toResponses(params, body) : toCompletions(params)),
  }
}

/** OpenAI's newer models take only the new name, and other servers of its protocol often only the old one. */
function limitOf(body: Fields, { hostname }: URL, family: string): string {
  const isNew = ['groq', 'xai', 'azure_openai'].includes(family) || hostname.endsWith('.openai.com')
  return isNew || 'max_completion_tokens' in body ? 'max_completion_tokens' : 'max_tokens'
}

function toCompletions({ reasoningEffort, responseFormat, toolChoice }: Params): Fields {
  const format =
    responseFormat &&
    (responseFormat.type === 'json_schema'
      ? { type: 'json_schema', json_schema: toSchema(responseFormat) }
      : { type: nameOf(responseFormat) })
  const choice = typeof toolChoice === 'object' ? { type: 'function', function: { name: toolChoice.tool } } : toolChoice
  return withoutAbsent({ reasoning_effort: reasoningEffort, response_format: format, tool_choice: choice })
}

function toResponses({ reasoningEffort, responseFormat, toolChoice }: Params, { reasoning, text }: Fields): Fields {
  const format =
    responseFormat &&
    (responseFormat.type === 'json_schema'
      ? { type: 'json_schema', ...toSchema(responseFormat) }
      : { type: nameOf(responseFormat) })
  return withoutAbsent({
    reasoning: reasoningEffort && { ...(reasoning as Fields), effort: reasoningEffort },
    text: format && { ...(text as Fields), format },
    tool_choice: typeof toolChoice === 'object' ? { type: 'function', name: toolChoice.tool } : toolChoice,
  })
}

type Schema = Extract<Params['responseFormat'], { type: 'json_schema' }>

function toSchema({ name = 'answer', schema, strict = true }: Schema): Fields {
  return { name, schema, strict }
}

function nameOf({ type }: { readonly type: 'text' | 'json' }): string {
  return type === 'json' ? 'json_object' : type
}

function withoutAbsent(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
