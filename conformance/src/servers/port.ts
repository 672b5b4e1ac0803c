import { once } from 'node:events'
import { createServer } from 'node:net'
import process from 'node:process'

/** Below the ephemeral range: an outgoing connection could take the port while its server is down, or connect to itself. */
const range = { from: 12_000, to: 30_000 }
/** Test files that run side by side take different ones: what is free here may be what another is about to open. */
const shares = 8
const share = Number(process.env['VITEST_POOL_ID'] ?? 0) % shares

const count = Math.floor((range.to - range.from) / shares)
/** The next one: of two that are found at random before either is opened, one in thousands is the other. */
let turn = Math.floor(Math.random() * count)

/** A port that was free a moment ago: for servers that cannot choose one, or that restart at the same one. Never the same twice. */
export async function findPort(): Promise<number> {
  for (;;) {
    const port = range.from + share + shares * (turn++ % count)
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
