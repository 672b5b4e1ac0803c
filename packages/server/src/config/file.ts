/** The configuration file: `millrace.config.ts`, `.mts`, `.js`, `.mjs` or `.json`, in the working directory or named. */
import { existsSync, readFileSync } from 'node:fs'
import { basename, extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { ConfigError } from './config-error.ts'
import { suggest } from './nearest.ts'
import type { Setting } from './setting.ts'
import { settings } from './settings.ts'

export interface ConfigFile {
  /** For people. */
  readonly name: string
  /** By the keys of settings; those that are absent are not in it. */
  readonly values: ReadonlyMap<string, unknown>
}

const extensions = ['.ts', '.mts', '.js', '.mjs', '.json']

/** Rejects with a ConfigError for a file that cannot be read, or that has an unknown key or a wrong value. */
export async function loadConfigFile(folder: string, named: string | undefined): Promise<ConfigFile | undefined> {
  const path = named === undefined ? findFile(folder) : resolve(folder, named)
  if (path === undefined) return undefined
  const name = basename(path)
  const content = await read(path, name)
  const checked = fileSchema.safeParse(content)
  if (!checked.success) throw new ConfigError(explain(checked.error.issues[0] as Issue, content, name))
  return { name, values: readValues(content, name) }
}

function findFile(folder: string): string | undefined {
  const found = extensions.map((extension) => resolve(folder, `millrace.config${extension}`)).filter((path) => existsSync(path))
  if (found.length < 2) return found[0]
  throw new ConfigError(`There are ${found.map((path) => basename(path)).join(' and ')}; keep one, or name it with --config.`)
}

/** Node removes the types of a .ts file by itself. */
async function read(path: string, name: string): Promise<unknown> {
  const extension = extname(path)
  if (!extensions.includes(extension)) throw new ConfigError(`${name} is not ${extensions.slice(0, -1).join(', ')} or .json.`)
  if (!existsSync(path)) throw new ConfigError(`There is no file ${path}; correct --config or MILLRACE_CONFIG.`)
  try {
    if (extension === '.json') return JSON.parse(readFileSync(path, 'utf8'))
    const module = (await quietly(() => import(pathToFileURL(path).href))) as { default?: unknown }
    if (module.default !== undefined) return module.default
  } catch (cause) {
    throw new ConfigError(`${name} cannot be loaded: ${(cause as Error).message}`, { cause })
  }
  throw new ConfigError(`${name} exports nothing; write: export default defineConfig({ … }).`)
}

/** Node 22 warns that it removes types, and every Node that a folder without package.json does not say what a .ts or .js is. */
async function quietly<T>(load: () => Promise<T>): Promise<T> {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return await load()
  } finally {
    process.emitWarning = emitWarning
  }
}

type Branch = Map<string, Setting | Branch>

/** The settings by the parts of their keys. */
function createTree(): Branch {
  const root: Branch = new Map()
  for (const setting of settings) {
    const parts = setting.key.split('.')
    const last = parts.pop() as string
    let branch = root
    for (const part of parts) {
      const next = (branch.get(part) as Branch | undefined) ?? new Map()
      branch.set(part, next)
      branch = next
    }
    branch.set(last, setting)
  }
  return root
}

function toSchema(branch: Branch): z.ZodObject {
  return z.strictObject(
    Object.fromEntries(
      [...branch].map(([key, node]) => [key, (node instanceof Map ? toSchema(node) : node.type.schema).optional()]),
    ),
  )
}

const fileSchema = toSchema(createTree())

function readValues(content: unknown, file: string): Map<string, unknown> {
  const values = new Map<string, unknown>()
  for (const { key, isSecret } of settings) {
    const parts = key.split('.')
    const last = parts.pop() as string
    const parent = parts.reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part], content)
    if (parent === undefined || !Object.hasOwn(parent as object, last)) continue
    const value = (parent as Record<string, unknown>)[last]
    if (value !== undefined) values.set(key, value)
    // Most often a variable that is missing, as in `secret: process.env.SECRET`: the server would be open.
    else if (isSecret) throw new ConfigError(`${key} in ${file} is undefined; set it, or remove it.`)
  }
  return values
}

type Issue = z.core.$ZodIssue

function explain(issue: Issue, content: unknown, file: string): string {
  const path = issue.path.map(String)
  const at = path.join('.')
  if (issue.code === 'unrecognized_keys') {
    const [unknown = ''] = issue.keys
    return `There is no setting "${[...path, unknown].join('.')}", as in ${file}.${suggest(unknown, keysAt(path))}`
  }
  const setting = settings.find(({ key }) => key === at)
  if (setting === undefined) return `${at || 'The default export'} in ${file} cannot be used: ${issue.message}.`
  const value = path.reduce((parent, part) => (parent as Record<string, unknown>)[part], content)
  return `${at} in ${file} takes ${setting.type.expects}${setting.isSecret ? '' : `, not ${JSON.stringify(value)}`}.`
}

/** Names that exist where an unknown one was found. */
function keysAt(path: readonly string[]): string[] {
  let schema: z.ZodType | undefined = fileSchema
  for (const part of path) schema = unwrap(schema)?.shape[part] as z.ZodType | undefined
  return Object.keys(unwrap(schema)?.shape ?? {})
}

function unwrap(schema: z.ZodType | undefined): z.ZodObject | undefined {
  if (schema instanceof z.ZodOptional) return unwrap(schema.unwrap() as z.ZodType)
  return schema instanceof z.ZodObject ? schema : undefined
}
