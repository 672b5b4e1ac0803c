/** Connections of all servers: PROTOCOL.md#admin-api. */
import { MillraceError } from '@millrace/protocol'
import type { z } from 'zod'
import { channelLog } from '../../channels/channels.ts'
import type { ConnectionFilter } from '../../transports/connections.ts'
import type { RouteRequest } from '../route.ts'
import type { AdminRoute } from './admin-route.ts'
import { type AskNodes, gather, mergePages, parsePlace } from './nodes.ts'
import { type AdminConnections, placeOfConnection } from './respond.ts'
import { adminAnswers, connectionsQuery, disconnectBody } from './schemas.ts'

export function createAdminConnectionRoutes(nodes: AskNodes): AdminRoute[] {
  return [
    {
      method: 'get',
      path: '/api/admin/connections',
      summary: 'Open connections of all servers, the newest first',
      action: 'admin.read',
      query: connectionsQuery,
      answers: { 200: adminAnswers.connections },
      async handle({ input: { limit, before, ...wanted } }: RouteRequest<z.output<typeof connectionsQuery>>) {
        const place = parsePlace(before)
        const request = {
          op: 'connections',
          filter: toFilter(wanted),
          count: limit + 1,
          ...(place && { before: place }),
        } as const
        const gathered = await gather<AdminConnections>(nodes, request)
        const lists = gathered.responses.map(({ connections }) => connections)
        const { items, next } = mergePages(lists, placeOfConnection, limit)
        const connections = items.map(({ serial: _serial, ...rest }) => rest)
        const total = gathered.responses.reduce((sum, each) => sum + each.total, 0)
        return { status: 200, json: { connections, total, ...(next !== undefined && { next }), nodes: gathered.nodes } }
      },
    },
    {
      method: 'post',
      path: '/api/admin/connections/disconnect',
      summary: 'End connections of all servers: those that match every field',
      action: 'admin.connections',
      body: disconnectBody,
      answers: { 200: adminAnswers.disconnected },
      async handle({ input: { code, ...wanted } }: RouteRequest<z.output<typeof disconnectBody>>) {
        const filter = toFilter(wanted)
        if (Object.keys(filter).length === 0) throw new MillraceError('invalid_request', { message: whichOnes })
        const gathered = await gather<{ disconnected: number }>(nodes, { op: 'disconnect', filter, code })
        const disconnected = gathered.responses.reduce((sum, each) => sum + each.disconnected, 0)
        return { status: 200, json: { disconnected, nodes: gathered.nodes } }
      },
    },
  ]
}

const whichOnes =
  'The request says of no connection that it is meant; give an `id`, `principal`, `session`, `channel`, `transport` or `address`.'

type Wanted = Omit<z.output<typeof disconnectBody>, 'code'>

function toFilter({ session, channel, ...rest }: Wanted): ConnectionFilter {
  if (session !== undefined && channel !== undefined)
    throw new MillraceError('invalid_request', {
      message: 'A connection is found by `session` or by `channel`; give one of them.',
    })
  const log = channel === undefined ? session : channelLog(channel)
  const filter = { ...rest, session: log }
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
}
