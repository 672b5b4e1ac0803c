/** Settings from environment variables; secrets also from files, which other processes cannot see. */
import { ConfigError } from './config-error.ts'
import { suggest } from './nearest.ts'
import { parseText } from './parse-text.ts'
import { readSecretFile } from './secret-file.ts'
import { settings } from './settings.ts'

export type Env = NodeJS.ProcessEnv

/** A value, and the variable that it is from. */
export interface FromEnvironment {
  readonly name: string
  readonly value: unknown
}

/** Variables that the command reads, and no setting of a server is. */
const others = ['MILLRACE_CONFIG', 'MILLRACE_URL', 'MILLRACE_TOKEN', 'MILLRACE_TOKEN_FILE']

/**
 * Kubernetes describes the services of a namespace in variables of every container: for a service `millrace`
 * `MILLRACE_SERVICE_HOST`, `MILLRACE_PORT=tcp://…` and `MILLRACE_PORT_4600_TCP_ADDR`.
 */
const ofKubernetes = /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?$/

/** By the keys of settings. Throws a ConfigError for an unknown variable of Millrace, and for one that cannot be used. */
export function readEnvironment(env: Env): Map<string, FromEnvironment> {
  rejectUnknown(env)
  const values = new Map<string, FromEnvironment>()
  for (const { key, env: name, type, isSecret } of settings) {
    if (name === undefined) continue
    const found = isSecret ? readSecret(env, name) : { name, text: readPlain(env, name) }
    // Where a variable has only one line, the line ends of a key are written as \n.
    const text = isSecret ? found.text?.replaceAll('\\n', '\n') : found.text
    if (text === undefined) continue
    values.set(key, { name: found.name, value: parseText(found.name, text, type, isSecret) })
  }
  return values
}

function rejectUnknown(env: Env): void {
  const names = settings.flatMap(({ env: name, isSecret }) =>
    name === undefined ? [] : isSecret ? [name, `${name}_FILE`] : [name],
  )
  const known = new Set([...names, ...others])
  for (const name of Object.keys(env)) {
    if (!name.startsWith('MILLRACE_') || known.has(name) || ofKubernetes.test(name)) continue
    throw new ConfigError(`There is no variable ${name}.${suggest(name, known)}`)
  }
}

/** Empty is most often a variable of another name that is missing, and would leave the server open. */
function readPlain(env: Env, name: string): string | undefined {
  const value = env[name]
  if (value === undefined || value.trim() !== '') return value
  throw new ConfigError(`${name} is empty; set it, or remove it.`)
}

/** From `name`, or from the file that `name` with `_FILE` names. */
function readSecret(env: Env, name: string): { readonly name: string; readonly text: string | undefined } {
  const text = readPlain(env, name)
  const variable = `${name}_FILE`
  const path = readPlain(env, variable)
  if (path === undefined) return { name, text }
  if (text !== undefined) throw new ConfigError(`${name} and ${variable} are both set; remove one.`)
  return { name: variable, text: readSecretFile(variable, path) }
}
