/** Stopping runs, and the models: PROTOCOL.md#http. */
import type { z } from 'zod'
import type { Offer } from '../offered.ts'
import { answers } from '../responses.ts'
import type { Route, RouteRequest } from '../route.ts'
import { type RunAccess, stopFor } from '../run-access.ts'
import { stopBody } from '../run-schemas.ts'
import { idParam } from '../schemas.ts'

export interface ServerRoutesOptions extends RunAccess {
  readonly offer: Offer
}

export function createServerRoutes({ offer, ...access }: ServerRoutesOptions): Route[] {
  return [
    {
      method: 'post',
      path: '/api/runs/:id/stop',
      summary: 'Stop a run, or one of its lanes, for everybody; what was said is kept',
      isForStopping: true,
      params: idParam,
      body: stopBody,
      answers: { 200: answers.end },
      async handle({ input: { id: run, lane, session }, caller }: RouteRequest<z.output<typeof stopBody> & { id: string }>) {
        return { status: 200, json: await stopFor(access, caller, { run, lane, session }) }
      },
    },
    {
      method: 'get',
      path: '/api/models',
      summary: 'Models that you can ask by name',
      answers: { 200: answers.models },
      async handle({ caller }) {
        return { status: 200, json: await offer.list(caller.principal) }
      },
    },
  ]
}
