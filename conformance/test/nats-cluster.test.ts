/** Three NATS as one: what they keep three times is there when one of them is not. */
import type { MillraceError } from 'millrace'
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
  for (const n of range(21, 40)) await insist(() => writer.append('log', numbered(n, n), { key: `k${n}` }))
  for (const engine of [writer, reader, await open(make)])
    expect(numbers(await insist(() => readAll(engine, 'log')))).toEqual(range(1, 40))
}, 150_000)

/** As whoever is told that it is worth asking again: three servers that have two cores may take longer than a call may. */
async function insist<T>(act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (error) {
      if (!(error as MillraceError).retryable || attempt === 4) throw error
    }
  }
}
