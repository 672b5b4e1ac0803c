/** Millrace's own HTTP server, with bounds on everything before a request is complete. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { limits, MillraceError } from '@millrace/protocol'
import { createHostRule, headerOf, isLoopback } from '../access/host-names.ts'
import type { Limits } from '../limits/limits.ts'
import { createAdmission } from '../operations/admission.ts'
import { isTakenOver } from '../transports/takeover.ts'
import { endWithError } from './error-response.ts'
import type { RespondError } from './handlers.ts'
import { createPipeline } from './pipeline.ts'
import type { CheckRate } from './request-rate.ts'
import { closeSlow } from './slow-bodies.ts'
import { closeUnread } from './unread.ts'
import { createUpgradeListener, type Sockets } from './upgrade.ts'

export interface ListenOptions {
  /** Default 4600; 0 takes any free port. */
  readonly port?: number | undefined
  /** Default 127.0.0.1. Anything else can be reached by others: by default the server is open to them. */
  readonly host?: string | undefined
  /** Names that it answers to beside those of its own machine and those of `createMillrace`; see there. */
  readonly hostNames?: readonly string[] | undefined
}

export interface Listening {
  readonly url: string
  readonly port: number
  readonly server: Server
}

export interface Handlers {
  readonly handle: RequestListener
  /** Called before every request is checked. */
  readonly prepare: RequestListener
  readonly respondError: RespondError
  /** Takes the connections that ask for Millrace's WebSocket, or a face's. */
  readonly sockets: Sockets
  readonly limits: Pick<Limits, 'settings'>
  /** Default: none is rejected. */
  readonly checkRate?: CheckRate
}

/** Node's own error for a port that is none does not name the option. */
export function checkPort(name: string, port: number | undefined): void {
  if (port === undefined || (Number.isInteger(port) && port >= 0 && port <= 65_535)) return
  throw new TypeError(`${name} is ${port} and must be a whole number from 0 to 65,535.`)
}

export async function listen(
  { handle, prepare, respondError, sockets, checkRate, limits: { settings } }: Handlers,
  { port = 4600, host = '127.0.0.1', hostNames = [] }: ListenOptions = {},
): Promise<Listening> {
  const { headersMs, requestMs, writeMs, idleMs } = settings
  checkPort('port', port)
  // Rejects an invalid name before the port is opened.
  createHostRule({ names: hostNames })
  const server = createServer({
    maxHeaderSize: limits.headerBytesMax,
    // Node's own bounds dropped none of 300 slow clients within a minute.
    headersTimeout: Math.min(headersMs, requestMs),
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(2000, headersMs / 2),
    keepAliveTimeout: idleMs,
    noDelay: true,
    // Detects a client that vanished while it waits: Linux sends ten probes, a second apart, and closes.
    keepAlive: true,
    keepAliveInitialDelay: 5_000,
    // Node's own response would have no error code.
    requireHostHeader: false,
  })
  const admission = createAdmission(endWithError)
  server.on('connection', admission.accept)
  const pipeline = createPipeline((request, response) => {
    prepare(request, response)
    const error = check(request)
    // A surplus connection is only for /healthz and the like.
    // So that a flood has to connect for each request that is rejected.
    if (admission.isSurplus(request) || error?.code === 'rate_limited') response.setHeader('connection', 'close')
    if (error === undefined) handle(request, response)
    else respondError(request, response, error)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // The error would be written into the middle of another response.
    const isInUse = isTakenOver(socket) || pipeline.isAnswering(socket)
    if (!socket.writable || error.code === 'ECONNRESET' || isInUse) return void socket.destroy()
    endWithError(socket, new MillraceError(clientErrors[error.code ?? ''] ?? 'malformed_http'))
  })
  closeUnread(server, writeMs)
  closeSlow(server, requestMs)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(port, host, resolve)
  await promise
  server.off('error', reject)
  const bound = server.address() as AddressInfo
  const checkHost = createHostRule({ names: hostNames, isLoopback: isLoopback(bound.address) })
  const check = (request: IncomingMessage) => admission.check(request) ?? checkRate?.(request) ?? checkHost(headerOf(request))
  server.on('request', pipeline.handle)
  server.on('upgrade', createUpgradeListener({ ...sockets, check }))
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound.port}`, port: bound.port, server }
}

const clientErrors: Record<string, 'headers_too_large' | 'request_timeout'> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}
