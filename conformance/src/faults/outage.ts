/** The storage of whole servers is away for a while: what they do meanwhile, and afterwards. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Chance } from './chance.ts'
import { ask, codeOf } from './request.ts'
import { allEnded, type SharedWorld, statusOf } from './shared.ts'
import { noteTime, type Tally } from './tally.ts'

/** Within so long `/healthz` says what is wrong. */
const redMsMax = 2000

export interface Outage {
  readonly leave: () => unknown
  readonly awayMs: number
  readonly comeBack: () => unknown
  /** How runs may end; `completed` where nothing else is said. */
  readonly ends?: readonly string[]
}

/** Runs, readers and a publisher on two servers while what keeps their logs is away. */
export async function during(
  shared: SharedWorld,
  chance: Chance,
  tally: Tally,
  { leave, awayMs, comeBack, ends = ['completed'] }: Outage,
): Promise<void> {
  const { world, nodes } = shared
  const asked = await shared.ask(4, 6, () => `sim:count?n=${chance.whole(40, 80)}&tps=${chance.whole(60, 100)}`)
  const channel = world.openChannel()
  const [url, other] = nodes.map((node) => node.url) as [string, string]
  world.read(channel, 4, [url, other])
  const stop = world.publish(channel, () => url)
  await sleep(chance.whole(20, 400))
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
  // No server was gone: none of them may be given up for a storage that did not answer.
  for (const each of asked) expect(ends).toContain(statusOf(each))
  await stop()
  await world.settle(other)
}

/** When `/healthz` says so first, or the end of the time that it has. */
async function turned(url: string, to: 'red' | 'green', msMax: number): Promise<number> {
  for (const deadline = performance.now() + msMax; performance.now() < deadline; await sleep(20)) {
    const { status } = await fetch(`${url}/healthz`)
    if ((status === 200) === (to === 'green')) break
  }
  return performance.now()
}
