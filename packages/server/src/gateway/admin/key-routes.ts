/** API keys of servers: PROTOCOL.md#admin-api. */
import { MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import { includes, modelPatterns } from '../../access/actions.ts'
import type { Principal } from '../../access/caller.ts'
import { keyGrants } from '../../access/claims.ts'
import type { ApiKeys } from '../../access/keys.ts'
import type { RouteRequest } from '../route.ts'
import type { AdminRoute } from './admin-route.ts'

const described = z.object({
  id: z.string(),
  name: z.string(),
  may: z.array(z.string()).optional(),
  limits: z.record(z.string(), z.number()).optional(),
  createdAt: z.number(),
})
const keyParam = z.object({ id: z.string().regex(/^[\w-]{1,64}$/) })
/** Strict: a misspelled `may` would allow more than was meant. */
const keyBody = z.strictObject(keyGrants.shape)
export function createAdminKeyRoutes(keys: ApiKeys): AdminRoute[] {
  return [
    {
      method: 'get',
      path: '/api/admin/keys',
      summary: 'API keys, without the keys themselves',
      action: 'admin.read',
      answers: { 200: z.object({ keys: z.array(described) }) },
      handle: async () => ({ status: 200, json: { keys: await keys.list() } }),
    },
    {
      method: 'post',
      path: '/api/admin/keys',
      summary: 'Create an API key, which is shown only here',
      action: 'admin.keys',
      body: keyBody,
      answers: { 201: described.extend({ key: z.string() }) },
      async handle({ input, caller }: RouteRequest<z.output<typeof keyBody>>) {
        requireOwn(caller.principal, input.may)
        return { status: 201, json: await keys.create(input) }
      },
    },
    {
      method: 'delete',
      path: '/api/admin/keys/:id',
      summary: 'Revoke an API key on every server',
      action: 'admin.keys',
      params: keyParam,
      answers: { 200: z.object({ id: z.string() }) },
      async handle({ input: { id } }: RouteRequest<{ id: string }>) {
        if (!(await keys.revoke(id)))
          throw new MillraceError('not_found', { message: 'No API key has this id; GET /api/admin/keys lists them.' })
        return { status: 200, json: { id } }
      },
    },
  ]
}

/** Throws `forbidden` where a key would allow what its creator may not do. */
function requireOwn({ kind, may = [], sessions, channels, limits }: Principal, wanted: readonly string[] = []): void {
  if (includes(may, 'admin.*')) return
  // A key is a server, which rules may treat differently, and has none of these bounds.
  const isBounded = kind !== 'server' || sessions !== undefined || channels !== undefined || limits !== undefined
  // A list without models allows all of them, no list what everybody may do.
  const allowsAllModels = modelPatterns(may) !== undefined && modelPatterns(wanted) === undefined
  if (!isBounded && !allowsAllModels && wanted.length > 0 && wanted.every((each) => includes(may, each))) return
  throw new MillraceError('forbidden', { message: 'A key cannot do more than you; give a `may` with permissions that you have.' })
}
