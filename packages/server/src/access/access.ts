/** Who may use the server, from which pages, and behind which proxies: the parts of access, made from its options. */
import { MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { SendRequest } from '../outgoing/request.ts'
import { type Authenticate, type AuthenticateHook, createAuthenticate, createVerify, type Verify } from './authenticate.ts'
import { type Authorize, type Check, withPermissions } from './authorize.ts'
import type { Principal } from './caller.ts'
import { type Cors, createCors } from './cors.ts'
import { hidingMs } from './hiding.ts'
import { type ApiKeys, StoredApiKeys } from './keys.ts'
import { type CheckOrigin, createOriginRule } from './origin.ts'
import { createListedFor, type ListedFor, type Owners } from './ownership.ts'
import { createFindClient, type FindClient } from './proxies.ts'
import { type Revocation, Revocations } from './revocations.ts'
import type { CheckChannel } from './rules.ts'
import { createShares, type ShareStore, type Shares } from './shares.ts'
import { createTickets, type Tickets } from './tickets.ts'
import { createTokens, type TokenIssuer, type Tokens } from './tokens.ts'

export interface AccessOptions {
  /** Whose JSON Web Tokens are accepted; default nobody's. */
  readonly tokens?: TokenIssuer | readonly TokenIssuer[]
  /** An API key that may do everything, at least 16 characters. Others are created with `millrace.keys`. */
  readonly adminKey?: string
  /**
   * Whether requests without credentials are let in, as `anonymous`. Default false where `tokens` or `authenticate` is given;
   * without both true, so that an API key adds to what everybody may do.
   */
  readonly allowAnonymous?: boolean
  /**
   * The only pages that may use the server from a browser, beside its own: exact origins such as `https://app.example.com`.
   * They can read its responses (CORS). Default: pages of the same site, which can read them only from the same origin.
   */
  readonly origins?: readonly string[]
  /**
   * Addresses and networks of your proxies, such as `10.0.0.0/8`. Only what they add to `X-Forwarded-For` and
   * `X-Forwarded-Proto` is believed. Default none: the address of a client is that of its connection.
   */
  readonly trustedProxies?: readonly string[]
  /** The longest lifetime of your tokens; so long what you revoke is remembered. Default 30 days. */
  readonly tokenLifetimeMs?: number
}

/** What is no longer valid. */
export interface Revoke {
  /**
   * Takes away what a user, a token or a session was given so far. Open connections of every server end within two seconds,
   * and new requests are rejected: with 401 `token_revoked`, and for a session with 404 `session_not_found`.
   */
  revoke(revocation: Revocation): Promise<void>
}

/** The options, checked. */
export interface AccessSettings {
  readonly hook: AuthenticateHook | undefined
  readonly tokens: Tokens | undefined
  readonly adminKey: string | undefined
  readonly allowAnonymous: boolean
  /** Whether credentials are looked at. */
  readonly isOn: boolean
  /** There are no users to distinguish: a caller has an API key, or is `anonymous`. */
  readonly isOpen: boolean
  readonly checkOrigin: CheckOrigin
  readonly cors: Cors | undefined
  readonly findClient: FindClient
  readonly tokenLifetimeMs: number
}

export interface Access extends Pick<AccessSettings, 'checkOrigin' | 'cors' | 'findClient'> {
  /** Undefined where the server is open: nobody is asked for credentials, and everybody is `anonymous`. */
  readonly authenticate: Authenticate | undefined
  /** For a credential that replaces another. Undefined where the server is open. */
  readonly verify: Verify | undefined
  /** The host's, after the built-in checks. */
  readonly authorize: Check
  readonly tickets: Tickets
  readonly keys: ApiKeys
  /** Its links are accepted where there is authentication. */
  readonly shares: Shares
  readonly revoke: Revoke['revoke']
  readonly listRevocations: Revocations['list']
  /** Whether a reader gets what was published in a channel before it came. */
  readonly mayReadHistory: (principal: Principal, channel: string) => boolean
  /** Whose sessions a list has. */
  readonly listedFor: ListedFor
  /** An answer that hides something comes at a multiple of this time; 0 where the server is open. See hiding.ts. */
  readonly hidingMs: number
  /** Checked again for connections that are open. */
  readonly guard: Pick<Revocations, 'requirePrincipal' | 'requireSession'>
}

interface AccessParts {
  readonly access: AccessSettings
  readonly authorize: Authorize
  /** For `authenticate` to decide. */
  readonly limits: { readonly authenticateMs: number }
  readonly mayUseChannel: CheckChannel | undefined
}

export interface AccessContext {
  readonly engine: Engine
  readonly owners: Owners
  readonly shareStore: ShareStore
  /** Aborts when the server stops. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
  /** Something else is no longer valid. */
  readonly onRevoked: () => void
}

const adminKeyLengthMin = 16

/** Throws a MillraceError for an option that cannot be used. Key sets at an address are fetched by `send`. */
export function resolveAccess(
  options: AccessOptions | undefined,
  hook: AuthenticateHook | undefined,
  send?: SendRequest,
): AccessSettings {
  const { tokens, adminKey, origins, trustedProxies } = options ?? {}
  if (adminKey !== undefined && !/^[\w.~+/=-]+$/.test(adminKey))
    throw invalid('The admin key has characters that a header cannot carry; use letters, digits and - . _ ~ + / =.')
  if (adminKey !== undefined && adminKey.length < adminKeyLengthMin)
    throw invalid(
      `The admin key is too short; use at least ${adminKeyLengthMin} random characters, as of openssl rand -base64 32.`,
    )
  const isOpen = tokens === undefined && hook === undefined
  return {
    hook,
    tokens: tokens && createTokens([tokens].flat(), { send }),
    adminKey,
    allowAnonymous: options?.allowAnonymous ?? isOpen,
    isOpen,
    isOn: hook !== undefined || tokens !== undefined || adminKey !== undefined || options?.allowAnonymous !== undefined,
    checkOrigin: createOriginRule(origins),
    cors: createCors(origins),
    findClient: createFindClient(trustedProxies),
    tokenLifetimeMs: options?.tokenLifetimeMs ?? 30 * 24 * 60 * 60_000,
  }
}

export function createAccess(
  { access, authorize, limits, mayUseChannel }: AccessParts,
  { engine, owners, shareStore, signal, onError, onRevoked }: AccessContext,
): Access {
  const { hook, tokens, adminKey, allowAnonymous, isOn, checkOrigin, cors, findClient, tokenLifetimeMs: lifetimeMs } = access
  const guard = new Revocations({ engine, lifetimeMs, signal, onError, onRevoked })
  const onKeyRevoked = isOn ? (id: string) => guard.revokeKey(id) : undefined
  const keys = new StoredApiKeys({ engine, adminKey, signal, onError, onRevoked: onKeyRevoked })
  // Not at the first use: retention would remove keys that nobody has used since the server was started.
  if (isOn) keys.follow()
  const tickets = createTickets(engine)
  const shares = createShares({ store: shareStore, onRevoked: (id) => guard.revokeShare(id) })
  const verify = isOn ? createVerify({ tokens, keys, shares, tickets }) : undefined
  const authenticate = verify && createAuthenticate({ hook, verify, tickets, allowAnonymous, hookMs: limits.authenticateMs })
  return {
    authenticate: authenticate && unlessRevoked(guard, authenticate),
    verify: verify && unlessRevoked(guard, verify),
    authorize: withPermissions(authorize, { revoked: guard, owners: isOn ? owners : undefined, mayUseChannel }),
    async revoke(revocation) {
      if (!isOn) throw invalid('The server has no authentication, so there is nothing to revoke; set `access` or `authenticate`.')
      await guard.revoke(revocation)
    },
    listRevocations: () => guard.list(),
    guard,
    mayReadHistory: (principal, channel) => mayUseChannel?.(principal, 'history', channel) ?? true,
    listedFor: createListedFor(access),
    hidingMs: isOn ? hidingMs : 0,
    tickets,
    keys,
    shares,
    checkOrigin,
    cors,
    findClient,
  }
}

/** Rejects with `token_revoked`, and as the engine does before it has said what is revoked. */
function unlessRevoked<From>(revocations: Revocations, identify: (from: From) => Promise<Principal>) {
  return async (from: From): Promise<Principal> => {
    await revocations.load()
    const principal = await identify(from)
    revocations.requirePrincipal(principal)
    return principal
  }
}

function invalid(message: string): MillraceError {
  return new MillraceError('invalid_request', { message })
}
