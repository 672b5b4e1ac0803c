/** One log, many readers: Millrace next to the control row. */
import { setTimeout } from 'node:timers/promises'
import type { Knocks, Window } from './load.ts'
import { startWorker, type Usage } from './processes.ts'

/** `control` and `ws-send` are control rows: a bare socket server, and `ws` as most servers use it. */
export type ServerName = 'control' | 'ws-send' | 'millrace'

export interface FanOutRow {
  readonly server: ServerName
  readonly transport: 'sse' | 'ws'
  readonly readers: number
  readonly eventsPerSecond: number
  readonly deliveriesPerSecond: number
  readonly cpuMicrosPerDelivery: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly eventsPerRead: number
  /** Share of one core that the load generator used; near 1 it is itself the bottleneck. */
  readonly loadCores: number
  readonly knocks?: Knocks
}

export interface FanOutOptions {
  readonly server: ServerName
  /** Default `sse`. */
  readonly transport?: 'sse' | 'ws'
  readonly readers: number
  readonly eventsPerSecond: number
  readonly seconds: number
  /** New connections a second during the broadcast; none if absent. */
  readonly knocksPerSecond?: number
}

export async function measureFanOut(options: FanOutOptions): Promise<FanOutRow> {
  const { server: name, transport = 'sse', readers, eventsPerSecond, seconds, knocksPerSecond } = options
  const server = startWorker(`./servers/${name}.ts`)
  const load = startWorker('./load.ts')
  try {
    const port = await server.ask<number>('listen')
    if (name === 'millrace') await server.ask('createSession', 'bench')
    const path = '/api/stream?session=bench&from=now'
    await load.ask('open', { port, path, count: readers, ...(transport === 'ws' && { attach: 'bench' }) })
    await server.ask('publish', name === 'millrace' ? { perSecond: eventsPerSecond, session: 'bench' } : eventsPerSecond)
    // A second to warm up: JIT, socket buffers, the pace.
    await setTimeout(1000)
    await Promise.all([server.ask('begin'), load.ask('begin')])
    const knocks =
      knocksPerSecond === undefined
        ? await setTimeout(seconds * 1000)
        : await load.ask<Knocks>('knock', { port, path, perSecond: knocksPerSecond, seconds })
    const [cpu, window] = await Promise.all([server.ask<Usage>('end'), load.ask<Window>('end')])
    await server.ask('unpublish')
    return {
      server: name,
      transport,
      readers,
      eventsPerSecond,
      deliveriesPerSecond: window.perSecond,
      cpuMicrosPerDelivery: (cpu.cpuMs * 1000) / window.deliveries,
      p50Ms: window.p50Ms,
      p99Ms: window.p99Ms,
      eventsPerRead: window.eventsPerRead,
      loadCores: window.cpuMs / window.wallMs,
      ...(knocks && { knocks }),
    }
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}
