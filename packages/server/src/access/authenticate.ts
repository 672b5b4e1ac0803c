/**
 * Who makes a request: the one function that is called for each HTTP request and each handshake, before it is routed. The
 * first of these decides: the host's own authentication, the Authorization header (an API key, a share link or a token), the
 * same in X-Api-Key, a ticket.
 */
import { MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import { type AuthenticationFacts, anonymous, type Principal } from './caller.ts'
import { principalSchema, userId } from './claims.ts'
import type { KeyVerifier } from './keys.ts'
import type { ShareVerifier } from './shares.ts'
import type { PresentedTicket, Tickets } from './tickets.ts'
import type { Tokens } from './tokens.ts'

/** What the host's own authentication returns; `kind` is `user` by default. */
export type HostPrincipal = Omit<Principal, 'kind'> & Partial<Pick<Principal, 'kind'>>

/**
 * The host's own authentication. Undefined where it does not recognize the request, so that the other ways are tried. Throws
 * or rejects with a MillraceError (`unauthenticated`, `forbidden`) to reject the request.
 */
export type AuthenticateHook = (facts: AuthenticationFacts) => HostPrincipal | undefined | Promise<HostPrincipal | undefined>

export interface Credentials extends AuthenticationFacts {
  /** `?ticket=`, on addresses that accept one. */
  readonly ticket: PresentedTicket | undefined
}

/** What a client sends in the middle of a connection, in place of what expires. */
export type Credential = { readonly token: string } | { readonly ticket: string }

/** Whose credential it is. Rejects with 401 where it is not valid. */
export type Verify = (credential: Credential) => Promise<Principal>

/** Rejects with 401 where the credentials are missing or not valid, and as the host's own authentication does. */
export type Authenticate = (facts: Credentials) => Promise<Principal>

export interface VerifyOptions {
  readonly tokens: Tokens | undefined
  readonly keys: KeyVerifier
  readonly shares: ShareVerifier
  readonly tickets: Pick<Tickets, 'redeem'>
}

export interface AuthenticateOptions {
  readonly hook: AuthenticateHook | undefined
  readonly verify: Verify
  readonly tickets: Pick<Tickets, 'redeem'>
  /** Whether requests without credentials are let in. */
  readonly allowAnonymous: boolean
  /** For the host to decide who asks, in milliseconds. */
  readonly hookMs: number
}

export function createVerify({ tokens, keys, shares, tickets }: VerifyOptions): Verify {
  return async (credential) => {
    if ('ticket' in credential) return tickets.redeem({ ticket: credential.ticket, binding: undefined })
    const { token } = credential
    if (keys.isKey(token)) return keys.verify(token)
    if (shares.isShare(token)) return shares.verify(token)
    if (tokens === undefined) throw new MillraceError('token_rejected')
    return tokens.verify(token)
  }
}

export function createAuthenticate({ hook, verify, tickets, allowAnonymous, hookMs }: AuthenticateOptions): Authenticate {
  return async (facts) => {
    const known = hook && (await askHost(hook, facts, hookMs))
    if (known !== undefined) return known
    const bearer = readBearer(facts.headers.get('authorization') ?? '')
    // Where Anthropic's clients, and programs written for its API, have their key.
    const token = bearer ?? facts.headers.get('x-api-key')?.trim()
    if (token) return verify({ token })
    if (facts.ticket !== undefined) return tickets.redeem(facts.ticket)
    if (allowAnonymous) return anonymous
    throw new MillraceError('unauthenticated')
  }
}

/** Undefined for another scheme: a proxy may use it for itself. Throws `token_rejected` for what is not one token. */
function readBearer(authorization: string): string | undefined {
  if (!/^bearer(\s|$)/i.test(authorization)) return undefined
  const token = /^bearer +([\w.~+/=-]+)$/i.exec(authorization)?.[1]
  if (token === undefined) throw new MillraceError('token_rejected')
  return token
}

async function askHost(hook: AuthenticateHook, facts: AuthenticationFacts, hookMs: number): Promise<Principal | undefined> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`authenticate did not decide within ${hookMs} ms`)), hookMs)
  try {
    const found = await Promise.race([hook(facts), late.promise])
    return found === undefined ? undefined : check(found)
  } finally {
    clearTimeout(timer)
  }
}

function check(found: HostPrincipal): Principal {
  const { data, error } = principalSchema.safeParse(found)
  if (error !== undefined) throw new TypeError(`authenticate returned no valid principal: ${z.prettifyError(error)}`)
  // A user named as an API key would share its limits, and be revoked with it.
  if (data.kind === 'user' && !userId.safeParse(data.id).success)
    throw new TypeError('authenticate returned a user whose id is reserved: `anonymous`, or one that begins with `key:`.')
  return data
}
