/** Webhooks of all servers, and what became of each delivery: PROTOCOL.md#admin-api. */
import { z } from 'zod'
import { webhookEvents } from '../../operations/webhooks/target.ts'
import type { RouteRequest } from '../route.ts'
import type { AdminRoute } from './admin-route.ts'
import { type AskNodes, gather, mergePages, parsePlace } from './nodes.ts'
import { type AdminDeliveries, type AdminTargets, placeOfDelivery } from './respond.ts'
import { next, nodes as nodesSchema, page } from './schemas.ts'

const event = z.enum(webhookEvents)
const status = z.enum(['waiting', 'delivered', 'failed', 'dropped'])
const target = z.object({
  target: z.number().describe('Its place in the configuration'),
  node: z.string(),
  origin: z.string(),
  events: z.array(event),
  waiting: z.number(),
  waitingBytes: z.number(),
  isGone: z.boolean().describe('Its receiver has answered 410, and gets nothing until the server starts again'),
})
const delivery = z.object({
  id: z.string().describe('The header `webhook-id`'),
  node: z.string(),
  target: z.number(),
  event,
  createdAt: z.number(),
  status,
  attempts: z.number(),
  lastStatus: z.number().optional().describe('Of the response to the last attempt'),
  lastError: z.string().optional(),
  lastAttemptAt: z.number().optional(),
  durationMs: z.number().optional(),
  nextAttemptAt: z.number().optional(),
})

const deliveriesQuery = page.extend({
  target: z.coerce.number().int().min(0).optional(),
  event: event.optional(),
  status: status.optional(),
})

export function createAdminWebhookRoutes(nodes: AskNodes): AdminRoute[] {
  return [
    {
      method: 'get',
      path: '/api/admin/webhooks',
      summary: 'Targets of webhooks, and what waits for them on each server',
      action: 'admin.read',
      answers: { 200: z.object({ targets: z.array(target), nodes: nodesSchema }) },
      async handle() {
        const gathered = await gather<AdminTargets>(nodes, { op: 'webhooks' })
        const targets = gathered.responses.flatMap((each) => each.targets)
        return { status: 200, json: { targets, nodes: gathered.nodes } }
      },
    },
    {
      method: 'get',
      path: '/api/admin/webhooks/deliveries',
      summary: 'The last 1,000 deliveries of each server, the newest first',
      action: 'admin.read',
      query: deliveriesQuery,
      answers: { 200: z.object({ deliveries: z.array(delivery), next, nodes: nodesSchema }) },
      async handle({ input: { limit, before, ...filter } }: RouteRequest<z.output<typeof deliveriesQuery>>) {
        const place = parsePlace(before)
        const request = { op: 'deliveries', filter, count: limit + 1, ...(place && { before: place }) } as const
        const gathered = await gather<AdminDeliveries>(nodes, request)
        const lists = gathered.responses.map(({ deliveries }) => deliveries)
        const { items, next } = mergePages(lists, placeOfDelivery, limit)
        return { status: 200, json: { deliveries: items, next, nodes: gathered.nodes } }
      },
    },
  ]
}
