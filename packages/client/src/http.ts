/** Requests to the server: addresses, the token, and refusals turned into errors. */
import { MillraceError, readRefusal, unreachable } from './errors.ts'

export interface HttpOptions {
  /** Ends with a slash. */
  readonly base: string
  readonly fetch: typeof globalThis.fetch
  readonly token: (() => string | Promise<string>) | undefined
}

export interface HttpRequest {
  readonly accept?: string
  /** Sent as JSON. */
  readonly body?: object | undefined
  /** Default `POST` where there is a body, else `GET`. */
  readonly method?: 'PATCH' | 'DELETE'
  readonly signal?: AbortSignal | undefined
}

export interface Http {
  readonly base: string
  /** Rejects with a MillraceError for everything that is not a success. */
  request(path: string, request?: HttpRequest): Promise<Response>
  /** The same, read as JSON. */
  json(path: string, request?: HttpRequest): Promise<unknown>
}

export function createHttp({ base, fetch, token }: HttpOptions): Http {
  return { base, request, json }

  async function request(
    path: string,
    { accept = 'application/json', body, signal, ...rest }: HttpRequest = {},
  ): Promise<Response> {
    let response: Response
    try {
      // Asked for each time: a token that is good now may not be at the next attempt.
      const bearer = await token?.()
      response = await fetch(new URL(path, base), {
        method: rest.method ?? (body === undefined ? 'GET' : 'POST'),
        headers: {
          accept,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
        },
        cache: 'no-store',
        body: body === undefined ? null : JSON.stringify(body),
        signal: signal ?? null,
      })
    } catch (cause) {
      throw unreachable(cause)
    }
    if (!response.ok) throw await readRefusal(response, base)
    return response
  }

  async function json(path: string, options?: HttpRequest): Promise<unknown> {
    const response = await request(path, options)
    try {
      return await response.json()
    } catch (cause) {
      throw new MillraceError('bad_answer', { cause })
    }
  }
}

/** The error as this client's, whatever it was. */
export function toError(error: unknown): MillraceError {
  return error instanceof MillraceError ? error : unreachable(error)
}
