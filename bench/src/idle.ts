/** The cost of an idle connection. */
import { startWorker } from './processes.ts'

export interface IdleRow {
  /** For hybrid, the pair of a WebSocket and a stream. */
  readonly transport: 'sse' | 'ws' | 'hybrid' | 'poll'
  readonly connections: number
  /** Of the server's process, without the kernel's memory for its sockets. */
  readonly kibPerConnection: number
}

export async function measureIdle(transport: IdleRow['transport'], connections: number): Promise<IdleRow> {
  const server = startWorker('./servers/millrace.ts')
  const load = startWorker('./load.ts')
  try {
    const port = await server.ask<number>('listen')
    await server.ask('createSession', 'bench')
    const path = `/api/stream?session=bench&from=now${transport === 'poll' ? '&live=poll&wait=30' : ''}`
    const open = async (count: number) => {
      await load.ask('open', {
        port,
        path,
        count,
        isSilent: transport === 'poll',
        ...(transport === 'ws' && { attach: 'bench' }),
      })
      if (transport === 'hybrid') await load.ask('open', { port, path: '/ws/chat?session=bench&down=sse', count })
    }
    // The first connections include one-time costs.
    await open(200)
    const before = await server.ask<number>('memory')
    await open(connections)
    const after = await server.ask<number>('memory')
    return { transport, connections, kibPerConnection: (after - before) / 1024 / connections }
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}
