/** A Redis that loses acknowledged writes, or is full: readers are reset, writers get an error, and logs are never spliced silently. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '@redis/client'
import { expect, onTestFinished } from 'vitest'
import type { Chance } from '../src/faults/chance.ts'
import { ask, codeOf } from '../src/faults/request.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { type AskedOf, openShared, type SharedWorld, statusOf } from '../src/faults/shared.ts'
import { noteTime, type Tally } from '../src/faults/tally.ts'
import type { Followed } from '../src/faults/world.ts'
import { type RedisServer, startRedis } from '../src/servers/redis.ts'
import { startSwitch } from '../src/servers/switch.ts'

const times = { leaseMs: 2000, graceMs: 1000 }
/** It would wait for more replicas before it starts with one. */
const args = ['--repl-diskless-sync-delay', '0']

async function tell(url: string, ...command: string[]): Promise<unknown> {
  const client = createClient({ url })
  client.on('error', () => {})
  await client.connect()
  const answer = await client.sendCommand(command)
  client.destroy()
  return answer
}

interface Busy {
  readonly asked: readonly AskedOf[]
  readonly channel: Followed
}

/**
 * Runs, readers and a publisher during a loss, after the given number of events for each reader; afterwards all of
 * them work again.
 */
async function during(
  shared: SharedWorld,
  chance: Chance,
  tally: Tally,
  lose: (busy: Busy) => Promise<void>,
  eventsBefore = 1,
): Promise<void> {
  const { world, nodes } = shared
  const asked = await shared.ask(4, 5, () => 'sim:count?n=100000&tps=100')
  const channel = world.openChannel()
  const urls = nodes.map(({ url }) => url) as [string, string]
  world.read(channel, 4, urls)
  const stop = world.publish(channel, () => urls[0])
  const logs = [channel, ...asked.map(({ session }) => session)]
  await world.until(() => logs.every(({ events, readers }) => events >= eventsBefore * readers.length), 'the first events')
  await sleep(chance.whole(20, 300))
  await lose({ asked, channel })
  const lostAt = performance.now()
  const { events } = channel
  await world.until(() => channel.events > events, 'an event after it')
  noteTime(tally, 'back', performance.now() - lostAt)
  // A server that was lost with all other data registers again with its next run, after at most this delay.
  await sleep(150)
  for (const node of nodes) {
    const next = await world.start(node.url, 'sim:count?n=5&tps=0')
    world.read(next.session, 2, urls)
    await world.until(() => statusOf(next) === 'completed', 'a run that comes after')
  }
  // Runs whose log still exists; a lost one has no end to wait for.
  for (const { run } of asked) await codeOf(ask(`${urls[0]}/api/runs/${run}/stop`, {}))
  await stop()
  await world.settle(urls[1])
}

itWithstands({
  fault: 'F9 FLUSHALL of Redis',
  claim: 'resets every reader, and continues',
  few: 1,
  mayReset: true,
  open: (tally) => openShared(startRedis, tally, times),
  async round(shared, chance, tally) {
    const before = tally.resets
    await during(shared, chance, tally, async () => void (await tell(shared.engine.url, 'FLUSHALL')))
    // Of all sessions and of the channel.
    expect(tally.resets - before).toBeGreaterThanOrEqual(4 * 5 + 4)
  },
})

itWithstands({
  fault: 'F9 a key of a log is evicted from Redis, or its stream trimmed',
  claim: 'resets the readers of that log, and does not touch the others',
  few: 2,
  mayReset: true,
  open: (tally) => openShared(startRedis, tally, times),
  round: (shared, chance, tally) =>
    during(shared, chance, tally, async ({ asked, channel }) => {
      const log = chance.pick([`channel/${channel.id}`, ...asked.map(({ session }) => session.id)])
      const key = (name: string) => `{millrace/${log}}:${name}`
      const [command, ...words] = chance.pick([
        ['DEL', key('meta')],
        ['DEL', key('events')],
        ['XTRIM', key('events'), 'MAXLEN', '1'],
      ])
      expect(await tell(shared.engine.url, command as string, ...words)).toBeGreaterThan(0)
    }),
})

