/** Tickets that can still be used, and what is no longer valid: PROTOCOL.md#admin-api. */
import { hash } from 'node:crypto'
import { MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import { userId } from '../../access/claims.ts'
import type { ListedRevocation, Revocation } from '../../access/revocations.ts'
import type { Tickets } from '../../access/tickets.ts'
import type { RouteRequest } from '../route.ts'
import { createTicketRoutes } from '../routes/ticket-routes.ts'
import type { AdminRoute } from './admin-route.ts'
import { mergePages, type Place, pageOf, parsePlace } from './nodes.ts'
import { next, page } from './schemas.ts'

const name = z.string().min(1).max(300)
const revocationBody = z.strictObject({
  sub: userId.optional().describe('A user'),
  tokenId: name.optional().describe('The `jti` of a token'),
  session: name.optional().describe('A session, for everybody but servers with a key'),
})
const revocation = z.object({ kind: z.enum(['sub', 'tokenId', 'session']), name: z.string(), at: z.number() })
const ticket = z.object({ id: z.string(), principal: z.string(), issuedAt: z.number(), expiresAt: z.number() })
const ticketParam = z.object({ id: z.string().regex(/^[\da-z]{8,32}-\d{1,16}$/) })

export type AdminRevocationRoutesOptions = Parameters<typeof createTicketRoutes>[0] & {
  readonly tickets: Tickets
  readonly revoke: (revocation: Revocation) => Promise<void>
  readonly listRevocations: () => Promise<readonly ListedRevocation[]>
}

export function createAdminRevocationRoutes(options: AdminRevocationRoutesOptions): AdminRoute[] {
  const { tickets, revoke, listRevocations } = options
  const path = '/api/admin/tickets'
  return [
    ...createTicketRoutes(options).map((route): AdminRoute => ({ ...route, path, action: 'admin.keys' })),
    {
      method: 'get',
      path,
      summary: 'Tickets that can still be used, without the tickets themselves; the newest first',
      action: 'admin.read',
      answers: { 200: z.object({ tickets: z.array(ticket) }) },
      handle: async () => ({ status: 200, json: { tickets: (await tickets.list()).slice(0, ticketsListed) } }),
    },
    {
      method: 'delete',
      path: `${path}/:id`,
      summary: 'Revoke a ticket that nobody has used',
      action: 'admin.keys',
      params: ticketParam,
      answers: { 200: z.object({ id: z.string() }) },
      async handle({ input: { id } }: RouteRequest<{ id: string }>) {
        if (!(await tickets.revoke(id))) throw new MillraceError('not_found', { message: noTicket })
        return { status: 200, json: { id } }
      },
    },
    {
      method: 'get',
      path: '/api/admin/revocations',
      summary: 'What was revoked, the newest first',
      action: 'admin.read',
      query: page,
      answers: { 200: z.object({ revocations: z.array(revocation), next }) },
      async handle({ input: { limit, before } }: RouteRequest<z.output<typeof page>>) {
        const listed = pageOf(await listRevocations(), placeOf, limit + 1, parsePlace(before))
        const { items, next } = mergePages([listed], placeOf, limit)
        return { status: 200, json: { revocations: items, next } }
      },
    },
    {
      method: 'post',
      path: '/api/admin/revocations',
      summary: 'Take away what a user, a token or a session was given, on every server',
      action: 'admin.keys',
      body: revocationBody,
      answers: { 201: revocationBody },
      async handle({ input }: RouteRequest<z.output<typeof revocationBody>>) {
        await revoke(input as Revocation)
        return { status: 201, json: input }
      },
    },
  ]
}

const ticketsListed = 200
const noTicket = 'No ticket with this id can be used; what it opened is ended by disconnecting or revoking its user.'

/** Names have characters that a place cannot have. */
function placeOf({ kind, name, at }: ListedRevocation): Place {
  return { time: at, tie: hash('sha256', `${kind} ${name}`).slice(0, 32) }
}
