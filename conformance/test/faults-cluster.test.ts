/** Three nats-servers as a cluster, of which some are killed, stopped or cut off: nothing is repeated or lost unreported. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Chance } from '../src/faults/chance.ts'
import { ask, codeOf } from '../src/faults/request.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { openShared, type SharedWorld, statusOf } from '../src/faults/shared.ts'
import { noteTime, type Tally } from '../src/faults/tally.ts'
import type { Asked } from '../src/faults/world.ts'
import type { NatsServer } from '../src/servers/nats.ts'
import { natsVersion } from '../src/servers/nats-binary.ts'
import { type NatsCluster, startNatsCluster } from '../src/servers/nats-cluster.ts'

/** A new leader is elected within ten seconds, on a busy machine within more. */
const electionMsMax = 40_000
const msMax = 90_000
const times = { leaseMs: 6000, graceMs: 1000 }

const open = (tally: Tally) => openShared(startNatsCluster, tally, times)

interface Outage {
  readonly leave: () => unknown
  readonly awayMs: number
  readonly comeBack: () => unknown
}

/** Runs, readers and publishers on two servers during a fault in the cluster. */
async function during(shared: SharedWorld<NatsCluster>, chance: Chance, tally: Tally, { leave, awayMs, comeBack }: Outage) {
  const { world, nodes } = shared
  const urls = nodes.map(({ url }) => url) as [string, string]
  await untilTaken(urls)
  const asked = await shared.ask(4, 4, () => `sim:count?n=${chance.whole(20, 80)}&tps=${chance.whole(20, 60)}`)
  const channels = [world.openChannel(), world.openChannel()] as const
  const stops = channels.map((channel, index) => {
    world.read(channel, 2, urls)
    return world.publish(channel, () => urls[index] as string)
  })
  await world.until(() => channels.every(({ events }) => events > 0), 'the first events', electionMsMax)
  await sleep(chance.whole(0, 400))
  await leave()
  await sleep(awayMs)
  await comeBack()
  const backAt = performance.now()
  const before = channels.map(({ events }) => events)
  const goOn = channels.map(async (channel, index) => {
    await world.until(() => channel.events > (before[index] ?? 0), 'an event after it', electionMsMax)
    noteTime(tally, 'first event', performance.now() - backAt)
  })
  await Promise.all(goOn)
  // A run whose log no longer exists has no end to wait for.
  const isOver = (each: Asked) => statusOf(each) !== undefined || each.session.resets > 0
  await world.until(() => asked.every(isOver), 'the ends of all runs', electionMsMax)
  await Promise.all(stops.map((stop) => stop()))
  await world.settle(chance.pick(urls), electionMsMax)
}

/** The cluster may need longer than a call's timeout to recover from the round before. */
async function untilTaken(urls: readonly string[]): Promise<void> {
  const publish = (url: string) => codeOf(ask(`${url}/api/publish`, { channel: 'knock', data: 1 }))
  for (const deadline = performance.now() + electionMsMax; ; ) {
    const codes = await Promise.all(urls.map(publish))
    if (codes.every((code) => code === '')) return
    if (performance.now() > deadline) throw new Error(`The cluster takes nothing: ${codes.join(', ')}.`)
  }
}

// Three servers on two cores take long to elect a leader, so `npm test` does none of these rounds.
const cluster = `a cluster of nats-server ${natsVersion()}`
const common = { few: 0, msMax, mayReset: true, open }

const kills = [
  {
    whom: 'one NATS',
    pick: ({ servers }: NatsCluster, leader: NatsServer, chance: Chance) => [chance.pick([leader, ...servers])],
  },
  { whom: 'every NATS', pick: ({ servers }: NatsCluster) => servers },
]
for (const { whom, pick } of kills) {
  itWithstands({
    fault: `F12 ${whom} of ${cluster} is killed, or stopped with SIGTERM`,
    claim: 'keeps what was acknowledged once, or resets its readers, and continues when there is a leader again',
    ...common,
    async round(shared, chance, tally) {
      const hit = pick(shared.engine, await shared.engine.leader(), chance)
      const signal = chance.pick(['SIGKILL', 'SIGTERM'] as const)
      await during(shared, chance, tally, {
        leave: () => Promise.all(hit.map((server) => server.kill(signal))),
        awayMs: chance.pick([0, chance.whole(0, 5000)]),
        comeBack: () => Promise.all(hit.map((server) => server.restart())),
      })
    },
  })
}

itWithstands({
  fault: `F12 one NATS of ${cluster} that is paused`,
  claim: 'keeps what was acknowledged once, or resets its readers, and continues',
  ...common,
  async round(shared, chance, tally) {
    const { leader, servers } = shared.engine
    const hit = chance.pick([await leader(), chance.pick(servers)])
    await during(shared, chance, tally, {
      leave: () => process.kill(hit.pid, 'SIGSTOP'),
      awayMs: chance.pick([chance.whole(200, 2000), chance.whole(4000, 12_000)]),
      comeBack: () => process.kill(hit.pid, 'SIGCONT'),
    })
  },
})

itWithstands({
  fault: `F13 one NATS of ${cluster} is cut off from the others, or in one direction only`,
  claim: 'keeps what was acknowledged once, or resets its readers, and continues',
  ...common,
  async round(shared, chance, tally) {
    const { leader, servers, isolate, heal } = shared.engine
    const hit = chance.pick([await leader(), await leader(), chance.pick(servers)])
    const whats = chance.pick([['outgoing'], ['incoming'], ['outgoing', 'incoming']] as const)
    const isCut = chance.pick([true, false])
    await during(shared, chance, tally, {
      leave: () => whats.map((what) => isolate(hit, what)),
      awayMs: chance.pick([chance.whole(200, 2000), chance.whole(4000, 12_000)]),
      comeBack: () => heal(isCut),
    })
  },
})
