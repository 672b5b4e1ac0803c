/** Authentication: what a verified token costs a request, and how soon a revocation reaches open connections. */
import { type Figures, startWorker } from './processes.ts'

export async function measureTokenCost(): Promise<Figures> {
  const server = startWorker('./servers/guarded.ts')
  try {
    return await server.ask<Figures>('verify', { rounds: 21, requests: 1000 })
  } finally {
    await server.stop()
  }
}

/** Until the last of its clients has seen the end of its connection. */
export async function measureRevocation(connections: number): Promise<Figures> {
  const server = startWorker('./servers/guarded.ts')
  const load = startWorker('./load.ts')
  try {
    const port = await server.ask<number>('listen')
    await server.ask('createSession', 'bench')
    const token = await server.ask<string>('sign', 'ada')
    await load.ask('open', { port, path: '/api/stream?session=bench&from=now', count: connections, token })
    const ended = load.ask<number>('ended')
    const revokedAt = await server.ask<number>('revoke', 'ada')
    return { connections, withinMs: (await ended) - revokedAt }
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}
