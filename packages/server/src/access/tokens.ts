/**
 * JSON Web Tokens: which issuers are accepted, and who a token says its bearer is. What a token says about its own key
 * (`jku`, `x5u`, `jwk`, `x5c`) is ignored: keys come from the configuration only, each with the algorithms of its type.
 */
import { createPublicKey, hash, type KeyObject } from 'node:crypto'
import { MillraceError } from '@millrace/protocol'
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import type { SendRequest } from '../outgoing/request.ts'
import type { Principal } from './caller.ts'
import { tokenClaims } from './claims.ts'
import { createKeySet } from './key-set.ts'

/** Whose tokens are accepted: exactly one of `secret`, `publicKey` and `jwks` verifies them. */
export interface TokenIssuer {
  /** HS256; at least 32 bytes. */
  readonly secret?: string | undefined
  /** In PEM, or its certificate: Ed25519 for EdDSA, P-256 for ES256, RSA of at least 2,048 bits for RS256. */
  readonly publicKey?: string | undefined
  /** The path of a JSON Web Key Set, or its address with `https:`; with `http:` only on this machine. */
  readonly jwks?: string | URL | undefined
  /** The only `iss` that is accepted; default any. */
  readonly issuer?: string | undefined
  /** The `aud` that a token must have; default any. Set it where the issuer has other applications too. */
  readonly audience?: string | undefined
}

export interface Tokens {
  /** Rejects with `token_expired`, `token_rejected` or `keys_unavailable`. */
  verify(token: string): Promise<Principal>
}

/** Checked before anything else is done with a token. */
const tokenLengthMax = 8192
const secretBytesMin = 32
/** For clocks that differ. */
const leewaySeconds = 30
const cachedMax = 10_000
/** A key that its issuer has withdrawn is noticed after this time. */
const cachedMsMax = 10 * 60_000
const asymmetric = ['EdDSA', 'Ed25519', 'ES256', 'RS256']
/** Not those of other purposes, such as `logout+jwt`. */
const types = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt'])

interface Verifier {
  readonly algorithms: readonly string[]
  readonly issuer: string | undefined
  readonly audience: string | undefined
  readonly getKey: JWTVerifyGetKey
}

export interface TokensOptions {
  /** For key sets at an address. */
  readonly send?: SendRequest | undefined
  readonly now?: () => number
}

/** Throws a MillraceError for a key that cannot be used. */
export function createTokens(issuers: readonly TokenIssuer[], { send, now = Date.now }: TokensOptions = {}): Tokens {
  const verifiers = issuers.map((issuer) => createVerifier(issuer, send))
  /** By hash: a copy of the memory has no token. */
  const verified = new LRUCache<string, { readonly principal: Principal; readonly until: number }>({ max: cachedMax })

  return {
    async verify(token) {
      if (token.length > tokenLengthMax) throw new MillraceError('token_rejected')
      const key = hash('sha256', token, 'base64')
      const known = verified.get(key)
      if (known !== undefined && now() < known.until) return known.principal
      verified.delete(key)
      const principal = toPrincipal(await verifyWith(findVerifiers(verifiers, token), token, now()))
      const expiresAt = principal.expiresAt as number
      verified.set(key, { principal, until: Math.min(expiresAt + leewaySeconds * 1000, now() + cachedMsMax) })
      return principal
    },
  }
}

function createVerifier({ secret, publicKey, jwks, issuer, audience }: TokenIssuer, send: SendRequest | undefined): Verifier {
  const rest = { issuer, audience }
  if ([secret, publicKey, jwks].filter((given) => given !== undefined).length !== 1)
    throw invalid('A token issuer has one of `secret`, `publicKey` and `jwks`; give exactly one.')
  if (secret !== undefined) {
    const bytes = new TextEncoder().encode(secret)
    if (bytes.length < secretBytesMin)
      throw invalid(`The secret of tokens is too short; use at least ${secretBytesMin} bytes, as of openssl rand -base64 48.`)
    return { ...rest, algorithms: ['HS256'], getKey: () => Promise.resolve(bytes) }
  }
  if (jwks !== undefined) return { ...rest, algorithms: asymmetric, getKey: createKeySet(jwks, { send }) }
  const key = readPublicKey(publicKey as string)
  return { ...rest, algorithms: algorithmsOf(key), getKey: () => Promise.resolve(key) }
}

function readPublicKey(pem: string): KeyObject {
  if (/PRIVATE KEY/.test(pem)) throw invalid('The public key of tokens is a private key; give the public one.')
  try {
    return createPublicKey(pem)
  } catch {
    throw invalid('The public key of tokens is not in PEM; give it with its BEGIN and END lines.')
  }
}

function algorithmsOf({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject): readonly string[] {
  if (type === 'ed25519') return ['EdDSA', 'Ed25519']
  if (type === 'ec' && details.namedCurve === 'prime256v1') return ['ES256']
  if (type === 'rsa' && (details.modulusLength ?? 0) >= 2048) return ['RS256']
  throw invalid('The public key of tokens cannot be used; give an Ed25519 key, a P-256 key or an RSA key of at least 2,048 bits.')
}

/** Those whose algorithms and issuer the token names; its signature is checked later. */
function findVerifiers(verifiers: readonly Verifier[], token: string): Verifier[] {
  try {
    const { alg = '', typ = 'JWT' } = decodeProtectedHeader(token)
    const { iss } = decodeJwt(token)
    if (!types.has(typ.toLowerCase())) return []
    return verifiers.filter(({ algorithms, issuer }) => algorithms.includes(alg) && (issuer === undefined || issuer === iss))
  } catch {
    return []
  }
}

async function verifyWith(verifiers: readonly Verifier[], token: string, now: number): Promise<JWTPayload> {
  let error = new MillraceError('token_rejected')
  for (const { algorithms, issuer, audience, getKey } of verifiers) {
    try {
      const { payload } = await jwtVerify(token, getKey, {
        algorithms: [...algorithms],
        clockTolerance: leewaySeconds,
        currentDate: new Date(now),
        requiredClaims: ['sub', 'exp'],
        ...(issuer !== undefined && { issuer }),
        ...(audience !== undefined && { audience }),
      })
      return payload
    } catch (cause) {
      error = toMillraceError(cause)
    }
  }
  throw error
}

/** Names the claim that failed, and nothing else of the token. */
function toMillraceError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error
  if (error instanceof errors.JWTExpired) return new MillraceError('token_expired')
  if (error instanceof errors.JWTClaimValidationFailed) return rejectClaim(error.claim)
  return new MillraceError('token_rejected')
}

function toPrincipal(payload: JWTPayload): Principal {
  const claims = tokenClaims.safeParse(payload)
  if (!claims.success) throw rejectClaim(claims.error.issues[0]?.path.slice(0, 2).join('.') ?? '')
  const { sub, exp, iat, jti, millrace } = claims.data
  const issuedAt = iat === undefined ? undefined : iat * 1000
  return Object.freeze({ id: sub, kind: 'user', ...millrace, issuedAt, expiresAt: exp * 1000, tokenId: jti })
}

/** The name is one that Millrace reads, never one that only the token has. */
function rejectClaim(claim: string): MillraceError {
  return new MillraceError('token_rejected', { message: `The claim "${claim}" of the token is not accepted; get another token.` })
}

function invalid(message: string): MillraceError {
  return new MillraceError('invalid_request', { message })
}
