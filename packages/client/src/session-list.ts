/** Sessions as a whole: which there are, and what is done with one of them. PROTOCOL.md#http. */
import type { Http } from './http.ts'

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

export interface ListOptions {
  /** 1 to 200, default 50. */
  readonly limit?: number
  /** `next` of the page before; default the beginning. */
  readonly before?: number
  readonly signal?: AbortSignal
}

/** Each is one attempt, and rejects with a MillraceError: `unreachable`, `silent`, or what the server refuses it with. */
export interface SessionList {
  list(options?: ListOptions): Promise<SessionPage>
  /** 1 to 200 characters, none of them a control character. Rejects with `invalid_request` or `session_not_found`. */
  rename(id: string, title: string): Promise<ListedSession>
  /**
   * Stops what runs in the session and deletes it with everything that was said in it. Its readers get
   * `session_not_found`; this call rejects with it when there is no such session.
   */
  delete(id: string): Promise<void>
  /** The conversation as text: Markdown, or the JSON of `Session.read` with its title. Rejects with `session_not_found`. */
  export(id: string, format?: 'markdown' | 'json'): Promise<string>
}

export function createSessionList({ text, json }: Http): SessionList {
  const address = (id: string) => `api/sessions/${encodeURIComponent(id)}`
  return {
    list({ limit = 50, before, signal } = {}) {
      const page = before === undefined ? '' : `&before=${before}`
      return json(`api/sessions?limit=${limit}${page}`, { signal }) as Promise<SessionPage>
    },
    rename: (id, title) => json(address(id), { method: 'PATCH', body: { title } }) as Promise<ListedSession>,
    async delete(id) {
      await text(address(id), { method: 'DELETE' })
    },
    export: (id, format = 'markdown') => text(`${address(id)}/export?format=${format}`, { accept: '*/*' }),
  }
}
