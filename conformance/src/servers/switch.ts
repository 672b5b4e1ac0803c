/** One address in front of several servers, as for a failover: switching cuts the open connections. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Switch {
  readonly port: number
  /** Forwards to this port from now on; cuts the open connections. */
  to(port: number): void
  close(): Promise<void>
}

export async function startSwitch(first: number): Promise<Switch> {
  let target = first
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {})
      one.once('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as { port: number }).port,
    to(port) {
      target = port
      cut()
    },
    async close() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
