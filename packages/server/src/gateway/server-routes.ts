/** Stopping runs, and the models: PROTOCOL.md#http. */
import type { Offer } from './offered.ts'
import type { Route, RouteRequest } from './route.ts'
import { type RunAccess, stopFor } from './run-access.ts'
import { answers, idParam } from './schemas.ts'

export interface ServerRoutesOptions extends RunAccess {
  readonly offer: Offer
}

export function createServerRoutes({ offer, ...access }: ServerRoutesOptions): Route[] {
  return [
    {
      method: 'post',
      path: '/api/runs/:id/stop',
      summary: 'Stop a run for everybody; what was said is kept',
      isForStopping: true,
      params: idParam,
      answers: { 200: answers.end },
      async handle({ input, caller }: RouteRequest<{ id: string }>) {
        return { status: 200, json: await stopFor(access, caller, input.id) }
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
