/** Who asks, and what is known of the request: one value, which travels with every connection and every command. */

/** Who asks. */
export interface Principal {
  /** `anonymous` until somebody authenticates. */
  readonly id: string
}

export const anonymous: Principal = { id: 'anonymous' }

export interface RequestFacts {
  /** A message of a WebSocket has the facts of its handshake. */
  readonly transport: 'http' | 'ws'
  /** Of the peer; a proxy's where there is one. Undefined on hosts that do not give it. */
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
  return { ...facts, principal: anonymous }
}
