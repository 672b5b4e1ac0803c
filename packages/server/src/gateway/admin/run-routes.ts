/** Runs of all servers: PROTOCOL.md#admin-api. */
import { z } from 'zod'
import { answers, end, status } from '../responses.ts'
import type { RouteRequest } from '../route.ts'
import { idParam } from '../schemas.ts'
import type { Stops } from '../stops.ts'
import type { AdminRoute } from './admin-route.ts'
import { type AskNodes, gather, mergePages, parsePlace } from './nodes.ts'
import { type AdminRuns, placeOfRun } from './respond.ts'
import { next, nodes as nodesSchema, page, text } from './schemas.ts'

const runsQuery = page.extend({
  principal: text.optional().describe('Id of the principal that asked'),
  session: idParam.shape.id.optional(),
  model: text.optional(),
  status: status.optional().describe('`streaming` for the runs in progress'),
})

const run = z.object({
  run: z.string(),
  session: z.string(),
  node: z.string(),
  principal: z.string().optional(),
  models: z.array(z.string()),
  continues: z.string().optional(),
  startedAt: z.number(),
  endedAt: z.number().optional(),
  status,
  ...end,
})

export function createAdminRunRoutes(nodes: AskNodes, stops: Stops): AdminRoute[] {
  return [
    {
      method: 'get',
      path: '/api/admin/runs',
      summary: 'Runs in progress, and the last 1,000 of each server that have ended; the newest first',
      action: 'admin.read',
      query: runsQuery,
      answers: { 200: z.object({ runs: z.array(run), next, nodes: nodesSchema }) },
      async handle({ input: { limit, before, ...filter } }: RouteRequest<z.output<typeof runsQuery>>) {
        const place = parsePlace(before)
        const request = { op: 'runs', filter, count: limit + 1, ...(place && { before: place }) } as const
        const gathered = await gather<AdminRuns>(nodes, request)
        const { items, next } = mergePages(
          gathered.responses.map(({ runs }) => runs),
          placeOfRun,
          limit,
        )
        return { status: 200, json: { runs: items, next, nodes: gathered.nodes } }
      },
    },
    {
      method: 'post',
      path: '/api/admin/runs/:id/stop',
      summary: 'Stop a run of any server; what was said is kept',
      action: 'admin.runs',
      params: idParam,
      answers: { 200: answers.end },
      handle: async ({ input }: RouteRequest<{ id: string }>) => ({
        status: 200,
        json: await stops.stop({ run: input.id }, () => {}),
      }),
    },
  ]
}
