/** The tools of a server, by name, with their schemas compiled. */
import { type ClientTool, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import { fromLangChainTool, isLangChainTool, type LangChainTool } from './langchain.ts'
import type { JsonSchema, Tool, ToolDefinition } from './tool.ts'

/** By name, or a list of LangChain's, which have names. */
export type ToolsOption = Readonly<Record<string, Tool | LangChainTool>> | readonly LangChainTool[]

export interface NamedTool extends Tool {
  readonly name: string
  /** The arguments as the tool gets them. Throws `arguments_invalid`, with what is wrong for the model. */
  check(input: unknown): unknown
}

export interface ToolSet {
  readonly size: number
  get(name: string): NamedTool | undefined
  /** What models get: the same list for every run, by which a model can keep what it makes of them. */
  readonly definitions: readonly ToolDefinition[]
  /** With the tools that a model brings, which go before those of the same name. The same set for the same tools. */
  with(tools: ToolsOption | undefined): ToolSet
  /** With the tools of a request, which its client executes. Throws `invalid_request` where one has a name that is taken. */
  withOfClient(tools: readonly ClientTool[] | undefined): ToolSet
}

/** Every provider takes these names. */
const namePattern = /^[A-Za-z0-9_-]{1,64}$/

/** Throws a TypeError for what no model could call. */
export function createTools(options: ToolsOption = {}): ToolSet {
  return toSet(toMap(options))
}

type Tools = ReadonlyMap<string, NamedTool & { readonly definition: ToolDefinition }>

function toMap(options: ToolsOption): Tools {
  const entries: readonly (readonly [string, Tool | LangChainTool])[] = isList(options)
    ? options.map((tool) => [tool.name, tool] as const)
    : Object.entries(options)
  return new Map(entries.map(([name, tool]) => [name, toNamed(name, tool)]))
}

function toSet(tools: Tools): ToolSet {
  /** By the tools of a model, which it has for all its runs: schemas are compiled once. */
  const extended = new WeakMap<ToolsOption, ToolSet>()
  const set: ToolSet = {
    size: tools.size,
    get: (name) => tools.get(name),
    definitions: [...tools.values()].map(({ definition }) => definition),
    with(more) {
      if (more === undefined) return set
      const known = extended.get(more) ?? toSet(new Map([...tools, ...toMap(more)]))
      extended.set(more, known)
      return known
    },
    withOfClient(more) {
      if (more === undefined) return set
      const taken = more.find(({ name }) => tools.has(name))
      if (taken !== undefined) throw new MillraceError('invalid_request', { message: nameTaken(taken.name) })
      return toSet(new Map([...tools, ...more.map((tool) => [tool.name, ofClient(tool)] as const)]))
    },
  }
  return set
}

/** The client checks the arguments: a schema from outside could have a pattern that takes minutes to match. */
function ofClient({ name, description = '', input }: ClientTool): NamedTool & { readonly definition: ToolDefinition } {
  const check = (value: unknown) => requireArguments(name, anything.safeParse(value))
  return { name, description, definition: { name, description, input: { ...noArguments, ...input } }, check }
}

function nameTaken(name: string): string {
  return `This server has a tool ${name} of its own; give the one in \`tools\` another name.`
}

function toNamed(name: string, given: Tool | LangChainTool): NamedTool & { readonly definition: ToolDefinition } {
  if (!namePattern.test(name)) throw new TypeError(`"${name}" is no name of a tool: 1 to 64 characters of A-Z a-z 0-9 _ and -.`)
  const tool: Tool = isLangChainTool(given) ? fromLangChainTool(given) : given
  if (typeof tool.description !== 'string')
    throw new TypeError(`The tool "${name}" has no description, by which models choose it.`)
  if (tool.execute === undefined && tool.needsApproval !== undefined)
    throw new TypeError(
      `The tool "${name}" has no execute: the client that executes it decides, and needsApproval has no effect.`,
    )
  const { schema, parse } = compile(name, tool.input)
  return {
    ...tool,
    name,
    definition: { name, description: tool.description, input: schema },
    check: (input) => requireArguments(name, parse(input)),
  }
}

function requireArguments(name: string, result: z.ZodSafeParseResult<unknown>): unknown {
  if (result.success) return result.data
  const problems = result.error.issues.slice(0, 5).map(({ path, message }) => `${['arguments', ...path].join('.')}: ${message}`)
  throw new MillraceError('arguments_invalid', {
    message: `The arguments of ${name} do not match its schema: ${problems.join('; ')}.`.slice(0, 1000),
  })
}

const noArguments: JsonSchema = { type: 'object', properties: {} }
const anything = z.record(z.string(), z.unknown())

function compile(
  name: string,
  input: Tool['input'],
): { schema: JsonSchema; parse: (value: unknown) => z.ZodSafeParseResult<unknown> } {
  if (input === undefined) return { schema: noArguments, parse: (value) => anything.safeParse(value) }
  try {
    if (isZod(input)) {
      const schema = z.toJSONSchema(input, { io: 'input' }) as JsonSchema
      if (schema.type !== 'object') throw new TypeError('it is not a schema of an object')
      return { schema, parse: (value) => input.safeParse(value) }
    }
    const compiled = z.fromJSONSchema(input as Parameters<typeof z.fromJSONSchema>[0])
    if (input.type !== 'object' && input.type !== undefined) throw new TypeError('it is not a schema of an object')
    return { schema: { ...noArguments, ...(input as JsonSchema) }, parse: (value) => anything.and(compiled).safeParse(value) }
  } catch (cause) {
    throw new TypeError(`The schema of the tool "${name}" cannot be used: ${(cause as Error).message}.`, { cause })
  }
}

function isZod(input: object): input is z.ZodType {
  return 'safeParse' in input && typeof input.safeParse === 'function'
}

function isList(options: ToolsOption): options is readonly LangChainTool[] {
  return Array.isArray(options)
}
