/** Of two servers that share an engine one is killed, paused or stopped with SIGTERM: the other and its readers continue. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { Chance } from '../src/faults/chance.ts'
import { ask } from '../src/faults/request.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { allEnded, engines, graceMs, leaseMs, openShared, pickNode, statusOf } from '../src/faults/shared.ts'
import { noteTime, percentile } from '../src/faults/tally.ts'

describe.each(engines)('two servers over $name', ({ name, startEngine }) => {
  itWithstands({
    fault: `F1, F23 kill -9 of one of two servers over ${name}`,
    claim: 'ends its runs within the lease and a few seconds, and does not touch those of the other',
    few: 1,
    open: (tally) => openShared(startEngine, tally),
    async round(shared, chance, tally) {
      const { world } = shared
      const [killed, other] = pickNode(shared, chance)
      const asked = await shared.ask(6, 8, () => `sim:count?n=${chance.whole(60, 90)}&tps=${chance.whole(50, 80)}`)
      const channel = world.openChannel()
      world.read(channel, 2, [other.url])
      const stop = world.publish(channel, () => other.url)
      await sleep(chance.whole(0, 500))
      const killedAt = performance.now()
      await killed.end()
      await world.until(() => allEnded(asked), 'the ends of all runs', leaseMs + 5000)
      noteTime(tally, 'end', performance.now() - killedAt)
      for (const each of asked) {
        const expected = each.node === killed ? ['interrupted', 'completed'] : ['completed']
        expect(expected).toContain(statusOf(each))
      }
      await stop()
      await world.settle(other.url)
      await killed.restart()
    },
    afterMany: ({ times }) => expect(percentile(times.get('resume') ?? [], 0.99)).toBeLessThan(2000),
  })

  const stalls = [
    { long: 'for longer than its lease', stallMs: (chance: Chance) => leaseMs + chance.whole(-200, 800) },
    { long: 'for half a minute', stallMs: () => 30_000, few: 0, times: 0.1, msMax: 60_000 },
  ]
  for (const { long, stallMs, ...bounds } of stalls) {
    itWithstands({
      fault: `F3, F40 a server over ${name} that is paused ${long}`,
      claim: 'is fenced: one end of each run, nothing after it, and it accepts new runs',
      few: 1,
      ...bounds,
      open: (tally) => openShared(startEngine, tally),
      async round(shared, chance, tally) {
        const { world } = shared
        const [stalled, other] = pickNode(shared, chance)
        const asked = await shared.ask(4, 4, () => `sim:count?n=${chance.pick([60, 100_000])}&tps=${chance.whole(50, 100)}`)
        await sleep(chance.whole(50, 300))
        stalled.signal('SIGSTOP')
        const stoppedAt = performance.now()
        await sleep(stallMs(chance))
        stalled.signal('SIGCONT')
        // Runs without an end are stopped through any server, unless they ended as interrupted.
        await Promise.all(asked.map(({ run }, index) => ask(`${shared.nodes[index % 2]?.url}/api/runs/${run}/stop`, {})))
        await world.until(() => allEnded(asked), 'the ends of all runs')
        noteTime(tally, 'end', performance.now() - stoppedAt)
        for (const each of asked) {
          const expected = each.node === stalled ? ['interrupted', 'stopped', 'completed'] : ['stopped', 'completed']
          expect(expected).toContain(statusOf(each))
        }
        // It accepts runs again, also in a session where another server ended one of its runs.
        const [first] = asked
        if (first === undefined) throw new Error('nothing was asked')
        const next = await world.start(stalled.url, 'sim:count?n=5&tps=0', first.session)
        await world.until(() => statusOf(next) === 'completed', 'the end of a run that comes after')
        await world.settle(other.url)
      },
    })
  }

  itWithstands({
    fault: `F2 SIGTERM and restart of two servers over ${name}, one after the other`,
    claim: 'lets runs end and readers continue on the other server, and stops in bounded time',
    few: 1,
    open: (tally) => openShared(startEngine, tally),
    async round(shared, chance, tally) {
      const { world, nodes } = shared
      const asked = await shared.ask(6, 8, () => `sim:count?n=${chance.whole(20, 50)}&tps=${chance.whole(50, 80)}`)
      const channel = world.openChannel()
      const urls = nodes.map(({ url }) => url)
      world.read(channel, 4, urls)
      let turn = 0
      const stop = world.publish(channel, () => urls[turn++ % 2] as string)
      await sleep(chance.whole(0, 300))
      for (const node of nodes) {
        const toldAt = performance.now()
        await node.end('SIGTERM')
        noteTime(tally, 'gone', performance.now() - toldAt)
        await node.restart()
      }
      await world.until(() => allEnded(asked), 'the ends of all runs')
      for (const each of asked) expect(statusOf(each)).toBe('completed')
      await stop()
      await world.settle(urls[0] as string)
    },
    afterMany({ times }) {
      expect(percentile(times.get('resume') ?? [], 0.99)).toBeLessThan(2000)
      expect(percentile(times.get('gone') ?? [], 1)).toBeLessThan(graceMs + 2000)
    },
  })
})
