/** A Node HTTP server of Millrace's own, with bounds on everything that happens before a request is complete. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { limits, MillraceError } from '@millrace/protocol'
import { isTakenOver } from '../transports/sse.ts'
import { createAdmission } from './admission.ts'
import { createHostRule, isLoopback } from './origin.ts'
import { refuseSocket, retryAfter } from './refuse.ts'
import type { Upgrade } from './websocket.ts'

export interface ListenOptions {
  /** Default 4600; 0 takes any free port. */
  readonly port?: number | undefined
  /** Default 127.0.0.1. Anything else can be reached by others: there is no authentication yet. */
  readonly host?: string | undefined
  /** Names that a server on a loopback address answers to beside its own machine's; on other addresses it answers to any. */
  readonly hostNames?: readonly string[] | undefined
}

export interface Listening {
  readonly url: string
  readonly port: number
  readonly server: Server
}

export interface Handlers {
  readonly handler: RequestListener
  readonly upgrade: Upgrade
}

export async function listen(
  { handler, upgrade }: Handlers,
  { port = 4600, host = '127.0.0.1', hostNames = [] }: ListenOptions = {},
): Promise<Listening> {
  const hostRule = createHostRule(hostNames)
  const server = createServer({
    maxHeaderSize: limits.headerBytesMax,
    // Node's own bounds dropped none of 300 slow clients within a minute.
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    connectionsCheckingInterval: 2_000,
    noDelay: true,
    // A client that is gone without a word while it waits for an answer: Linux asks ten times, a second apart, and cuts.
    keepAlive: true,
    keepAliveInitialDelay: 5_000,
    // Node would answer without a code.
    requireHostHeader: false,
  })
  const admission = createAdmission(refuseSocket)
  server.on('connection', admission.accept)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // An answer to the rest of a second request would stand in the middle of the stream.
    if (!socket.writable || error.code === 'ECONNRESET' || isTakenOver(socket)) return void socket.destroy()
    refuseSocket(socket, new MillraceError(clientErrors[error.code ?? ''] ?? 'malformed_http'))
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(port, host, resolve)
  await promise
  server.off('error', reject)
  const bound = server.address() as AddressInfo
  const checkHost = isLoopback(bound.address) ? hostRule : () => undefined
  const check = (request: IncomingMessage) => admission.check(request) ?? checkHost(request.headers.host)
  server.on('request', (request, response) => {
    const refusal = check(request)
    // One that is answered for its health alone takes no more room than that.
    if (admission.isSurplus(request)) response.setHeader('connection', 'close')
    if (refusal === undefined) return handler(request, response)
    response.statusCode = refusal.status
    response.setHeaders(new Map(Object.entries(retryAfter(refusal))))
    response.setHeader('content-type', 'application/json').setHeader('cache-control', 'no-store')
    response.end(JSON.stringify(refusal.toBody()))
  })
  server.on('upgrade', (request, socket, head) => {
    const refusal = check(request)
    if (refusal === undefined) return upgrade(request, socket, head)
    // Nobody else listens for the errors of a socket that is to be upgraded.
    socket.on('error', () => {})
    refuseSocket(socket, refusal)
  })
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound.port}`, port: bound.port, server }
}

const clientErrors: Record<string, 'headers_too_large' | 'request_timeout'> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}
