/** Tokens of users, as an application would sign them. */
import { createHmac } from 'node:crypto'

export const tokenSecret = 'a secret of a test, which has 32 bytes'

export const nowSeconds = () => Math.floor(Date.now() / 1000)

/** Of Ada, for ten minutes. */
export function signToken(claims: object = {}): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const payload = encode({ sub: 'ada', iat: nowSeconds() - 60, exp: nowSeconds() + 600, ...claims })
  const signed = `${encode({ alg: 'HS256' })}.${payload}`
  return `${signed}.${createHmac('sha256', tokenSecret).update(signed).digest('base64url')}`
}