itWithstands({
  fault: 'F7, F8 a replica of Redis that lags, or was never in sync, is promoted',
  claim: 'resets readers that have seen what is lost, and never serves other events under its positions',
  few: 2,
  mayReset: true,
  open: async (tally) => {
    const primary = await startRedis({ args })
    const entrance = await startSwitch(primary.port)
    onTestFinished(() => entrance.close())
    const engine = { ...primary, url: `redis://127.0.0.1:${entrance.port}`, pid: primary.pid }
    return { shared: await openShared(async () => engine, tally, times), entrance, current: primary }
  },
  async round(world, chance, tally) {
    const { shared, entrance, current } = world
    const isInSync = chance.whole(0, 4) > 0
    const sync = ['--replicaof', '127.0.0.1', String(current.port)]
    const replica = await startRedis({ args: isInSync ? [...args, ...sync] : args })
    onTestFinished(() => replica.close())
    if (isInSync) await untilInSync(replica)
    await during(shared, chance, tally, async () => {
      // Replication stops here: from now on, what is acknowledged is only on the server that is killed.
      await tell(replica.url, 'REPLICAOF', 'NO', 'ONE')
      await sleep(chance.whole(50, 300))
      await current.kill()
      entrance.to(replica.port)
    })
    world.current = replica
  },
  after: ({ resets }) => expect(resets).toBeGreaterThan(0),
})

async function untilInSync(replica: RedisServer): Promise<void> {
  while (!((await tell(replica.url, 'INFO', 'replication')) as string).includes('master_link_status:up')) await sleep(5)
}

itWithstands({
  fault: 'F7 a replica of Redis is promoted, where appends wait for it',
  claim: 'loses nothing that was acknowledged or shown, resets no reader, and continues',
  few: 1,
  open: async (tally) => {
    const primary = await startRedis({ args })
    const follow = async (port: number) => {
      const replica = await startRedis({ args: [...args, '--replicaof', '127.0.0.1', String(port)] })
      onTestFinished(() => replica.close())
      await untilInSync(replica)
      return replica
    }
    const replica = await follow(primary.port)
    const entrance = await startSwitch(primary.port)
    onTestFinished(() => entrance.close())
    const engine = { ...primary, url: `redis://127.0.0.1:${entrance.port}?replicas=1`, pid: primary.pid }
    return { shared: await openShared(async () => engine, tally, times), entrance, follow, current: primary, replica }
  },
  async round(world, chance, tally) {
    const fail = async () => {
      await world.current.kill()
      await tell(world.replica.url, 'REPLICAOF', 'NO', 'ONE')
      world.entrance.to(world.replica.port)
      world.current = world.replica
      world.replica = await world.follow(world.current.port)
    }
    // Only a reader that was attached can tell whether its log is intact, and one is attached by then.
    await during(world.shared, chance, tally, fail, 10)
  },
})

itWithstands({
  fault: 'F9 Redis at its maxmemory, which then has room again',
  claim: 'ends runs as failed, rejects with a code what it cannot store, serves what it has, and continues',
  few: 1,
  open: (tally) => openShared(startRedis, tally, times),
  async round(shared, chance, tally) {
    const { world, engine } = shared
    const asked = await shared.ask(4, 5, () => 'sim:count?n=100000&tps=100')
    await world.until(() => asked.every(({ session }) => session.events > 0), 'the first events')
    await sleep(chance.whole(0, 300))
    await tell(engine.url, 'CONFIG', 'SET', 'maxmemory', '1mb')
    const { url } = shared.nodes[0]
    expect(await codeOf(ask(`${url}/api/publish`, { channel: `full-${tally.readers}`, data: { n: -1 } }))).toBe('log_full')
    expect(await codeOf(ask(`${url}/api/sessions/${asked[1]?.session.id}`))).toBe('')
    // Long enough for each of them to write something.
    await sleep(chance.whole(100, 500))
    await tell(engine.url, 'CONFIG', 'SET', 'maxmemory', '0')
    const freedAt = performance.now()
    await world.until(() => asked.every((each) => statusOf(each) !== undefined), 'the ends of all runs')
    noteTime(tally, 'end', performance.now() - freedAt)
    for (const { session, run } of asked)
      expect(session.ends.get(run)).toMatchObject({ status: 'failed', error: { code: 'log_full' } })
    await world.settle(url)
  },
})
