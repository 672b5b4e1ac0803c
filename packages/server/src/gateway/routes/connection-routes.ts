/** Renewing a connection that can send nothing itself: PROTOCOL.md#renewal. */
import { MillraceError } from '@millrace/protocol'
import type { Check } from '../../access/authorize.ts'
import { anonymous, type Principal } from '../../access/caller.ts'
import { createHeartbeatLimit } from '../../limits/heartbeat-limit.ts'
import type { PassRenewal } from '../../transports/connection.ts'
import type { Connections } from '../../transports/connections.ts'
import { renewConnection } from '../renewal.ts'
import { answers } from '../responses.ts'
import type { Route, RouteRequest } from '../route.ts'
import { connectionParam } from '../schemas.ts'

export interface ConnectionRoutesOptions {
  readonly connections: Pick<Connections, 'find'>
  readonly authorize: Check
  readonly passRenewal: PassRenewal
}

export function createConnectionRoutes({ connections, authorize, passRenewal }: ConnectionRoutesOptions): Route[] {
  const serverLimit = createHeartbeatLimit()
  return [
    {
      method: 'post',
      path: '/api/connections/:id/renew',
      summary: 'Give an open stream the token of this request, before its own expires',
      isForStopping: true,
      params: connectionParam,
      answers: { 200: answers.renewed, 202: answers.renewed },
      async handle({ input: { id }, caller }: RouteRequest<{ id: string }>) {
        const { principal, address } = caller
        if (principal === anonymous) throw new MillraceError('unauthenticated')
        const connection = connections.find(id)
        if (connection !== undefined) await renewConnection(authorize, connection, caller)
        else if (!serverLimit.allows(id, address) || !(await passRenewal(id, principal))) throw new MillraceError('not_found')
        return { status: connection === undefined ? 202 : 200, json: { expiresAt: principal.expiresAt } }
      },
    },
  ]
}

/** A renewal that arrived at another server, which knows its token, but not what the connection reads. */
export async function renewPassed(
  { connections, authorize }: Omit<ConnectionRoutesOptions, 'passRenewal'>,
  id: string,
  principal: Principal,
): Promise<void> {
  const connection = connections.find(id)
  if (connection === undefined) return
  const facts = { transport: 'http', address: undefined, path: '', headers: new Headers(), origin: undefined } as const
  await renewConnection(authorize, connection, { ...facts, isSecure: false, principal })
}
