/** Stopping runs, and the models: PROTOCOL.md#http. */
import type { Authorize } from '../access/authorize.ts'
import type { Offer } from './offered.ts'
import type { Route, RouteRequest } from './route.ts'
import { answers, idParam } from './schemas.ts'
import type { Stops } from './stops.ts'

export interface ServerRoutesOptions {
  readonly authorize: Authorize
  readonly stops: Stops
  readonly offer: Offer
  readonly describeDefault: () => Promise<{ readonly name: string }>
}

export function createServerRoutes({ authorize, stops, offer, describeDefault }: ServerRoutesOptions): Route[] {
  return [
    {
      method: 'post',
      path: '/api/runs/:id/stop',
      summary: 'Stop a run for everybody; what was said is kept',
      isForStopping: true,
      params: idParam,
      answers: { 200: answers.end },
      async handle({ input, caller }: RouteRequest<{ id: string }>) {
        const end = await stops.stop(input.id, ({ session }) => authorize(caller, 'run.stop', { session }))
        return { status: 200, json: end }
      },
    },
    {
      method: 'get',
      path: '/api/models',
      summary: 'Models that can be asked by name',
      answers: { 200: answers.models },
      async handle() {
        const [{ name }, list] = await Promise.all([describeDefault(), offer.list()])
        return { status: 200, json: { default: name, models: list } }
      },
    },
  ]
}
