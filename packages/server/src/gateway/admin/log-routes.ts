/** Lists of sessions, channels and logs: PROTOCOL.md#admin-api. */
import { formatPosition, idPattern } from '@millrace/protocol'
import { z } from 'zod'
import { channelLog, channelOf } from '../../channels/channels.ts'
import type { Engine, LogState } from '../../log/log.ts'
import type { History } from '../../sessions/history.ts'
import { answers } from '../responses.ts'
import type { RouteRequest } from '../route.ts'
import { sessionsQuery } from '../schemas.ts'
import type { AdminRoute } from './admin-route.ts'
import { bounds, text } from './schemas.ts'

export interface AdminLogRoutesOptions {
  readonly engine: Engine
  readonly history: Pick<History, 'list'>
}

const namesQuery = z.object({
  prefix: z.string().max(160).default('').describe('How the names begin'),
  after: z.string().max(300).default('').describe('`next` of the page before'),
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('Length of the page'),
})

const ownedQuery = sessionsQuery.extend({ owner: text.optional().describe('Only the sessions of this one') })
const ownedSession = answers.listedSession.extend({ owner: z.string().optional().describe('Absent for a session of nobody') })

const next = z.string().optional().describe('The `after` of the next page; absent on the last one')
const logs = z.array(z.object({ log: z.string(), kind: z.enum(['session', 'channel', 'internal']) }))
const channels = z.array(z.object({ channel: z.string(), ...bounds }))

export function createAdminLogRoutes({ engine, history }: AdminLogRoutesOptions): AdminRoute[] {
  return [
    {
      method: 'get',
      path: '/api/admin/sessions',
      summary: 'Sessions of all owners, most recently used first',
      action: 'admin.read',
      query: ownedQuery,
      answers: { 200: z.object({ sessions: z.array(ownedSession), next: z.number().optional() }) },
      async handle({ input }: RouteRequest<z.output<typeof ownedQuery>>) {
        const owners = new Map<string, string | undefined>()
        const note = (session: string, owner: string | undefined) => owners.set(session, owner) !== undefined
        const { sessions, ...rest } = await history.list({ ...input, isVisible: note })
        return { status: 200, json: { sessions: sessions.map((each) => ({ ...each, owner: owners.get(each.id) })), ...rest } }
      },
    },
    {
      method: 'get',
      path: '/api/admin/logs',
      summary: 'Logs of the engine by name, also those that the servers keep for themselves',
      action: 'admin.read',
      query: namesQuery,
      answers: { 200: z.object({ logs, next }) },
      async handle({ input }: RouteRequest<z.output<typeof namesQuery>>) {
        const { names, next } = await listNames(input)
        return { status: 200, json: { logs: names.map((log) => ({ log, kind: kindOf(log) })), next } }
      },
    },
    {
      method: 'get',
      path: '/api/admin/channels',
      summary: 'Channels by name',
      action: 'admin.read',
      query: namesQuery,
      answers: { 200: z.object({ channels, next }) },
      async handle({ input: { prefix, after, limit } }: RouteRequest<z.output<typeof namesQuery>>) {
        const start = after === '' ? '' : `${channelPrefix}${after}`
        const { names, next } = await listNames({ prefix: `${channelPrefix}${prefix}`, after: start, limit })
        const listed = await Promise.all(names.map(async (log) => describe(log, await engine.inspect(log))))
        return { status: 200, json: { channels: listed.flat(), next: next && channelOf(next) } }
      },
    },
  ]

  async function listNames({ prefix, after, limit }: z.output<typeof namesQuery>) {
    const names = await engine.list(prefix, after === '' ? undefined : after)
    return { names: names.slice(0, limit), next: names.length > limit ? names[limit - 1] : undefined }
  }
}

const channelPrefix = channelLog('x').slice(0, -1)

/** Nothing where it was deleted meanwhile. */
function describe(log: string, state: LogState | undefined) {
  return state === undefined ? [] : [{ channel: channelOf(log), ...formatBounds(state) }]
}

/** Only sessions and channels have names that clients can use. */
export function kindOf(log: string): 'session' | 'channel' | 'internal' {
  if (idPattern.test(log)) return 'session'
  return channelOf(log) === undefined ? 'internal' : 'channel'
}

export function formatBounds({ start, head }: LogState): { start: string; head: string } {
  return { start: formatPosition(start), head: formatPosition(head) }
}
