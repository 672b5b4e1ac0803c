/** The servers of the engine, and draining one of them: PROTOCOL.md#admin-api. */
import { MillraceError } from '@millrace/protocol'
import type { RouteRequest } from '../route.ts'
import type { AdminRoute } from './admin-route.ts'
import { type AskNodes, gather } from './nodes.ts'
import type { NodeInfo } from './respond.ts'
import { adminAnswers, nodeInfo, nodeParam } from './schemas.ts'

export function createAdminNodeRoutes(nodes: AskNodes, own: string): AdminRoute[] {
  return [
    {
      method: 'get',
      path: '/api/admin/nodes',
      summary: 'The servers that share the engine',
      action: 'admin.read',
      answers: { 200: adminAnswers.nodes },
      async handle() {
        const { responses, nodes: asked } = await gather<NodeInfo>(nodes, { op: 'describe' })
        return { status: 200, json: { answeredBy: own, servers: responses, nodes: asked } }
      },
    },
    {
      method: 'post',
      path: '/api/admin/nodes/:id/drain',
      summary: 'Let a server accept no more clients and runs, and disconnect its readers to the others',
      action: 'admin.drain',
      params: nodeParam,
      answers: { 200: nodeInfo },
      handle: ({ input }: RouteRequest<{ id: string }>) => drain(input.id, true),
    },
    {
      method: 'delete',
      path: '/api/admin/nodes/:id/drain',
      summary: 'Let a server accept clients and runs again',
      action: 'admin.drain',
      params: nodeParam,
      answers: { 200: nodeInfo },
      handle: ({ input }: RouteRequest<{ id: string }>) => drain(input.id, false),
    },
  ]

  async function drain(node: string, isOn: boolean) {
    const { responses } = await gather<NodeInfo>(nodes, { op: 'drain', isOn }, node)
    const [info] = responses
    if (info === undefined)
      throw new MillraceError('not_found', { message: `No server ${node} responds; GET /api/admin/nodes lists them.` })
    return { status: 200, json: info }
  }
}
