/** What one server responds to a request of the admin API, its own or that of another server. */
import { type ErrorCode, errors, type Json, MillraceError } from '@millrace/protocol'
import type { Draining } from '../../operations/draining.ts'
import type { ListedRun, RunList } from '../../operations/run-list.ts'
import type { Delivery } from '../../operations/webhooks/delivery.ts'
import type { TargetState, Webhooks } from '../../operations/webhooks/webhooks.ts'
import type { PassedLines, PassedState } from '../../producers/passing.ts'
import type { PlacedConnection } from '../../transports/connection.ts'
import type { Connections } from '../../transports/connections.ts'
import { type NodeRequest, type Place, pageOf } from './nodes.ts'

export interface RespondOptions {
  readonly node: string
  readonly version: string
  readonly connections: Connections
  readonly runs: { readonly active: number }
  readonly runList: Pick<RunList, 'list'>
  readonly webhooks: Pick<Webhooks, 'targets' | 'deliveries'>
  readonly draining: Draining
  /** Takes the lines of producers that have reached another server. */
  readonly receiveLines: (message: PassedLines) => Promise<PassedState>
}

export interface NodeInfo {
  readonly node: string
  readonly version: string
  readonly startedAt: number
  readonly connections: number
  readonly runs: number
  readonly memoryBytes: number
  readonly drainingSince?: number
}

export interface AdminConnection extends Omit<PlacedConnection, 'sessions' | 'acknowledged' | 'serial'> {
  readonly node: string
  readonly serial: number
  /** The first of its logs. */
  readonly logs: readonly string[]
  readonly logCount: number
}

export interface AdminConnections {
  readonly connections: readonly AdminConnection[]
  readonly total: number
}

export interface AdminTargets {
  readonly targets: readonly (TargetState & { readonly node: string })[]
}

export interface AdminDeliveries {
  readonly deliveries: readonly (Delivery & { readonly node: string })[]
}

export interface AdminRuns {
  readonly runs: readonly (ListedRun & { readonly node: string })[]
}

/** A response must fit into an event. */
const logsListed = 16

export function createRespond(options: RespondOptions): (request: Json) => Promise<Json> {
  const { node, connections, draining, runList, webhooks } = options
  const startedAt = Date.now()
  return async (request) => toJson(await respond(request as unknown as NodeRequest))

  function respond(request: NodeRequest): unknown {
    switch (request.op) {
      case 'describe':
        return describe(options, startedAt)
      case 'connections':
        return listConnections(request)
      case 'disconnect': {
        const error = new MillraceError(request.code in errors ? (request.code as ErrorCode) : 'connection_closed')
        return { disconnected: connections.terminate(request.filter, error) }
      }
      case 'runs': {
        const runs = pageOf(runList.list(request.filter), placeOfRun, request.count, request.before)
        return { runs: runs.map((run) => ({ ...run, node })) }
      }
      case 'webhooks':
        return { targets: webhooks.targets.map((target) => ({ ...target, node })) }
      case 'deliveries': {
        const { target, event, status } = request.filter
        const selected = webhooks.deliveries.filter(
          (each) =>
            (target === undefined || each.target === target) &&
            (event === undefined || each.event === event) &&
            (status === undefined || each.status === status),
        )
        const deliveries = pageOf(selected, placeOfDelivery, request.count, request.before)
        return { deliveries: deliveries.map((each) => ({ ...each, node })) }
      }
      case 'produce':
        return options.receiveLines(request)
      case 'drain': {
        if (request.isOn) draining.start()
        else draining.stop()
        return describe(options, startedAt)
      }
      default:
        // Of a server with another version.
        throw new MillraceError('invalid_request')
    }
  }

  function listConnections({ filter, count, before }: NodeRequest & { op: 'connections' }): AdminConnections {
    const page = connections.page(filter, count, before && toLocal(node, before))
    const listed = page.connections.map(({ id, transport, principal, address, since, serial, sessions }) => ({
      id,
      node,
      transport,
      principal,
      address,
      since,
      serial,
      logs: sessions.slice(0, logsListed),
      logCount: sessions.length,
    }))
    return { connections: listed, total: page.total }
  }
}

function describe({ node, version, connections, runs, draining }: RespondOptions, startedAt: number): NodeInfo {
  return {
    node,
    version,
    startedAt,
    connections: connections.count,
    runs: runs.active,
    memoryBytes: process.memoryUsage.rss(),
    ...(draining.since !== undefined && { drainingSince: draining.since }),
  }
}

export function placeOfConnection({ since, node, serial }: AdminConnection): Place {
  return { time: since, tie: `${node}.${String(serial).padStart(12, '0')}` }
}

export function placeOfDelivery({ createdAt, id }: Delivery): Place {
  return { time: createdAt, tie: id }
}

export function placeOfRun({ startedAt, run }: ListedRun): Place {
  return { time: startedAt, tie: run }
}

/** The same place among the connections of one server. */
function toLocal(node: string, { time, tie }: Place): { since: number; serial: number } {
  const dot = tie.lastIndexOf('.')
  const other = tie.slice(0, dot)
  if (other === node) return { since: time, serial: Number(tie.slice(dot + 1)) }
  return { since: time, serial: node < other ? Number.POSITIVE_INFINITY : -1 }
}

/** Without what JSON does not have, as another server would get it. */
function toJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json
}
