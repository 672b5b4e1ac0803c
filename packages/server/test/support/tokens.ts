/** Keys and tokens as an identity provider makes them. */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { type CryptoKey, exportJWK, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose'

export const secret = randomBytes(32).toString('base64url')

export const keys = {
  EdDSA: generateKeyPairSync('ed25519'),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
}

export function pem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

export const nowSeconds = (): number => Math.floor(Date.now() / 1000)

export interface SignOptions {
  readonly key?: KeyObject | CryptoKey | Uint8Array
  readonly header?: Partial<JWTHeaderParameters>
}

/** Signed with the secret by default, valid for ten minutes. */
export function sign(claims: JWTPayload = {}, { key = Buffer.from(secret), header = {} }: SignOptions = {}): Promise<string> {
  return new SignJWT({ sub: 'ada', exp: nowSeconds() + 600, ...claims })
    .setProtectedHeader({ alg: 'HS256', ...header } as JWTHeaderParameters)
    .sign(key)
}

/** A key set with these keys, by their ids. */
export async function keySet(byId: Record<string, KeyObject>): Promise<string> {
  const jwks = await Promise.all(Object.entries(byId).map(async ([kid, key]) => ({ ...(await exportJWK(key)), kid })))
  return JSON.stringify({ keys: jwks })
}

export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

/** A token with exactly this header and these claims, and any signature. */
export function forge(header: object, claims: object, signature = ''): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${encode(header)}.${encode(claims)}.${signature}`
}
