/** Share links of a session: PROTOCOL.md#share-links. */
import { MillraceError } from '@millrace/protocol'
import type { z } from 'zod'
import type { Verify } from '../../access/authenticate.ts'
import type { Check } from '../../access/authorize.ts'
import type { Caller } from '../../access/caller.ts'
import type { Shares } from '../../access/shares.ts'
import type { OpenLog } from '../../runs/recovery.ts'
import { requireLog } from '../../sessions/positions.ts'
import { answers } from '../responses.ts'
import type { Route, RouteRequest } from '../route.ts'
import { idParam, shareBody, shareParam } from '../schemas.ts'

export interface ShareRoutesOptions {
  readonly authorize: Check
  readonly openLog: OpenLog
  readonly shares: Shares
  /** Undefined where the server is open. */
  readonly verify: Verify | undefined
}

export function createShareRoutes({ authorize, openLog, shares, verify }: ShareRoutesOptions): Route[] {
  const path = '/api/sessions/:id/shares'
  return [
    {
      method: 'post',
      path,
      summary: 'Make a link with which everybody who has it can read the session, until it expires or is revoked',
      params: idParam,
      body: shareBody,
      answers: { 201: answers.newShare },
      async handle({ input, caller }: RouteRequest<{ id: string } & z.output<typeof shareBody>>) {
        await requireOwn(caller, input.id)
        return { status: 201, json: await shares.create(input.id, input) }
      },
    },
    {
      method: 'get',
      path,
      summary: 'Share links of a session, without their tokens',
      isForStopping: true,
      params: idParam,
      answers: { 200: answers.shares },
      async handle({ input, caller }: RouteRequest<{ id: string }>) {
        await requireOwn(caller, input.id)
        return { status: 200, json: { shares: await shares.list(input.id) } }
      },
    },
    {
      method: 'delete',
      path: `${path}/:share`,
      summary: 'Revoke a share link; its readers are disconnected',
      params: shareParam,
      answers: { 200: answers.session },
      async handle({ input, caller }: RouteRequest<z.output<typeof shareParam>>) {
        await requireOwn(caller, input.id)
        if (!(await shares.revoke(input.id, input.share))) throw new MillraceError('not_found')
        return { status: 200, json: { id: input.share } }
      },
    },
  ]

  async function requireOwn(caller: Caller, session: string): Promise<void> {
    if (verify === undefined)
      throw new MillraceError('invalid_request', {
        message: 'The server has no authentication: everybody who has the id of a session can read it; share the id.',
      })
    await authorize(caller, 'session.share', { session })
    await requireLog(openLog, session)
  }
}
