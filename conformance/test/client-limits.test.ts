/** A client that is limited waits as long as the server asks, and does not ask again and again. */
import { connect, type TransportName } from '@millrace/client'
import { createMillrace, type LimitOptions } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'

async function start(limits: LimitOptions) {
  const hits: string[] = []
  const millrace = createMillrace({
    model: 'sim:count?n=3&tps=0',
    limits,
    observers: [{ limitHit: ({ limit }) => hits.push(limit) }],
  })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  return { millrace, url, hits }
}

function join(url: string, transport: TransportName | 'auto') {
  const client = connect(url, { transport })
  onTestFinished(() => client.close())
  return client
}

it('a reader whose network has too many connections asks a few times in four seconds, over every transport', async () => {
  const reads = async (transport: TransportName) => {
    const { url, hits, millrace } = await start({ connectionsPerAddress: 0 })
    await millrace.engine.append('s', [])
    const reading = join(url, transport).session('s').events({ from: 'start' })[Symbol.asyncIterator]()
    void reading.next().catch(() => {})
    await expect.poll(() => hits.length).toBeGreaterThan(0)
    await new Promise((resolve) => setTimeout(resolve, 4000))
    expect.soft([transport, hits.length < 12]).toEqual([transport, true])
  }
  await Promise.all((['sse', 'ws', 'poll', 'hybrid'] as const).map(reads))
})

it('events that are published faster than allowed arrive all, in order, without a storm of refusals', async () => {
  const hits: string[] = []
  const millrace = createMillrace({
    authenticate: () => ({ id: 'ada', limits: { publishesPerSecond: 2 } }),
    observers: [{ limitHit: ({ limit }) => hits.push(limit) }],
  })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const channel = join(url, 'poll').channel('c')
  const sent = Array.from({ length: 22 }, (_, n) => channel.publish(n))
  const positions = (await Promise.all(sent)).map(({ position }) => Number(position.split('-')[1]))
  expect(positions).toEqual(Array.from({ length: 22 }, (_, n) => n + 1))
  expect(hits.length).toBeLessThan(4)
})
