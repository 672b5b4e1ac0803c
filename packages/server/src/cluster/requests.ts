/**
 * Requests to all servers of the engine, this one included, and their responses. They travel through the inboxes, so a server
 * that is not alive simply does not respond: every request waits a bounded time, and its result says who responded.
 */
import { type Json, MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import { leaseLogOf } from './lease.ts'
import type { Membership } from './membership.ts'

export interface NodeResponse {
  readonly node: string
  /** Absent where the server did not respond in time, or failed. */
  readonly response?: Json
  /** Why there is no response: an error code. */
  readonly error?: string
}

export interface NodeRequestsOptions {
  readonly engine: Engine
  /** The name of this server. */
  readonly node: string
  /** Undefined where no other server has the engine. */
  readonly membership: Membership | undefined
  /** Responds for this server. */
  readonly respond: (request: Json) => Promise<Json>
  readonly newId: () => string
  /** How long others may take; default 2,000. */
  readonly waitMsMax?: number
}

export interface NodeRequests {
  /** Never rejects: a failure is that of a server. With `node` only that one is asked. */
  ask(request: Json, node?: string): Promise<readonly NodeResponse[]>
  /** Handles a message of another server; false where it is neither a request nor a response. */
  onMessage(message: RequestMessage): boolean
}

export interface RequestMessage {
  readonly type?: string
  readonly id?: string
  /** The server that sent it. */
  readonly from?: string
  readonly request?: Json
  readonly response?: Json
  readonly error?: string
}

interface Waiting {
  readonly missing: Set<string>
  readonly responses: NodeResponse[]
  readonly done: () => void
}

const nodesMax = 200

export function createNodeRequests(options: NodeRequestsOptions): NodeRequests {
  const { engine, node: own, membership, respond, newId, waitMsMax = 2000 } = options
  const waiting = new Map<string, Waiting>()

  return {
    async ask(request, node) {
      const here = node === undefined || node === own ? [respondHere(request)] : []
      const others = membership === undefined || node === own ? [] : askOthers(membership, request, node)
      const [local, remote] = await Promise.all([Promise.all(here), others])
      return [...local, ...remote].sort((a, b) => (a.node < b.node ? -1 : 1))
    },
    onMessage({ type, id, from, request, response, error }) {
      if (id === undefined || from === undefined || membership === undefined) return false
      if (type === 'request' && request !== undefined) void answer(membership, { id, to: from, request })
      else if (type === 'response')
        receive(id, { node: from, ...(error === undefined ? { response: response ?? null } : { error }) })
      else return false
      return true
    },
  }

  async function respondHere(request: Json): Promise<NodeResponse> {
    try {
      return { node: own, response: await respond(request) }
    } catch (error) {
      return { node: own, error: codeOf(error) }
    }
  }

  async function askOthers(membership: Membership, request: Json, node?: string): Promise<readonly NodeResponse[]> {
    // Sending would create an inbox for any name.
    if (node !== undefined && (await membership.isDead(node).catch(() => true))) return [{ node, error: 'not_found' }]
    const others = node === undefined ? await listOthers() : [node]
    if (others.length === 0) return []
    const id = newId()
    const { promise, resolve } = Promise.withResolvers<void>()
    const missing = new Set(others)
    const entry: Waiting = { missing, responses: [], done: resolve }
    waiting.set(id, entry)
    const timer = setTimeout(resolve, waitMsMax)
    try {
      // Without an inbox of its own this server would get no response.
      await membership.join()
      for (const other of others) void send(membership, other, { type: 'request', id, from: own, request })
      await promise
    } catch {
      // The engine is unavailable: nobody has responded.
    } finally {
      clearTimeout(timer)
      waiting.delete(id)
    }
    // One that was killed is declared dead only by a server that watches it.
    for (const silent of missing) membership.watchNode(silent)
    return [...entry.responses, ...[...missing].map((silent) => ({ node: silent, error: 'no_response' }))]
  }

  /** Those with a lease. */
  async function listOthers(): Promise<string[]> {
    const prefix = leaseLogOf('')
    const names = await engine.list(prefix).catch((): string[] => [])
    const nodes = names.map((name) => name.slice(prefix.length))
    return nodes.filter((node) => node !== own).slice(0, nodesMax)
  }

  async function answer(membership: Membership, { id, to, request }: { id: string; to: string; request: Json }): Promise<void> {
    const { node: from, ...outcome } = await respondHere(request)
    const isSent = await send(membership, to, { type: 'response', id, from, ...outcome })
    if (!isSent) await send(membership, to, { type: 'response', id, from, error: 'event_too_large' })
  }

  async function send(membership: Membership, to: string, message: RequestMessage): Promise<boolean> {
    try {
      await membership.send(to, message as unknown as Json)
      return true
    } catch {
      // The one who asks waits for a bounded time only.
      return false
    }
  }

  function receive(id: string, response: NodeResponse): void {
    const entry = waiting.get(id)
    if (entry === undefined || !entry.missing.delete(response.node)) return
    entry.responses.push(response)
    if (entry.missing.size === 0) entry.done()
  }
}

function codeOf(error: unknown): string {
  return error instanceof MillraceError ? error.code : 'internal'
}
