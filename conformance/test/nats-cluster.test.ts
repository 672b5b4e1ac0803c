/** Three NATS as one: what they keep three times is there when one of them is not. */
import { natsEngine } from 'millrace/nats'
import { expect, it, onTestFinished } from 'vitest'
import { numbered, numbers, open, range, readAll } from '../src/engine/support.ts'
import { startNatsCluster } from '../src/servers/nats-cluster.ts'

it('nats engine, whose cluster loses its leader: waits for another one, and has everything once and in order', async () => {
  const cluster = await startNatsCluster()
  onTestFinished(() => cluster.close())
  const make = () => natsEngine({ url: cluster.url })
  const writer = await open(make)
  const reader = await open(make)
  for (const n of range(1, 20)) await writer.append('log', numbered(n, n), { key: `k${n}` })
  expect(numbers(await readAll(reader, 'log'))).toEqual(range(1, 20))
  const leader = await cluster.leader()
  await leader.kill()
  // The first of them waits for about ten seconds; offered again, it is there once.
  for (const n of range(21, 40)) {
    const append = () => writer.append('log', numbered(n, n), { key: `k${n}` })
    await append().catch(append)
  }
  for (const engine of [writer, reader, await open(make)]) expect(numbers(await readAll(engine, 'log'))).toEqual(range(1, 40))
}, 60_000)
