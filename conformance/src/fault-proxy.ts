/**
 * A TCP proxy between browser and server that can be cut. Playwright's `setOffline` cannot prove a
 * resume: streams that are open go on under it. Cutting the sockets is what a real network does.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface FaultProxy extends AsyncDisposable {
  readonly url: string
  /** Connections that were accepted so far. */
  readonly accepted: number
  /** Cuts every connection there is; new ones are let through. */
  cut(): void
  /** New connections go there: the server was started anew. */
  redirect(targetPort: number): void
  /** While true, every new connection is cut at once. */
  refuse(isRefusing: boolean): void
}

export async function startFaultProxy(firstPort: number): Promise<FaultProxy> {
  const sockets = new Set<Socket>()
  let targetPort = firstPort
  let isRefusing = false
  let accepted = 0

  const server = createServer((near) => {
    if (isRefusing) return void near.destroy()
    accepted++
    const far = connect(targetPort, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      // The cut itself; `close` follows and ends the other side.
      socket.on('error', () => {})
      socket.pipe(other)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get accepted() {
      return accepted
    },
    cut,
    redirect(next) {
      targetPort = next
    },
    refuse(next) {
      isRefusing = next
    },
    async [Symbol.asyncDispose]() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
