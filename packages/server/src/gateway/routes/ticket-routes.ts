/** Tickets, with which a browser opens one connection: PROTOCOL.md#tickets. */
import { MillraceError } from '@millrace/protocol'
import type { z } from 'zod'
import { delegate } from '../../access/delegate.ts'
import type { Tickets } from '../../access/tickets.ts'
import type { Limits } from '../../limits/limits.ts'
import { answers } from '../responses.ts'
import type { Route, RouteRequest } from '../route.ts'
import { ticketBody } from '../schemas.ts'

export interface TicketRoutesOptions {
  readonly tickets: Pick<Tickets, 'issue'>
  readonly limits: Pick<Limits, 'take'>
}

export function createTicketRoutes({ tickets, limits }: TicketRoutesOptions): Route[] {
  return [
    {
      method: 'post',
      path: '/api/tickets',
      summary: 'Get a ticket for one connection, for yourself or for a user that you name',
      body: ticketBody,
      answers: { 201: answers.ticket },
      async handle({ input, caller }: RouteRequest<z.output<typeof ticketBody>>) {
        const { principal } = caller
        // On an open server too: it would be a ticket for nobody, and every stranger could fill the log of tickets.
        if (principal.kind === 'anonymous') throw new MillraceError('unauthenticated')
        const { ttl, ...delegation } = input
        const delegated = delegate(principal, delegation, Date.now())
        await limits.take('ticketsPerMinute', caller)
        return { status: 201, json: await tickets.issue(delegated, ttl) }
      },
    },
  ]
}
