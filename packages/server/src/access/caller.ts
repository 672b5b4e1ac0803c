/** The caller: who makes a request, and its details. One value, which belongs to every connection and every command. */

/** Who makes the request. */
export interface Principal {
  /** `anonymous` without authentication. */
  readonly id: string
}

export const anonymous: Principal = { id: 'anonymous' }

export interface RequestFacts {
  /** A message of a WebSocket has the details of its handshake. */
  readonly transport: 'http' | 'ws'
  /** Of the peer; of a proxy if there is one. Undefined on hosts that do not provide it. */
  readonly address: string | undefined
  /** Without the query. */
  readonly path: string
  readonly headers: Headers
}

export interface Caller extends RequestFacts {
  readonly principal: Principal
}

/** The only place where a request gets its principal. */
export function identify(facts: RequestFacts): Caller {
  // Not a copy: the headers may be a getter.
  return Object.assign(facts, { principal: anonymous })
}
