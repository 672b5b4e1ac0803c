/**
 * The memory of a connection on which nothing happens: the slope between two numbers of connections, so that what a process
 * allocates once, V8's young generation first of all, is no connection's.
 */
import { setTimeout } from 'node:timers/promises'
import { type Figures, type Memory, startWorker } from './processes.ts'

export interface IdleOptions {
  readonly server?: 'control' | 'millrace'
  /** For hybrid, the pair of a WebSocket and a stream. */
  readonly transport: 'sse' | 'ws' | 'hybrid' | 'poll'
  readonly from: number
  readonly to: number
}

/** The young generation has its largest size from the start: it grows at some number of connections, by up to 48 MiB. */
const youngFixed = ['--min-semi-space-size=32', '--max-semi-space-size=32']

export async function measureIdle({ server: name = 'millrace', transport, from, to }: IdleOptions): Promise<Figures> {
  const server = startWorker(`./servers/${name}.ts`, [], youngFixed)
  const load = startWorker('./load.ts')
  try {
    const port = await server.ask<number>('listen')
    if (name === 'millrace') await server.ask('createSession', 'bench')
    const path = `/api/stream?session=bench&from=now${transport === 'poll' ? '&live=poll&wait=30' : ''}`
    const open = async (count: number) => {
      const isSilent = transport === 'poll'
      await load.ask('open', { port, path, count, isSilent, ...(transport === 'ws' && { attach: 'bench' }) })
      if (transport === 'hybrid') await load.ask('open', { port, path: '/ws/chat?session=bench&down=sse', count })
    }
    await open(from)
    const before = await server.ask<Memory>('memory')
    await open(to - from)
    const after = await server.ask<Memory>('memory')
    // Everybody gets 20 events.
    await server.ask('publish', 10)
    await setTimeout(2000)
    await server.ask('unpublish')
    const used = await server.ask<Memory>('memory')
    const kib = (bytes: number, connections: number) => bytes / 1024 / connections
    return {
      kibPerConnection: kib(after.rss - before.rss, to - from),
      heapKibPerConnection: kib(after.heap - before.heap, to - from),
      kibMoreAfterTraffic: kib(used.rss - after.rss, to),
    }
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}
