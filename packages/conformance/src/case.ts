/** A case that any server can be asked: over the network alone, with nothing but the standards. */
export interface Case {
  readonly name: string
  /** Rejects where the server does not keep its promise. */
  run(target: Target): Promise<void>
}

export interface Suite {
  /** The part of PROTOCOL.md, or the dialect, that it checks. */
  readonly name: string
  /** Why the server cannot be checked; undefined where it can. Default: it can. */
  skip?(target: Target): Promise<string | undefined>
  readonly cases: readonly Case[]
}

/** The server that is checked. */
export interface Target {
  /** Without a slash at its end. */
  readonly url: string
  /** A bearer token; undefined where the server asks for none. */
  readonly token: string | undefined
  /** Answers in several tokens to any question; undefined for the server's default. */
  readonly model: string | undefined
  /** Aborts when the case has taken too long. */
  readonly signal: AbortSignal
}

/** A request with the target's credentials. `path` begins with a slash. */
export function call({ url, token, signal }: Target, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  return fetch(url + path, { signal, ...init, headers })
}

/** A POST of JSON. */
export function post(target: Target, path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  const all = { 'content-type': 'application/json', ...headers }
  return call(target, path, { method: 'POST', headers: all, body: JSON.stringify(body) })
}

/** A new id that no other run of the suites has. */
export const newId = (): string => crypto.randomUUID().replaceAll('-', '')
