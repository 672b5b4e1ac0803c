/** A server with an admin key, and its admin API. */
import type { AdminChange, MillraceOptions } from 'millrace'
import { startServer, type TestServer } from './server.ts'
import { bearer } from './tokens.ts'

export const adminKey = 'an-admin-key-of-a-test'

export interface AdminServer extends TestServer {
  /** What observers got of the changes. */
  readonly changes: AdminChange[]
  call(method: string, path: string, body?: object, key?: string): Promise<{ status: number; body: Record<string, unknown> }>
  /** The body of a GET that succeeds. */
  read<T>(path: string): Promise<T>
}

export async function startAdmin(options: MillraceOptions = {}): Promise<AdminServer> {
  const changes: AdminChange[] = []
  const observers = [{ adminChanged: (change: AdminChange) => void changes.push(change) }, ...(options.observers ?? [])]
  const server = await startServer({ access: { adminKey }, ...options, observers })
  const call: AdminServer['call'] = async (method, path, body, key = adminKey) => {
    const headers = { ...bearer(key), ...(body !== undefined && { 'content-type': 'application/json' }) }
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) }
    const response = await fetch(`${server.url}/api/admin${path}`, init)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  return {
    ...server,
    changes,
    call,
    async read<T>(path: string) {
      const { status, body } = await call('GET', path)
      if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
      return body as T
    },
  }
}
