import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ephemeral range: an outgoing connection could take the port while its server is down, or connect to itself. */
const range = { from: 12_000, to: 30_000 }

/** A port that was free a moment ago: for servers that cannot choose one, or that restart at the same one. */
export async function findPort(): Promise<number> {
  for (;;) {
    const port = range.from + Math.floor(Math.random() * (range.to - range.from))
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
