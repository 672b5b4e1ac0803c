/** Commands that are sent twice, or to two servers at once, take effect once: publications, and the stop of a run at its end. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { makeFolder } from '../src/faults/folder.ts'
import { ask, codeOf } from '../src/faults/request.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { startMillrace } from '../src/faults/server-process.ts'
import { engines, openShared, pickNode, statusOf } from '../src/faults/shared.ts'
import { noteTime } from '../src/faults/tally.ts'
import { createWorld } from '../src/faults/world.ts'

interface Published {
  readonly position: string
  readonly duplicate: boolean
}

itWithstands({
  fault: 'F35 the same publication again, at once and after kill -9, over SQLite',
  claim: 'is one event, and every response has the same position',
  open: async (tally) => ({ world: createWorld(tally), server: await startMillrace(['--data', makeFolder()]) }),
  async round({ world, server }, chance) {
    const { url } = server
    const channel = world.openChannel()
    world.read(channel, 3, [url])
    const publish = (n: number) => ask<Published>(`${url}/api/publish`, { channel: channel.id, data: { n }, id: `p-${n}` })
    const count = chance.whole(5, 20)
    // Each several times at once, some of them cut off by the kill of the server.
    const before = Array.from({ length: count }, (_, index) => [1, 2, 3].map(() => publish(index + 1)))
    const settled = Promise.all(before.map((same) => Promise.allSettled(same)))
    await sleep(chance.whole(0, 30))
    await server.end()
    const answers = await settled
    await server.restart()
    for (let n = 1; n <= count; n++) {
      const again = await Promise.all([publish(n), publish(n)])
      const known = (answers[n - 1] ?? []).filter((each) => each.status === 'fulfilled').map(({ value }) => value)
      expect(new Set([...known, ...again].map(({ position }) => position)).size).toBe(1)
      expect([...known, ...again].filter(({ duplicate }) => !duplicate).length).toBeLessThanOrEqual(1)
      channel.record.note(n, 'acknowledged')
    }
    await world.settle(url)
  },
})

describe.each(engines)('two servers over $name', ({ name, startEngine }) => {
  itWithstands({
    fault: `F39 a run over ${name} is stopped by many while it ends`,
    claim: 'ends once, and every caller gets that end',
    open: (tally) => openShared(startEngine, tally),
    async round(shared, chance, tally) {
      const { world } = shared
      const [node, other] = pickNode(shared, chance)
      const asked = await shared.ask(4, 2, () => 'sim:count?n=10&tps=200')
      await sleep(chance.real() * 60)
      const askedAt = performance.now()
      const stops = asked.flatMap(({ run }) => [node, other].map(({ url }) => ask(`${url}/api/runs/${run}/stop`, {})))
      const ends = (await Promise.all(stops)) as { status: string; position: string }[]
      noteTime(tally, 'stop', performance.now() - askedAt)
      await world.until(() => asked.every((each) => statusOf(each) !== undefined), 'the ends of all runs')
      for (const [index, each] of asked.entries()) {
        expect(['stopped', 'completed']).toContain(statusOf(each))
        const received = ends.slice(index * 2, index * 2 + 2)
        for (const { position: _position, ...end } of received) expect(end).toEqual(each.session.ends.get(each.run))
        expect(new Set(received.map(({ position }) => position)).size).toBe(1)
      }
      // A stop after the end returns the same end.
      const [first] = asked
      expect(await codeOf(ask(`${other.url}/api/runs/${first?.run}/stop`, {}))).toBe('')
      await world.settle(other.url)
    },
  })
})
