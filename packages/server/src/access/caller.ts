/** The caller: who makes a request, and its details. One value, which belongs to every connection and every command. */
import type { IncomingMessage } from 'node:http'
import type { PrincipalLimits } from './principal-limits.ts'

/** A share link reads one session; everybody who has it is the same principal. */
export type PrincipalKind = 'user' | 'server' | 'share' | 'anonymous'

/** Who makes the request. */
export interface Principal {
  /**
   * Of a user the `sub` of its token, of an API key `key:` and its id, of a share link `share:` and its id; `anonymous` without
   * authentication.
   */
  readonly id: string
  readonly kind: PrincipalKind
  /** Patterns of the actions that are allowed (access/actions.ts); undefined: everything that `anonymous` may do. */
  readonly may?: readonly string[] | undefined
  /** The only sessions that it can use, also those of others: ids, or the beginning of ids and `*`. */
  readonly sessions?: readonly string[] | undefined
  /** Of `sessions`, only those that it could use without that list: it made the list itself. */
  readonly ownSessionsOnly?: true | undefined
  /** The only channels that it can use: names, or the beginning of names and `*`. */
  readonly channels?: readonly string[] | undefined
  /** In place of the defaults of the server. */
  readonly limits?: PrincipalLimits | undefined
  /** Milliseconds since 1970. What was issued before the user was revoked is not valid, nor is what does not say so. */
  readonly issuedAt?: number | undefined
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | undefined
  /** Of the token or key, so that it alone can be revoked. */
  readonly tokenId?: string | undefined
}

export const anonymous: Principal = { id: 'anonymous', kind: 'anonymous' }

export interface RequestFacts {
  /** A message of a WebSocket has the details of its handshake. */
  readonly transport: 'http' | 'ws'
  /** Of the client; of the last proxy that is not trusted if there is one. Undefined on hosts that do not provide it. */
  readonly address: string | undefined
  /** Without the query. */
  readonly path: string
  readonly headers: Headers
  /** The page that made the request, such as `https://app.example.com`; undefined outside of browsers. */
  readonly origin: string | undefined
  /** The client connected over TLS. */
  readonly isSecure: boolean
}

export interface Caller extends RequestFacts {
  readonly principal: Principal
}

/** The same details with another principal. */
export function withPrincipal(caller: Caller, principal: Principal): Caller {
  // The details of a handshake are computed by its class when they are read.
  return Object.assign(Object.create(Object.getPrototypeOf(caller)), caller, { principal })
}

/** What the host's own authentication gets. */
export interface AuthenticationFacts extends RequestFacts {
  /** Node's request, in which a login of the host may have left its user. Undefined on web-standard hosts. */
  readonly node: IncomingMessage | undefined
}
