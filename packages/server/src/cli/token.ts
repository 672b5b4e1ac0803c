/** `millrace token`: makes a token for development and tests, and says of a token what it allows and whether it is accepted. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { decodeJwt, decodeProtectedHeader, type JWTPayload, SignJWT } from 'jose'
import { tokenClaims } from '../access/claims.ts'
import { createTokens } from '../access/tokens.ts'
import type { MillraceConfig } from '../config/config.ts'
import { ConfigError } from '../config/config-error.ts'
import { toOptions } from '../config/options.ts'
import { resolveConfig } from '../config/resolve.ts'
import { parseArguments } from './arguments.ts'
import type { Command, CommandContext } from './command.ts'

const options = {
  sub: { type: 'string' },
  may: { type: 'string', multiple: true },
  session: { type: 'string', multiple: true },
  channel: { type: 'string', multiple: true },
  ttl: { type: 'string', default: '1h' },
  issuer: { type: 'string' },
  audience: { type: 'string' },
  id: { type: 'string' },
  key: { type: 'string' },
  kid: { type: 'string' },
  config: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

export const tokenCommand: Command = {
  help: `Usage: millrace token --sub <user> [options]
       millrace token verify [token] [options]

Makes a token for development and tests, signed with MILLRACE_JWT_SECRET or a private key. Or prints what a token says,
and whether a server with this configuration accepts it: exit code 0 or 1. Without an argument, standard input is read.

  --sub <user>        id of the user
  --may <action>      what the token allows, such as session.read; repeat it, or use commas; default what everybody may do
  --session <id>      the only sessions: ids, or their beginning and *; repeat it, or use commas
  --channel <name>    the only channels, likewise
  --ttl <time>        how long it is valid, such as 90s, 15m, 1h or 7d; default 1h
  --issuer <iss>      default MILLRACE_JWT_ISSUER
  --audience <aud>    default MILLRACE_JWT_AUDIENCE
  --id <jti>          id of the token, by which it can be revoked
  --key <path>        private key in PEM: Ed25519, P-256 or RSA
  --kid <name>        name of that key in a key set
  --json              make: {"token","expiresAt"}; verify: {"isAccepted","reason","header","claims"}
  --config <path>     the configuration file (MILLRACE_CONFIG)
  --help              print this text
`,
  run: token,
}

type Values = ReturnType<typeof parseArguments<typeof options>>['values']

async function token({ args, env, folder }: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments(args, options)
  const [action, given, ...rest] = positionals
  if ((action !== undefined && action !== 'verify') || rest.length > 0)
    throw new ConfigError('Say --sub <user> to make a token, or verify <token>.')
  const { config } = await resolveConfig({ flags: { config: values.config }, env, folder })
  if (action === 'verify') await verify((given ?? (await text(process.stdin))).trim(), config, values.json)
  else await make(config, values)
}

async function make({ jwt = {} }: MillraceConfig, values: Values): Promise<void> {
  const { sub, ttl, issuer = jwt.issuer, audience = jwt.audience, id, kid } = values
  const seconds = readSeconds(ttl)
  const { key, alg } = readSigningKey(values.key, jwt.secret)
  const iat = Math.floor(Date.now() / 1000)
  const permissions = { may: splitAll(values.may), sessions: splitAll(values.session), channels: splitAll(values.channel) }
  const isPlain = Object.values(permissions).every((list) => list === undefined)
  const claims = { sub, iat, exp: iat + seconds, jti: id, ...(!isPlain && { millrace: permissions }) }
  const checked = tokenClaims.safeParse(claims)
  if (!checked.success) throw new ConfigError(explain(checked.error.issues[0]?.path ?? []))
  // What is undefined is not in its JSON.
  const payload = { ...checked.data, iss: issuer, aud: audience } as JWTPayload
  const jws = new SignJWT(payload).setProtectedHeader({ alg, typ: 'JWT', ...(kid && { kid }) })
  const signed = await jws.sign(key)
  process.stdout.write(values.json ? `${JSON.stringify({ token: signed, expiresAt: claims.exp * 1000 })}\n` : `${signed}\n`)
}

function explain(path: readonly PropertyKey[]): string {
  const flags: Readonly<Record<string, string>> = {
    may: '--may',
    sessions: '--session',
    channels: '--channel',
    jti: '--id',
    sub: '--sub',
  }
  const claim = path.findLast((part) => typeof part === 'string') ?? ''
  return `${flags[claim] ?? claim} cannot be used; PROTOCOL.md, Tokens, says what the claim takes.`
}

function splitAll(lists: readonly string[] | undefined): string[] | undefined {
  return lists?.flatMap((each) => each.split(',')).map((each) => each.trim())
}

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

function readSeconds(ttl: string): number {
  const [, count, unit = 's'] = /^(\d{1,6})([smhd]?)$/.exec(ttl) ?? []
  if (Number(count) > 0) return Number(count) * (units[unit || 's'] as number)
  throw new ConfigError(`--ttl takes a time such as 90s, 15m, 1h or 7d, not "${ttl}".`)
}

function readSigningKey(path: string | undefined, secret: string | undefined): { key: KeyObject | Uint8Array; alg: string } {
  if (path === undefined) {
    if (secret !== undefined) return { key: new TextEncoder().encode(secret), alg: 'HS256' }
    throw new ConfigError('There is nothing to sign with; set MILLRACE_JWT_SECRET, or name a private key with --key.')
  }
  let key: KeyObject
  try {
    key = createPrivateKey(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new ConfigError(`--key ${path} cannot be read as a private key in PEM.`, { cause })
  }
  const alg = { ed25519: 'EdDSA', ec: 'ES256', rsa: 'RS256' }[key.asymmetricKeyType as string]
  if (alg === undefined) throw new ConfigError(`--key takes an Ed25519, P-256 or RSA key, not ${key.asymmetricKeyType}.`)
  return { key, alg }
}

async function verify(given: string, config: MillraceConfig, isJson: boolean): Promise<void> {
  const decoded = decode(given)
  const issuers = [toOptions(config).access?.tokens ?? []].flat()
  const reason =
    issuers.length === 0 ? 'No key is configured to verify it; set MILLRACE_JWT_SECRET, for example.' : await reject(given)
  const isAccepted = reason === undefined
  if (isJson) process.stdout.write(`${JSON.stringify({ isAccepted, reason, ...decoded })}\n`)
  else {
    const { exp } = decoded.claims
    const until = typeof exp === 'number' ? ` Valid until ${new Date(exp * 1000).toISOString()}.` : ''
    process.stdout.write(`${JSON.stringify(decoded.header)}\n${JSON.stringify(decoded.claims, undefined, 2)}\n`)
    process.stdout.write(isAccepted ? `Accepted.${until}\n` : `Not accepted: ${reason}${until}\n`)
  }
  if (!isAccepted) process.exitCode = 1

  async function reject(token: string): Promise<string | undefined> {
    try {
      await createTokens(issuers).verify(token)
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  }
}

function decode(given: string) {
  try {
    return { header: decodeProtectedHeader(given), claims: decodeJwt(given) }
  } catch (cause) {
    throw new Error('This is not a JSON Web Token.', { cause })
  }
}
