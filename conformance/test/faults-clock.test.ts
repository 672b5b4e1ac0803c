/** Wall clocks that jump, and so differ from those of others. Only timers decide what is late, and only offsets what comes first. */
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished } from 'vitest'
import { makeFolder } from '../src/faults/folder.ts'
import { ask } from '../src/faults/request.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { type ServerProcess, startMillrace, startNode } from '../src/faults/server-process.ts'
import { allEnded, graceMs, leaseMs, statusOf } from '../src/faults/shared.ts'
import { type Asked, createWorld } from '../src/faults/world.ts'
import { startNats } from '../src/servers/nats.ts'
import { startRedis } from '../src/servers/redis.ts'

const clock = fileURLToPath(new URL('../src/faults/jumping-clock.ts', import.meta.url))
const shell = `NODE_OPTIONS=--import=${clock}; export NODE_OPTIONS`

const places = [
  { name: 'a server over SQLite', start: async () => [await startMillrace(['--data', makeFolder()], shell)] },
  { name: 'one of two servers over Redis', start: () => startTwo(startRedis) },
  { name: 'one of two servers over NATS', start: () => startTwo(startNats) },
]

async function startTwo(startEngine: () => Promise<{ readonly url: string; close(): Promise<void> }>) {
  const engine = await startEngine()
  onTestFinished(() => engine.close())
  const start = () => startNode(engine.url, { leaseMs, graceMs }, shell)
  return Promise.all([start(), start()])
}

describe.each(places)('the wall clock of $name', ({ name, start }) => {
  itWithstands({
    fault: `F36, F37 the wall clock of ${name} jumps by two hours`,
    claim: 'keeps the order, and ends no run, reader or server because of it',
    few: 1,
    open: async (tally) => ({ world: createWorld(tally), servers: await start() }),
    async round({ world, servers }, chance) {
      const urls = servers.map(({ url }) => url)
      const first = urls[0] as string
      const asked: Asked[] = []
      for (const url of [...urls, ...urls, ...urls]) {
        const started = await world.start(url, `sim:count?n=${chance.pick([60, 100_000])}&tps=${chance.whole(50, 100)}`)
        world.read(started.session, 4, urls)
        asked.push(started)
      }
      const channel = world.openChannel()
      world.read(channel, 4, urls.toReversed())
      let turn = 0
      const stop = world.publish(channel, () => urls[turn++ % urls.length] as string)
      const jumping = chance.pick(servers)
      for (let jumps = chance.whole(1, 4); jumps > 0; jumps--) {
        await sleep(chance.whole(50, 400))
        await jump(jumping)
      }
      // Longer than the lease.
      await sleep(leaseMs + 200)
      await Promise.all(asked.map(({ run }) => ask(`${chance.pick(urls)}/api/runs/${run}/stop`, {})))
      await world.until(() => allEnded(asked), 'the ends of all runs')
      for (const each of asked) expect(['completed', 'stopped']).toContain(statusOf(each))
      const next = await world.start(jumping.url, 'sim:count?n=5&tps=0', asked[0]?.session)
      await world.until(() => statusOf(next) === 'completed', 'a run that comes after')
      await stop()
      await world.settle(first)
    },
  })

  async function jump(server: ServerProcess): Promise<void> {
    // The errors are cut off in front; the lines about runs and connections are among them.
    const last = () => server.errors.match(/jump \d+\n/g)?.at(-1)
    const before = last()
    server.signal('SIGUSR2')
    for (const deadline = performance.now() + 5000; last() === undefined || last() === before; await sleep(5))
      if (performance.now() > deadline) throw new Error('the clock did not jump')
  }
})
