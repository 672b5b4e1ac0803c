/** Responses of NATS that are lost for longer than its deduplication window: a retried batch is stored once. */
import { setTimeout as sleep } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { expect, onTestFinished } from 'vitest'
import { startFaultProxy } from '../src/fault-proxy.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { allEnded, openShared, statusOf } from '../src/faults/shared.ts'
import { noteTime } from '../src/faults/tally.ts'
import { startNats } from '../src/servers/nats.ts'

/** JetStream's deduplication window; two minutes by default. */
const remembersMs = 100

async function startForgetful() {
  const server = await startNats()
  const nc = await connect({ servers: server.url })
  const config = { name: 'millrace', subjects: ['millrace.log.*'], allow_direct: true, duplicate_window: remembersMs * 1e6 }
  await (await jetstreamManager(nc)).streams.add(config)
  await nc.close()
  const proxy = await startFaultProxy(server.port)
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  return { proxy, url: proxy.url.replace('http', 'nats'), close: () => server.close() }
}

itWithstands({
  fault: 'F14 responses of NATS that are lost for longer than its deduplication window',
  claim: 'stores once what it acknowledges',
  open: (tally) => openShared(startForgetful, tally, { leaseMs: 3000, graceMs: 1000 }),
  async round(shared, chance, tally) {
    const { world, engine, nodes } = shared
    const urls = nodes.map(({ url }) => url) as [string, string]
    const asked = await shared.ask(4, 4, () => `sim:count?n=${chance.whole(40, 80)}&tps=${chance.whole(60, 100)}`)
    const channel = world.openChannel()
    world.read(channel, 4, urls)
    const stop = world.publish(channel, () => urls[0])
    await world.until(() => channel.events > 0, 'the first event')
    await sleep(chance.whole(0, 300))
    engine.proxy.mute()
    await sleep(remembersMs + chance.whole(50, 1500))
    engine.proxy.cut()
    const cutAt = performance.now()
    const { events } = channel
    await world.until(() => channel.events > events, 'an event after it')
    noteTime(tally, 'first event', performance.now() - cutAt)
    await world.until(() => allEnded(asked), 'the ends of all runs')
    for (const each of asked) expect(statusOf(each)).toBe('completed')
    await stop()
    await world.settle(urls[1])
  },
})
