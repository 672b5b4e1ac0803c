/** A client that asks and never reads, and what the server keeps for it. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface SilentClient {
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<unknown>
  /** The most bytes that waited in the server's memory for this client to read. */
  readonly keptMax: () => number
}

/** On a server of this process. `then`: what follows the request, such as frames of a WebSocket. */
export async function askSilently(port: number, request: Request, then?: Uint8Array): Promise<SilentClient> {
  const accepted = Promise.withResolvers<Socket>()
  const socket = connect({ port, host: '127.0.0.1' })
  socket.pause()
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  const onAccepted = (event: unknown) => {
    const { socket: served } = event as { socket: Socket }
    if (served.remotePort === socket.localPort) accepted.resolve(served)
  }
  subscribe('net.server.socket', onAccepted)
  await once(socket, 'connect')
  const served = await accepted.promise
  unsubscribe('net.server.socket', onAccepted)
  let keptMax = 0
  const sampling = setInterval(() => {
    keptMax = Math.max(keptMax, served.writableLength)
  }, 2)
  const closed = once(served, 'close').finally(() => clearInterval(sampling))
  onTestFinished(() => clearInterval(sampling))
  const { method, headers } = request
  const { pathname, search } = new URL(request.url)
  const body = await request.text()
  const head = [`${method} ${pathname}${search} HTTP/1.1`, 'host: localhost', ...[...headers].map((pair) => pair.join(': '))]
  const length = body === '' ? [] : [`content-length: ${Buffer.byteLength(body)}`]
  socket.write(`${[...head, ...length].join('\r\n')}\r\n\r\n${body}`)
  if (then !== undefined) socket.write(then)
  return { closed, keptMax: () => keptMax }
}
