/** Sessions as a whole: which there are, and what is done with one of them. PROTOCOL.md#http. */
import { type CallOptions, callWithin } from './deadline.ts'
import type { Http, HttpRequest } from './http.ts'
import { queryOf } from './transports/transport.ts'

export interface ListedSession {
  readonly id: string
  /** What it was renamed to, else the beginning of its first question. */
  readonly title: string
  /** When its first run began that is still known of, and its last one; milliseconds since 1970. */
  readonly createdAt: number
  readonly updatedAt: number
}

export interface SessionPage {
  /** The one used last comes first. */
  readonly sessions: readonly ListedSession[]
  /** To be given as `before` for those that follow; absent where there are none. */
  readonly next?: number
}

export interface ListOptions extends CallOptions {
  /** 1 to 200, default 50. */
  readonly limit?: number
  /** `next` of the page before; default the beginning. */
  readonly before?: number
}

export interface ExportOptions extends CallOptions {
  /** Default `markdown`. */
  readonly format?: 'markdown' | 'json'
  /** A run: in place of the path to the newest, the one through it. */
  readonly through?: string | undefined
}

/** Each is one attempt, and rejects with a MillraceError: `unreachable`, `silent`, `deadline_exceeded`, or the server's error. */
export interface SessionList {
  /** A page of them, the one used last first. */
  list(options?: ListOptions): Promise<SessionPage>
  /** 1 to 200 characters, none of them a control character. Rejects with `invalid_request` or `session_not_found`. */
  rename(id: string, title: string, options?: CallOptions): Promise<ListedSession>
  /**
   * Stops what runs in the session and deletes it with everything that was said in it. Its readers get
   * `session_not_found`; this call rejects with it when there is no such session.
   */
  delete(id: string, options?: CallOptions): Promise<void>
  /** The conversation as text: Markdown, or the JSON of `Session.read` with its title. Rejects with `session_not_found`. */
  export(id: string, options?: ExportOptions): Promise<string>
}

export function createSessionList({ text, json }: Http, requestMs: number): SessionList {
  const address = (id: string) => `api/sessions/${encodeURIComponent(id)}`
  const call = <T>(
    send: (path: string, request: HttpRequest) => Promise<T>,
    path: string,
    { signal }: CallOptions,
    request?: HttpRequest,
  ) => callWithin(requestMs, signal, (either) => send(path, { ...request, signal: either }))
  return {
    list({ limit = 50, before, ...options } = {}) {
      const page = before === undefined ? '' : `&before=${before}`
      return call(json, `api/sessions?limit=${limit}${page}`, options) as Promise<SessionPage>
    },
    rename: (id, title, options = {}) =>
      call(json, address(id), options, { method: 'PATCH', body: { title } }) as Promise<ListedSession>,
    async delete(id, options = {}) {
      await call(text, address(id), options, { method: 'DELETE' })
    },
    export: (id, { format = 'markdown', through, ...options } = {}) =>
      call(text, `${address(id)}/export?${queryOf({ format, ...(through && { through }) })}`, options, { accept: '*/*' }),
  }
}
