/** What those who run the server ask it: PROTOCOL.md#operations. */
import { MillraceError } from '@millrace/protocol'
import { includes } from '../../access/actions.ts'
import type { Caller } from '../../access/caller.ts'
import { isLoopback } from '../../access/host-names.ts'
import type { HealthChecks } from '../../operations/health.ts'
import type { MetricsOptions } from '../../operations/metrics/metrics.ts'
import { answers } from '../responses.ts'
import type { Route, RouteRequest } from '../route.ts'

export interface HealthRoutesOptions {
  readonly health: HealthChecks
  /** What Prometheus reads. */
  readonly metrics: MetricsText | undefined
  /**
   * Who may read the metrics: who has the permission; or, where nobody is asked for credentials, programs of this machine; or
   * everybody; or nobody, because they have another port.
   */
  readonly readers: MetricsReaders
}

export type MetricsReaders = 'permitted' | 'local' | 'all' | 'none'

/** On the server's own port. */
export function readersOf({ route, port }: MetricsOptions, isOpen: boolean): MetricsReaders {
  if (!(route ?? port === undefined)) return 'none'
  return isOpen ? 'local' : 'permitted'
}

/** A registry of the Prometheus client. */
export interface MetricsText {
  metrics(): Promise<string>
  readonly contentType: string
}

export function createHealthRoutes({ health, metrics, readers }: HealthRoutesOptions): Route[] {
  const healthRoutes: Route[] = [
    {
      method: 'get',
      path: '/healthz',
      summary: 'Whether the process is alive',
      isPublic: true,
      isForStopping: true,
      answers: { 200: answers.health, 503: answers.health },
      async handle() {
        const state = health.live()
        // For load balancers that know no other address. A supervisor that restarts unhealthy processes is stopping this one.
        return { status: state.status === 'ok' ? 200 : 503, json: state }
      },
    },
    {
      method: 'get',
      path: '/readyz',
      summary: 'Whether the server can serve requests: its engine responds, it keeps up, and it does not stop',
      isPublic: true,
      isForStopping: true,
      answers: { 200: answers.readiness, 503: answers.readiness },
      async handle() {
        const readiness = await health.ready()
        return { status: readiness.status === 'ready' ? 200 : 503, json: readiness }
      },
    },
  ]
  return metrics === undefined || readers === 'none' ? healthRoutes : [...healthRoutes, createMetricsRoute(metrics, readers)]
}

function createMetricsRoute(metrics: MetricsText, readers: MetricsReaders): Route {
  return {
    method: 'get',
    path: '/metrics',
    summary: 'Metrics for Prometheus',
    isForStopping: true,
    ...(readers === 'all' && { isPublic: true }),
    answers: { 200: 'text' },
    async handle({ caller }: RouteRequest<object>) {
      requireMetrics(caller, readers)
      return { status: 200, text: await metrics.metrics(), headers: { 'content-type': metrics.contentType } }
    },
  }
}

function requireMetrics({ principal, address, headers }: Caller, readers: MetricsReaders): void {
  if (readers === 'all' || includes(principal.may ?? [], 'admin.metrics')) return
  if (readers === 'permitted') throw new MillraceError(principal.kind === 'anonymous' ? 'unauthenticated' : 'forbidden')
  // A proxy of this machine passes on what others request.
  const isPassedOn = ['x-forwarded-for', 'forwarded', 'via'].some((name) => headers.has(name))
  if (isPassedOn || address === undefined || !isLoopback(address))
    throw new MillraceError('forbidden', { message: 'Metrics of an open server are only for its own machine; give them a port.' })
}
