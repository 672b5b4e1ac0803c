/** The storage of whole servers is killed or paused during streams: servers wait, respond with a code, and recover by themselves. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { Chance } from '../src/faults/chance.ts'
import { ask, codeOf } from '../src/faults/request.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { allEnded, engines, openShared, type SharedWorld, statusOf } from '../src/faults/shared.ts'
import { noteTime, percentile, type Tally } from '../src/faults/tally.ts'

/** Shorter than the storage may be down; a client of Redis takes up to half a second to reconnect. */
const times = { leaseMs: 2000, graceMs: 1000 }
/** `/readyz` reports the failure within this time. */
const redMsMax = 2000
/** And the recovery within this time, in the median: one server may be busy with much else. */
const afterMany = ({ times }: Tally) => expect(percentile(times.get('green') ?? [], 0.5)).toBeLessThan(2000)

interface Outage {
  readonly leave: () => unknown
  readonly awayMs: number
  readonly comeBack: () => unknown
}

/** Runs, readers and a publisher on two servers while their storage is down. */
async function during(shared: SharedWorld, chance: Chance, tally: Tally, outage: Outage): Promise<void> {
  const { leave, awayMs, comeBack } = outage
  const { world, nodes } = shared
  const asked = await shared.ask(4, 6, () => `sim:count?n=${chance.whole(40, 80)}&tps=${chance.whole(60, 100)}`)
  const channel = world.openChannel()
  const [url, other] = nodes.map((node) => node.url) as [string, string]
  world.read(channel, 4, [url, other])
  const stop = world.publish(channel, () => url)
  // Only a reader that was attached before can tell afterwards that nothing was lost.
  const logs = [channel, ...asked.map(({ session }) => session)]
  await world.until(() => logs.every(({ events, readers }) => events >= 5 * readers.length), 'the first events')
  await sleep(chance.whole(0, 400))
  await leave()
  const awayAt = performance.now()
  const red = turned(url, 'red', awayMs)
  const asking = codeOf(ask(`${other}/api/sessions/${asked[0]?.session.id}`))
  await sleep(awayMs)
  const redMs = (await red) - awayAt
  if (awayMs > redMsMax) {
    expect(redMs).toBeLessThan(redMsMax)
    noteTime(tally, 'red', redMs)
  }
  await comeBack()
  const backAt = performance.now()
  const { events } = channel
  noteTime(tally, 'green', (await turned(url, 'green', 5000)) - backAt)
  await world.until(() => channel.events > events, 'the first event after it')
  noteTime(tally, 'first event', performance.now() - backAt)
  expect(['', 'engine_failed']).toContain(await asking)
  await world.until(() => allEnded(asked), 'the ends of all runs')
  noteTime(tally, 'end', performance.now() - backAt)
  // No server died: none may be declared dead because the storage did not respond.
  for (const each of asked) expect(statusOf(each)).toBe('completed')
  await stop()
  await world.settle(other)
}

/** The time of the first such response, or the deadline. */
async function turned(url: string, to: 'red' | 'green', msMax: number): Promise<number> {
  for (const deadline = performance.now() + msMax; performance.now() < deadline; await sleep(20)) {
    const { status } = await fetch(`${url}/readyz`)
    if ((status === 200) === (to === 'green')) break
  }
  return performance.now()
}

describe.each(engines)('two servers over $name', ({ name, startEngine, startLossless, callMs }) => {
  itWithstands({
    fault: `F5, F12 kill -9 and restart of ${name}`,
    claim: 'keeps what was acknowledged, reports the failure, and continues',
    open: (tally) => openShared(startLossless, tally, times),
    round: (shared, chance, tally) =>
      during(shared, chance, tally, {
        leave: () => shared.engine.kill(),
        awayMs: chance.whole(0, chance.pick([300, 300, 2500])),
        comeBack: () => shared.engine.restart(),
      }),
    afterMany,
  })

  itWithstands({
    fault: `F6 ${name} that is paused`,
    claim: 'keeps what was acknowledged, reports the failure, and continues',
    open: (tally) => openShared(startEngine, tally, times),
    round: (shared, chance, tally) =>
      during(shared, chance, tally, {
        leave: () => process.kill(shared.engine.pid, 'SIGSTOP'),
        awayMs: chance.whole(500, 3000),
        comeBack: () => process.kill(shared.engine.pid, 'SIGCONT'),
      }),
    afterMany,
  })

  itWithstands({
    fault: `F6 ${name} that is paused for longer than a call's timeout`,
    claim: 'holds runs and readers, reports the failure, and continues',
    few: 1,
    times: 0.2,
    msMax: 60_000,
    open: (tally) => openShared(startEngine, tally, times),
    round: (shared, chance, tally) =>
      during(shared, chance, tally, {
        leave: () => process.kill(shared.engine.pid, 'SIGSTOP'),
        awayMs: callMs + chance.whole(200, 2000),
        comeBack: () => process.kill(shared.engine.pid, 'SIGCONT'),
      }),
  })
})
