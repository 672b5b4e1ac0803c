/**
 * Metrics with several workers. A request to the port that they share reaches any of them, which knows only its own numbers:
 * the primary process asks all of them, and serves the sums on a port of its own.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ClusterRegistry, type Registry } from '@prometheus-io/client'
import { createHostRule, headerOf, isLoopback } from '../access/host-names.ts'
import { toListenError } from './listen-error.ts'

/** Runs in a worker: gives its metrics to the primary process. */
export function shareMetrics(registry: Registry): void {
  ClusterRegistry.setRegistries(registry)
  // It listens for the primary's questions from now on.
  new ClusterRegistry()
}

/** Runs in the primary process, and resolves with the address. Rejects where the port is taken. */
export async function serveWorkerMetrics(port: number, host = '127.0.0.1'): Promise<string> {
  const registry = new ClusterRegistry()
  const checkHost = createHostRule({ isLoopback: isLoopback(host) })
  const server = createServer((request, response) => {
    if (request.url !== '/metrics' || checkHost(headerOf(request)) !== undefined) return void response.writeHead(404).end()
    registry.clusterMetrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      // A worker died while it was asked, or does not answer.
      () => response.writeHead(503).end(),
    )
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', (error) => reject(toListenError(error, { port }))).listen(port, host, resolve)
  await promise
  server.unref()
  const { port: bound } = server.address() as AddressInfo
  return `http://${host.includes(':') ? `[${host}]` : host}:${bound}/metrics`
}
