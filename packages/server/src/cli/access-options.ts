/** Who may use the server, from the environment: secrets and keys also from files, which other processes cannot see. */
import { readFileSync } from 'node:fs'
import type { AccessOptions } from '../access/access.ts'
import type { TokenIssuer } from '../access/tokens.ts'
import { UsageError } from './usage-error.ts'

type Env = NodeJS.ProcessEnv

/** Each way to verify tokens that is set is accepted. Throws a UsageError for one that is set and empty. */
export function readAccess(env: Env): AccessOptions {
  const issuer = readPlain(env, 'MILLRACE_JWT_ISSUER')
  const audience = readPlain(env, 'MILLRACE_JWT_AUDIENCE')
  const secret = readSecret(env, 'MILLRACE_JWT_SECRET')
  // Where a variable has only one line, its line ends are written as \n.
  const publicKey = readSecret(env, 'MILLRACE_JWT_PUBLIC_KEY')?.replaceAll('\\n', '\n')
  const jwks = readPlain(env, 'MILLRACE_JWKS_URL')
  const ways: TokenIssuer[] = [{ secret }, { publicKey }, { jwks }]
  const tokens = ways
    .filter((way) => Object.values(way).some((value) => value !== undefined))
    .map((way) => ({ ...way, issuer, audience }))
  if (tokens.length === 0 && (issuer ?? audience) !== undefined)
    throw new UsageError(
      'MILLRACE_JWT_ISSUER and MILLRACE_JWT_AUDIENCE need MILLRACE_JWT_SECRET, _PUBLIC_KEY or MILLRACE_JWKS_URL.',
    )
  const adminKey = readSecret(env, 'MILLRACE_ADMIN_KEY')
  return {
    ...(tokens.length > 0 && { tokens }),
    ...(adminKey !== undefined && { adminKey }),
    origins: splitList(env.MILLRACE_ORIGINS ?? ''),
    trustedProxies: splitList(env.MILLRACE_TRUSTED_PROXIES ?? ''),
  }
}

export function splitList(list: string): string[] {
  return list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** Empty is most often a variable of another name that is missing, and would leave the server open. */
function readPlain(env: Env, name: string): string | undefined {
  const value = env[name]
  if (value === undefined || value.trim() !== '') return value
  throw new UsageError(`${name} is empty; set it, or remove it.`)
}

/** From `name`, or from the file that `name` with `_FILE` names. */
function readSecret(env: Env, name: string): string | undefined {
  const value = readPlain(env, name)
  const path = readPlain(env, `${name}_FILE`)
  if (path === undefined) return value
  if (value !== undefined) throw new UsageError(`${name} and ${name}_FILE are both set; remove one.`)
  try {
    return readPlain({ [name]: readFileSync(path, 'utf8').trimEnd() }, name)
  } catch (cause) {
    throw new UsageError(`${name}_FILE: ${(cause as Error).message}`, { cause })
  }
}
