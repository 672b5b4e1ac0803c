/** From a configuration to the options of `createMillrace`. */
import type { AccessOptions } from '../access/access.ts'
import type { ModelRules } from '../access/rules.ts'
import type { TokenIssuer } from '../access/tokens.ts'
import type { MillraceOptions } from '../options.ts'
import type { MillraceConfig } from './config.ts'
import { ConfigError } from './config-error.ts'

/** All but the engine, which is opened by its name. Throws a ConfigError. */
export function toOptions(config: MillraceConfig, isDevelopment = false): Omit<MillraceOptions, 'engine'> {
  const { engine: _opened, ...options } = config
  const modelsByName = config.modelsByName ?? (isDevelopment || !hasAuthentication(config) ? ['*'] : realModels(config))
  return { ...options, modelsByName, access: toAccess(config) }
}

/** Whether it lets everybody in, and nobody has said `open`. */
export function isOpenByMistake(config: MillraceConfig): boolean {
  return !hasAuthentication(config) && config.access?.allowAnonymous !== false && config.open !== true
}

function hasAuthentication({ access, authenticate, jwt }: MillraceConfig): boolean {
  return access?.tokens !== undefined || readIssuers(jwt).length > 0 || authenticate !== undefined
}

/** Every model, but of those that only pretend, which are for tests, none that the configuration does not name. */
function realModels({ model, models = {} }: MillraceConfig): ModelRules {
  const named = [model, ...Object.keys(models)].filter((name) => name?.startsWith('sim:'))
  return { '*': 'users', 'sim:*': 'nobody', ...Object.fromEntries(named.map((name) => [name, 'users'])) }
}

function toAccess({ access, jwt }: MillraceConfig): AccessOptions {
  const tokens = [...readIssuers(jwt), ...[access?.tokens ?? []].flat()]
  return { ...access, ...(tokens.length > 0 && { tokens }) }
}

/** Each key that is set is accepted. */
function readIssuers({ secret, publicKey, jwksUrl, issuer, audience }: NonNullable<MillraceConfig['jwt']> = {}): TokenIssuer[] {
  const keys: TokenIssuer[] = [{ secret }, { publicKey }, { jwks: jwksUrl }]
  const issuers = keys.filter((key) => Object.values(key).some((value) => value !== undefined))
  if (issuers.length === 0 && (issuer ?? audience) !== undefined)
    throw new ConfigError(
      'MILLRACE_JWT_ISSUER and MILLRACE_JWT_AUDIENCE need MILLRACE_JWT_SECRET, MILLRACE_JWT_PUBLIC_KEY or MILLRACE_JWKS_URL.',
    )
  return issuers.map((key) => ({ ...key, issuer, audience }))
}
