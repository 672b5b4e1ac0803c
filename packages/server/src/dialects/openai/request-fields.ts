/** What the requests of both APIs have in common. Objects are loose: fields that are not named here are ignored. */
import { type ClientTool, limits, MillraceError, modelPattern, type Params } from '@millrace/protocol'
import { z } from 'zod'

const text = z.string()
const record = z.record(z.string(), z.unknown())

const modelName = text.regex(modelPattern, 'is no name of a model; GET /v1/models lists them')

export const commonFields = z.looseObject({
  model: modelName.nullish(),
  stream: z.boolean().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  tool_choice: z.unknown().optional(),
  metadata: z.record(z.string(), z.string()).nullish(),
})

/** A name for the server's own default, for clients that must send one. */
export function modelOf(name: string | null | undefined): string | undefined {
  return name === 'default' ? undefined : (name ?? undefined)
}

export const severalModels = z.array(modelName).min(1).max(limits.lanesMax).nullish()

/** In `metadata`: the session in which the run is kept. */
export const sessionKey = 'millrace_session'

export const tokens = z.number().int().min(1).max(10_000_000).nullish()

export const reasoningEffort = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])

/** Of Chat Completions; the Responses API has the schema beside its name. */
const jsonSchema = z.looseObject({ name: text.nullish(), schema: record.nullish(), strict: z.boolean().nullish() })

export const responseFormat = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text') }),
  z.looseObject({ type: z.literal('json_object') }),
  z.looseObject({ type: z.literal('json_schema'), json_schema: jsonSchema }),
])

export const textFormat = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text') }),
  z.looseObject({ type: z.literal('json_object') }),
  jsonSchema.extend({ type: z.literal('json_schema') }),
])

type Format = { readonly type: string } & Partial<z.output<typeof jsonSchema>>

export interface GivenParams {
  readonly temperature?: number | null | undefined
  readonly topP?: number | null | undefined
  readonly maxOutputTokens?: number | null | undefined
  readonly stop?: string | readonly string[] | null | undefined
  readonly seed?: number | null | undefined
  readonly reasoningEffort?: Params['reasoningEffort'] | null
  readonly format?: Format | null | undefined
  readonly toolChoice?: unknown
}

/** Null means the same as absent. */
export function toParams({ format, stop, toolChoice, ...given }: GivenParams): Params | undefined {
  const stops = typeof stop === 'string' ? [stop] : stop
  const all = {
    ...given,
    stop: stops?.length === 0 ? undefined : stops,
    responseFormat: toFormat(format),
    toolChoice: toToolChoice(toolChoice),
  }
  const entries = Object.entries(all).filter(([, value]) => value !== undefined && value !== null)
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as Params)
}

function toFormat(format: Format | null | undefined): Params['responseFormat'] {
  if (format?.type === 'json_object') return { type: 'json' }
  if (format?.type !== 'json_schema') return undefined
  const { name, schema, strict } = format
  return {
    type: 'json_schema',
    schema: (schema ?? {}) as ClientTool['input'] & object,
    ...(name != null && { name }),
    ...(strict != null && { strict }),
  }
}

export const functionTool = z.looseObject({
  name: text,
  description: text.nullish(),
  parameters: record.nullish(),
})

/** With the choice `none` there are no tools, and with `allowed_tools` only those. Throws `invalid_request` for others. */
export function toTools(tools: readonly z.output<typeof functionTool>[], choice: unknown): readonly ClientTool[] | undefined {
  if (choice === 'none') return undefined
  const names = allowedBy(choice)?.names
  const unknown = names?.find((name) => !tools.some((tool) => tool.name === name))
  if (unknown !== undefined) throw invalid('tool_choice', `allows ${JSON.stringify(unknown)}, which is not among the tools`)
  const chosen = names === undefined ? tools : tools.filter(({ name }) => names.includes(name))
  if (chosen.length === 0) return undefined
  return chosen.map(({ name, description, parameters }) => ({
    name,
    ...(description != null && { description }),
    ...(parameters != null && { input: parameters as ClientTool['input'] & object }),
  }))
}

const namedChoice = z.looseObject({
  type: z.literal('function'),
  name: text.optional(),
  function: z.looseObject({ name: text }).optional(),
})

const allowedTools = z.object({ mode: z.enum(['auto', 'required']), tools: z.array(namedChoice).min(1) })
/** Chat Completions has its members one level deeper. */
const allowedChoice = z
  .looseObject({ type: z.literal('allowed_tools') })
  .transform(({ allowed_tools: inner, ...own }) => inner ?? own)
  .pipe(allowedTools)

/** Undefined where every tool is allowed. */
function allowedBy(choice: unknown) {
  const { data } = allowedChoice.safeParse(choice)
  return data && { mode: data.mode, names: data.tools.map((tool) => nameOf(tool) ?? '') }
}

function nameOf({ name, function: inner }: z.output<typeof namedChoice>): string | undefined {
  return name ?? inner?.name
}

/** Undefined where the model decides. Throws `param_not_supported` for any choice but of functions and the three words. */
function toToolChoice(choice: unknown): Params['toolChoice'] {
  if (choice == null || choice === 'auto' || choice === 'none') return undefined
  if (choice === 'required') return choice
  const mode = allowedBy(choice)?.mode
  if (mode !== undefined) return mode === 'required' ? mode : undefined
  const { data } = namedChoice.safeParse(choice)
  const name = data && nameOf(data)
  if (name !== undefined) return { tool: name }
  const message = '`tool_choice` is `auto`, `none`, `required`, a function or `allowed_tools` with functions here.'
  throw new MillraceError('param_not_supported', { message })
}

/** Throws `invalid_request`, which names the field. */
export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const { data, error } = schema.safeParse(body)
  if (error === undefined) return data
  const [first] = error.issues
  if (first === undefined) throw invalid('body', 'is invalid')
  const { path, message } = innermost(first)
  throw invalid(path.join('.') || 'body', `is invalid: ${message}`)
}

type Issue = Pick<z.core.$ZodIssue, 'path' | 'message'> & { readonly errors?: readonly (readonly z.core.$ZodIssue[])[] }

/** Of a value that may be several things, what is wrong with the one that it is most like. */
function innermost({ path, message, errors = [] }: Issue): Issue {
  const [first, ...rest] = errors.flat().filter((issue) => issue.path.length > 0)
  if (first === undefined || message !== 'Invalid input') return { path, message }
  const inner = innermost(rest.reduce((best, issue) => (issue.path.length > best.path.length ? issue : best), first))
  return { ...inner, path: [...path, ...inner.path] }
}

export function invalid(field: string, problem: string): MillraceError {
  return new MillraceError('invalid_request', { message: `\`${field}\` ${problem}.` })
}
