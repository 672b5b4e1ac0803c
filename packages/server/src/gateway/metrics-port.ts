/** The metrics and the health on a port of their own. It needs no credentials: give it an address that only you can reach. */
import type { Duplex } from 'node:stream'
import { MillraceError } from '@millrace/protocol'
import type { MetricsOptions } from '../operations/metrics/metrics.ts'
import { type AppOptions, createApp } from './app.ts'
import { endWithError } from './error-response.ts'
import { createHandlers } from './handlers.ts'
import { type Listening, listen } from './listen.ts'
import { createHealthRoutes, type HealthRoutesOptions } from './routes/health-routes.ts'
import { socketPath } from './upgrade.ts'

export interface MetricsPortOptions
  extends Omit<AppOptions, 'routes' | 'faces' | 'page'>,
    Pick<HealthRoutesOptions, 'health' | 'metrics'>,
    Pick<MetricsOptions, 'port' | 'host'> {
  readonly hostNames: readonly string[]
}

export interface MetricsPort {
  /** The address of the metrics; undefined without a port. Rejects where the port is taken, which is reported too. */
  readonly listening: Promise<string | undefined>
  close(): Promise<void>
}

export function openMetricsPort(options: MetricsPortOptions): MetricsPort {
  const { port, onError } = options
  const opened = port === undefined ? Promise.resolve(undefined) : open(options, port)
  opened.catch(onError)
  const listening = opened.then((server) => server && `${server.url}/metrics`)
  // Reported above; `listen` awaits it only later, and an application may never call that.
  listening.catch(() => {})
  return {
    listening,
    async close() {
      const { server } = (await opened.catch(() => undefined)) ?? {}
      server?.close()
      server?.closeAllConnections()
    },
  }
}

async function open({ health, metrics, host, ...options }: MetricsPortOptions, port: number): Promise<Listening> {
  const { hostNames, limits, onError } = options
  const app = createApp({
    ...options,
    routes: createHealthRoutes({ health, metrics, readers: 'all' }),
    faces: [],
    page: undefined,
  })
  const accept = (_request: unknown, socket: Duplex) => endWithError(socket, new MillraceError('not_found'))
  const sockets = { paths: new Set([socketPath]), accept }
  const { handle, prepare, respondError } = createHandlers({
    app,
    faces: [],
    sockets,
    cors: undefined,
    hostNames,
    page: undefined,
    onError,
  })
  return listen({ handle, prepare, respondError, sockets, limits }, { port, host, hostNames })
}
