/** `/v1/models`: the models that the caller may ask for. */
import type { FaceContext } from '../../gateway/face.ts'
import type { Route, RouteRequest } from '../../gateway/route.ts'
import { idParam } from './route-parts.ts'

export function createModelRoutes({ offer, chats }: Pick<FaceContext, 'offer' | 'chats'>): Route[] {
  return [
    {
      method: 'get',
      path: '/v1/models',
      summary: 'The models that may be asked for',
      answers: { 200: 'text' },
      async handle({ caller }: RouteRequest<object>) {
        const { models } = await offer.list(caller.principal)
        return { status: 200, json: { object: 'list', data: models.map(({ name }) => describe(name)) } }
      },
    },
    {
      method: 'get',
      path: '/v1/models/:id',
      summary: 'A model that may be asked for, also one that is not listed',
      params: idParam,
      answers: { 200: 'text' },
      async handle({ input: { id }, caller }: RouteRequest<{ id: string }>) {
        await offer.require(caller.principal, [id])
        // Finds it, as a question would.
        await chats.check({ query: id, models: [id] })
        return { status: 200, json: describe(id) }
      },
    },
  ]
}

/** Nobody knows when a model was made: clients sort by it and show nothing of it. */
function describe(id: string): object {
  return { id, object: 'model', created: 0, owned_by: id.split(':', 1)[0] ?? 'millrace' }
}
