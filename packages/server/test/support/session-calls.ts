/** A server, and the calls for its sessions. */
import type { MillraceOptions } from 'millrace'
import { startRun, startServer } from './server.ts'

export interface SessionPage {
  readonly sessions: { id: string; title: string; createdAt: number; updatedAt: number }[]
  readonly next?: number
}

export async function startSessions(options: MillraceOptions = {}) {
  const server = await startServer(options)
  const { url, millrace } = server
  return {
    ...server,
    /** Resolves with the session when its answer is complete. */
    async ask(query: string, more: object = {}) {
      const { session, run } = await startRun(url, { query, models: ['sim:count?n=3&tps=0'], ...more })
      await millrace.findRun(run)?.ended
      return session
    },
    list: async (query = '') => (await (await fetch(`${url}/api/sessions${query}`)).json()) as SessionPage,
    call: async (method: string, path: string, body?: object) => {
      const init = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
      const response = await fetch(`${url}/api/sessions/${path}`, { method, ...init })
      return { status: response.status, body: (await response.json()) as Record<string, unknown> }
    },
  }
}
