import { once } from 'node:events'
import { createServer } from 'node:net'

/** Free a moment ago: for servers that cannot be asked to choose one. */
export async function findPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
