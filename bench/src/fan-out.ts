/** One log, many readers: Millrace, or a control row under the same load. */
import { setTimeout } from 'node:timers/promises'
import type { Window } from './load.ts'
import { type Figures, startWorker, type Usage } from './processes.ts'

export interface FanOutOptions {
  /** `control` and `ws-send` are control rows: a bare socket server, and `ws` as most servers use it. */
  readonly server?: 'control' | 'ws-send' | 'millrace'
  readonly transport: 'sse' | 'ws'
  readonly eventsPerSecond: number
  /** New connections a second during the broadcast; none if absent. */
  readonly knocksPerSecond?: number
}

const readers = 1000
const seconds = 4

export async function measureFanOut(options: FanOutOptions): Promise<Figures> {
  const { server: name = 'millrace', transport, eventsPerSecond, knocksPerSecond } = options
  const server = startWorker(`./servers/${name}.ts`)
  const load = startWorker('./load.ts')
  try {
    const port = await server.ask<number>('listen')
    if (name === 'millrace') await server.ask('createSession', 'bench')
    const path = '/api/stream?session=bench&from=now'
    await load.ask('open', { port, path, count: readers, ...(transport === 'ws' && { attach: 'bench' }) })
    await server.ask('publish', eventsPerSecond)
    // A second to warm up: JIT, socket buffers, the pace.
    await setTimeout(1000)
    await Promise.all([server.ask('begin'), load.ask('begin')])
    const knocks = { port, path, perSecond: knocksPerSecond, seconds }
    const accepts = knocksPerSecond === undefined ? await setTimeout(seconds * 1000) : await load.ask<number>('knock', knocks)
    const [cpu, window] = await Promise.all([server.ask<Usage>('end'), load.ask<Window>('end')])
    await server.ask('unpublish')
    return {
      deliveriesPerSecond: window.perSecond,
      cpuMicrosPerDelivery: (cpu.cpuMs * 1000) / window.deliveries,
      p50Ms: window.p50Ms,
      p99Ms: window.p99Ms,
      eventsPerRead: window.eventsPerRead,
      ...(accepts !== undefined && { acceptsPerSecond: accepts }),
      loadCores: window.cpuMs / window.wallMs,
    }
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}
