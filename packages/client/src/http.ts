/** Requests to the server: addresses, the token, deadlines, and refusals turned into errors. */
import { unlessAborted } from './deadline.ts'
import { MillraceError, readRefusal, unreachable } from './errors.ts'

export interface TokenRequest {
  /**
   * `first`: for a request that was not refused yet; a token that was kept will do. `expired`, `rejected`: the server
   * refused the last one with 401, and it is requested again once per request. Also `expired`: that of an open connection.
   */
  readonly reason: 'first' | 'expired' | 'rejected'
}

export interface HttpOptions {
  /** Ends with a slash; empty where a relative address has no page. */
  readonly base: string
  readonly fetch: typeof globalThis.fetch
  readonly token: ((request: TokenRequest) => string | Promise<string>) | undefined
  /** Milliseconds without a byte after which a request rejects with `silent`. */
  readonly answerMs: number
  /** Where there is no address: requests wait for it, until they are aborted. */
  readonly whenAddressed?: Promise<never> | undefined
  readonly onUnauthenticated?: ((error: MillraceError) => void) | undefined
  /** A server, or something on the way, has answered. */
  readonly onReached: () => void
}

export interface HttpRequest {
  readonly accept?: string
  /** Sent as JSON, or where there are headers as it is. */
  readonly body?: object | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** Default `POST` where there is a body, else `GET`. */
  readonly method?: 'POST' | 'PATCH' | 'DELETE'
  readonly signal?: AbortSignal | undefined
  /** Why a token is requested; default `first`. */
  readonly reason?: TokenRequest['reason']
  /** How much longer than usual the server may take to answer. */
  readonly extraMs?: number
}

export interface Http {
  readonly base: string
  /** Rejects with a MillraceError for everything that is not a success. Has no deadline: it is for streams, which have their own. */
  stream(path: string, request?: HttpRequest): Promise<Response>
  /** The whole answer. Rejects likewise, and with `silent`. */
  text(path: string, request?: HttpRequest): Promise<string>
  /** The same, read as JSON. */
  json(path: string, request?: HttpRequest): Promise<unknown>
  /** Undefined where the application gives none. Rejects with `token_failed`. */
  token(reason: TokenRequest['reason']): Promise<string | undefined>
}

export function createHttp({ base, fetch, token, answerMs, whenAddressed, onUnauthenticated, onReached }: HttpOptions): Http {
  return { base, stream, text, json, token: ask }

  async function stream(path: string, request: HttpRequest = {}): Promise<Response> {
    const { accept = 'application/json', body, headers, signal, method = body === undefined ? 'GET' : 'POST' } = request
    if (base === '') throw new MillraceError('unreachable', { message: needsPage, retryable: false })
    for (let { reason = 'first' } = request, isAgain = false; ; isAgain = true) {
      const bearer = await ask(reason, signal)
      const response = await fetch(new URL(path, base), {
        method,
        headers: {
          accept,
          ...(headers ?? (body && { 'content-type': 'application/json' })),
          ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
        },
        cache: 'no-store',
        body: headers ? (body as Blob) : body ? JSON.stringify(body) : null,
        signal: signal ?? null,
      }).catch((cause: unknown) => {
        throw toError(cause)
      })
      onReached()
      if (response.ok) return response
      const error = await readRefusal(response, base)
      if (error.status !== 401) throw error
      if (bearer === undefined || isAgain) {
        // A server that asks nobody for a token has no ticket for anybody either.
        if (path !== 'api/tickets' || error.code !== 'unauthenticated') onUnauthenticated?.(error)
        throw error
      }
      reason = error.code === 'token_expired' ? 'expired' : 'rejected'
    }
  }

  async function text(path: string, { signal, extraMs = 0, ...request }: HttpRequest = {}): Promise<string> {
    if (whenAddressed !== undefined) await unlessAborted(whenAddressed, signal)
    const silence = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const wait = () => {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(new MillraceError('silent')), answerMs + extraMs)
    }
    wait()
    try {
      const own = signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal])
      const response = await stream(path, { ...request, signal: own })
      const reader = response.body?.getReader()
      if (reader === undefined) return await response.text()
      const decoder = new TextDecoder()
      for (let all = ''; ; ) {
        const { done, value } = await reader.read()
        wait()
        all += decoder.decode(value, { stream: !done })
        if (done) return all
      }
    } catch (cause) {
      throw toError(cause)
    } finally {
      clearTimeout(timer)
    }
  }

  async function json(path: string, options?: HttpRequest): Promise<unknown> {
    const answer = await text(path, options)
    try {
      return JSON.parse(answer)
    } catch (cause) {
      throw new MillraceError('bad_answer', { cause })
    }
  }

  /** Asked for each time: a token that is good now may not be at the next attempt. */
  async function ask(reason: TokenRequest['reason'], signal?: AbortSignal): Promise<string | undefined> {
    if (token === undefined) return undefined
    try {
      return await unlessAborted(Promise.resolve(token({ reason })), signal)
    } catch (cause) {
      if (cause instanceof MillraceError || signal?.aborted) throw toError(cause)
      throw new MillraceError('token_failed', { cause })
    }
  }
}

const needsPage = 'connect() needs an absolute address here.'

/** The error as this client's, whatever it was. */
export function toError(error: unknown): MillraceError {
  return error instanceof MillraceError ? error : unreachable(error)
}
