/** The storage of whole servers is killed or stands still in mid-stream: they wait, answer with a code meanwhile, and go on by themselves. */
import { describe, onTestFinished } from 'vitest'
import { during } from '../src/faults/outage.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { engines, openShared } from '../src/faults/shared.ts'
import { startNatsCluster } from '../src/servers/nats-cluster.ts'

/** Shorter than the storage may be away; a client of Redis takes up to a second to be back. */
const times = { leaseMs: 2000, graceMs: 1000 }
describe.each(engines)('two servers over $name', ({ name, startEngine }) => {
  itWithstands({
    fault: `F5, F12 kill -9 and restart of ${name}`,
    claim: 'keeps what was acknowledged, says that it is away, and goes on',
    open: (tally) => openShared(startEngine, tally, times),
    round: (shared, chance, tally) =>
      during(shared, chance, tally, {
        leave: () => shared.engine.kill(),
        awayMs: chance.whole(0, chance.pick([300, 300, 2500])),
        comeBack: () => shared.engine.restart(),
      }),
  })

  itWithstands({
    fault: `F6 ${name} that stands still`,
    claim: 'keeps what was acknowledged, says that it is away, and goes on',
    open: (tally) => openShared(startEngine, tally, times),
    round: (shared, chance, tally) =>
      during(shared, chance, tally, {
        leave: () => process.kill(shared.engine.pid, 'SIGSTOP'),
        awayMs: chance.whole(500, 3000),
        comeBack: () => process.kill(shared.engine.pid, 'SIGCONT'),
      }),
  })
})

describe('two servers over three NATS', () => {
  for (const [fault, signal] of [
    ['F12 kill -9 and restart of the leader of three NATS', 'SIGKILL'],
    ['F13 the leader of three NATS stands still, as if it was cut off', 'SIGSTOP'],
  ] as const)
    itWithstands({
      fault,
      claim: 'keeps what was acknowledged, says that it is away, and goes on',
      few: 1,
      // What NATS itself loses of a server that was killed and comes back is told.
      mayReset: true,
      async open(tally) {
        const cluster = await startNatsCluster()
        onTestFinished(() => cluster.close())
        return { cluster, shared: await openShared(async () => cluster, tally, times) }
      },
      async round({ cluster, shared }, chance, tally) {
        const leader = await cluster.leader()
        await during(shared, chance, tally, {
          leave: () => (signal === 'SIGKILL' ? leader.kill() : process.kill(leader.pid, signal)),
          // The other two need up to ten seconds to agree on another one.
          awayMs: chance.whole(100, 8000),
          // Not all agree within the time that an append may take.
          ends: ['completed', 'failed', 'interrupted'],
          comeBack: () => (signal === 'SIGKILL' ? leader.restart() : process.kill(leader.pid, 'SIGCONT')),
        })
      },
    })
})
