/** From a configuration to the options of `createMillrace`. */
import type { AccessOptions } from '../access/access.ts'
import type { TokenIssuer } from '../access/tokens.ts'
import type { MillraceOptions } from '../options.ts'
import type { MillraceConfig } from './config.ts'
import { ConfigError } from './config-error.ts'

/** All but the engine, which is opened by its name. Throws a ConfigError. */
export function toOptions(config: MillraceConfig): Omit<MillraceOptions, 'engine'> {
  const { engine: _opened, ...options } = config
  return { ...options, access: toAccess(config) }
}

/** Whether a stranger is let in because nothing says who may come: there is no authentication, and nobody wants it so. */
export function isOpenByDefault({ access, authenticate, jwt, open }: MillraceConfig): boolean {
  const hasTokens = access?.tokens !== undefined || readIssuers(jwt).length > 0
  return !hasTokens && authenticate === undefined && access?.allowAnonymous === undefined && open !== true
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
