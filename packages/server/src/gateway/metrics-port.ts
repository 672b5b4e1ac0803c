/** The metrics and the health on a port of their own. It needs no credentials: give it an address that only you can reach. */
import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { MillraceError } from '@millrace/protocol'
import type { MetricsOptions } from '../operations/metrics/metrics.ts'
import { type AppOptions, createApp } from './app.ts'
import { endWithError } from './error-response.ts'
import { createHandlers } from './handlers.ts'
import { createHealthRoutes, type HealthRoutesOptions } from './health-routes.ts'
import { listen } from './listen.ts'

export interface MetricsPortOptions
  extends Omit<AppOptions, 'routes' | 'page'>,
    Pick<HealthRoutesOptions, 'health' | 'metrics'>,
    Pick<MetricsOptions, 'port' | 'host'> {
  readonly hostNames: readonly string[]
}

export interface MetricsPort {
  /** Rejects where the port is taken, which is reported too. */
  readonly listening: Promise<unknown>
  close(): Promise<void>
}

export function openMetricsPort(options: MetricsPortOptions): MetricsPort {
  const { port, onError } = options
  const listening = port === undefined ? Promise.resolve(undefined) : open(options, port)
  listening.catch(onError)
  return {
    listening,
    async close() {
      const server = await listening.catch(() => undefined)
      server?.close()
      server?.closeAllConnections()
    },
  }
}

async function open({ health, metrics, host, ...options }: MetricsPortOptions, port: number): Promise<Server> {
  const { hostNames, limits, onError } = options
  const app = createApp({ ...options, routes: createHealthRoutes({ health, metrics, readers: 'all' }), page: undefined })
  const accept = (_request: unknown, socket: Duplex) => endWithError(socket, new MillraceError('not_found'))
  const { handle, prepare } = createHandlers({ app, accept, cors: undefined, hostNames, page: undefined, onError })
  const { server } = await listen({ handle, prepare, accept, limits }, { port, host, hostNames })
  return server
}
