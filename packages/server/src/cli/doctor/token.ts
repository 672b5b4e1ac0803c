/** The token as a page gets it: whether the server accepts it, how long it is valid, and how much it allows. */
import { decodeJwt, type JWTPayload } from 'jose'
import { type Finding, note, ok, problem } from './finding.ts'
import { ask, type Target } from './request.ts'

const dayMs = 24 * 60 * 60_000

/** Sends the token only over a connection that was verified. */
export async function examineToken(target: Target, token: string | undefined, now: number): Promise<Finding[]> {
  if (token === undefined) return []
  const read = token.startsWith('mr_') ? [isKey] : describeToken(token, now)
  if (!target.isVerified) return [...read, note('certificate', 'The token was not sent, because the certificate is not valid.')]
  const { status, text } = await ask(target, { path: '/api/models', headers: { authorization: `Bearer ${token}` } })
  const code = /"code":"(\w+)"/.exec(text)?.[1] ?? String(status)
  if (status !== 401) return [...read, ok('token_rejected', 'The server accepts the token.')]
  // The reason is known.
  if (read.some(({ level, id }) => level === 'problem' && id === 'token_expired')) return read
  return [...read, problem('token_rejected', `The server rejects the token: ${code}.`)]
}

const isKey = problem('token_too_broad', 'This is an API key, which is for servers: a page must not have it.')

/** Without verifying it, which only the server can. `now` is the local clock. */
function describeToken(token: string, now: number): Finding[] {
  let claims: JWTPayload
  try {
    claims = decodeJwt(token)
  } catch {
    return [note('token_rejected', 'The token is not a JSON Web Token, so that its claims are unknown.')]
  }
  return [...examineLifetime(claims, now), examinePermissions(claims['millrace'])]
}

function examineLifetime({ exp, iat, nbf }: JWTPayload, now: number): Finding[] {
  if (exp === undefined) return [problem('token_lifetime', 'The token never expires: who steals it keeps it.')]
  const expiresAt = exp * 1000
  const at = new Date(expiresAt).toISOString()
  if (expiresAt <= now) return [problem('token_expired', `The token has expired, at ${at}.`)]
  const startsAt = (nbf ?? 0) * 1000
  if (startsAt > now) return [problem('token_expired', `The token is not valid before ${new Date(startsAt).toISOString()}.`)]
  if (expiresAt - (iat === undefined ? now : iat * 1000) <= dayMs) return [ok('token_lifetime', `The token expires at ${at}.`)]
  return [problem('token_lifetime', `The token is valid for more than a day, until ${at}: too long for a page.`)]
}

function examinePermissions(grants: unknown): Finding {
  const may = (grants as { may?: unknown } | undefined)?.may
  const broad = Array.isArray(may) ? may.filter((action) => /^(admin\.|\*)/.test(String(action))) : []
  if (broad.length === 0) return ok('token_too_broad', 'The token gives no rights of an administrator.')
  return problem('token_too_broad', `The token allows ${broad.join(', ')}: too much for a page.`)
}
