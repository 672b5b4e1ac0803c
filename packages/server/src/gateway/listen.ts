/** A Node HTTP server of Millrace's own, with bounds on everything that happens before a request is complete. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { limits, MillraceError } from '@millrace/protocol'
import { isTakenOver } from '../transports/sse.ts'

export interface ListenOptions {
  /** Default 4600; 0 takes any free port. */
  readonly port?: number | undefined
  /** Default 127.0.0.1. Anything else can be reached by others: there is no authentication yet. */
  readonly host?: string | undefined
}

export interface Listening {
  readonly url: string
  readonly port: number
  readonly server: Server
}

export async function listen(
  handler: RequestListener,
  { port = 4600, host = '127.0.0.1' }: ListenOptions = {},
): Promise<Listening> {
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      // Node's own bounds dropped none of 300 slow clients within a minute.
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      connectionsCheckingInterval: 2_000,
      noDelay: true,
    },
    handler,
  )
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // An answer to the rest of a second request would stand in the middle of the stream.
    if (!socket.writable || error.code === 'ECONNRESET' || isTakenOver(socket)) return void socket.destroy()
    const known = new MillraceError(clientErrors[error.code ?? ''] ?? 'malformed_http')
    const body = JSON.stringify(known.toBody())
    const head = [
      `HTTP/1.1 ${known.status} Bad Request`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
    ]
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
    // What the client is still sending would otherwise keep the socket, and end it with a reset that eats the answer.
    socket.resume()
    setTimeout(() => socket.destroy(), 1000).unref()
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(port, host, resolve)
  await promise
  server.off('error', reject)
  const bound = (server.address() as AddressInfo).port
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`, port: bound, server }
}

const clientErrors: Record<string, 'headers_too_large' | 'request_timeout'> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}
