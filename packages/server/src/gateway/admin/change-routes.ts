/** What operators have changed: PROTOCOL.md#admin-api. */
import { z } from 'zod'
import type { ChangeRecord } from '../../operations/change-record.ts'
import type { RouteRequest } from '../route.ts'
import { sessionsQuery } from '../schemas.ts'
import type { AdminRoute } from './admin-route.ts'

const change = z.object({
  time: z.number(),
  principal: z.string(),
  address: z.string().optional(),
  request: z.string().describe('Such as `POST /api/admin/connections/disconnect`'),
  input: z.json(),
  code: z.string().optional().describe('Of the error where it failed'),
})
const answer = z.object({ changes: z.array(change), next: z.number().optional() })

export function createAdminChangeRoutes({ list }: Pick<ChangeRecord, 'list'>): AdminRoute[] {
  return [
    {
      method: 'get',
      path: '/api/admin/changes',
      summary: 'What operators have changed on any server, the newest first',
      action: 'admin.read',
      query: sessionsQuery,
      answers: { 200: answer },
      async handle({ input: { limit, before } }: RouteRequest<z.output<typeof sessionsQuery>>) {
        return { status: 200, json: await list(limit, before) }
      },
    },
  ]
}
