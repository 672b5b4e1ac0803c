/** What metrics and lines cost: turns of a server with them and of two without, in the same process. */
import { setTimeout } from 'node:timers/promises'
import type { Window } from './load.ts'
import { type Figures, startWorker, type Usage, type Worker } from './processes.ts'
import { quantile } from './reader.ts'
import type { Which } from './servers/watched.ts'

const readers = 500
const answers = 100
const tokens = 75
const turns = 16
/** Until the code of each of the three is compiled. */
const warmUpTurns = 4

const order: readonly Which[] = ['off', 'on', 'again']

type Ports = Readonly<Record<Which, number>>

/** One log to many readers, 50 ev/s. */
export function measureWatchedFanOut(): Promise<Figures> {
  return inTurns(async ({ server, load, ports }) => {
    for (const port of Object.values(ports)) {
      await load.ask('open', { port, path: '/api/stream?session=bench&from=now', count: readers })
    }
    return async (which) => {
      await server.ask('publish', { which, perSecond: 50 })
      await setTimeout(200)
      await Promise.all([server.ask('begin'), load.ask('begin')])
      await setTimeout(2000)
      const [usage, window] = await Promise.all([server.ask<Usage>('end', which), load.ask<Window>('end')])
      await server.ask('unpublish')
      return (usage.cpuMs * 1000) / window.deliveries
    }
  })
}

/** Runs with one reader each, from their starts to their ends. */
export function measureWatchedRuns(): Promise<Figures> {
  return inTurns(async ({ server, load, ports }) => async (which) => {
    await server.ask('begin')
    await load.ask('ask', { port: ports[which], transport: 'sse', count: answers, tokens })
    await server.ask('left', which)
    const { cpuMs } = await server.ask<Usage>('end', which)
    return (cpuMs * 1000) / (answers * tokens)
  })
}

interface Bench {
  readonly server: Worker
  readonly load: Worker
  readonly ports: Ports
}

/** How much more a turn of the watched server takes than the two of the others beside it, as the median of all turns. */
async function inTurns(prepare: (bench: Bench) => Promise<(which: Which) => Promise<number>>): Promise<Figures> {
  // Lines are written, and nobody has to read them.
  const server = startWorker('./servers/watched.ts', [], [], true)
  const load = startWorker('./load.ts')
  try {
    const measure = await prepare({ server, load, ports: await server.ask<Ports>('listen') })
    const micros: Record<Which, number[]> = { off: [], on: [], again: [] }
    for (let turn = 0; turn < turns + warmUpTurns; turn++) {
      for (let place = 0; place < order.length; place++) {
        const which = order[(turn + place) % order.length] as Which
        const measured = await measure(which)
        if (turn >= warmUpTurns) micros[which].push(measured)
      }
    }
    const controls = micros.off.map((off, turn) => (off + (micros.again[turn] as number)) / 2)
    // Of the turns of one round: what else the machine does changes slower.
    const morePercent = (values: readonly number[], than: readonly number[]) => {
      const ratios = values.map((value, round) => value / (than[round] as number))
      return (quantile(ratios, 0.5) - 1) * 100
    }
    return {
      controlMicros: quantile(controls, 0.5),
      onMicros: quantile(micros.on, 0.5),
      morePercent: morePercent(micros.on, controls),
      controlsDifferPercent: morePercent(micros.again, micros.off),
    }
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}
