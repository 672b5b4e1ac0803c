/** Whom a node watches for whom, and that it looks at no more than it must when one is gone. */
import { type Engine, memoryEngine } from 'millrace'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createMembership, type MembershipOptions } from './membership.ts'

function openNode(options: Partial<MembershipOptions> & { readonly engine: Engine }) {
  const membership = createMembership({ id: 'here', leaseMs: 60, onOrphaned: async () => {}, onMessage: () => {}, ...options })
  onTestFinished(() => membership.close())
  return membership
}

async function openTwo(options: Partial<MembershipOptions> = {}) {
  const engine = memoryEngine()
  onTestFinished(() => engine.close())
  const gone: string[] = []
  const onOrphaned = async (log: string) => void gone.push(log)
  const there = openNode({ engine, id: 'there' })
  await there.join()
  return { there, here: openNode({ engine, onOrphaned, ...options }), gone }
}

// What happened: logs were kept for as long as their node lived, and after 10,000 of them no other was looked after.
it('looks at the logs of runs that have not ended, once each', async () => {
  const { there, here, gone } = await openTwo()
  for (let n = 0; n < 30; n++) here.onNodeDead('there', `log-${n % 10}`, `run-${n}`)
  for (let n = 0; n < 29; n++) if (n !== 13) here.ended(`run-${n}`)
  await there.close()
  await vi.waitFor(() => expect(gone.toSorted()).toEqual(['log-3', 'log-9']))
})

it('lets the oldest go where there are too many, never the newest', async () => {
  const { there, here, gone } = await openTwo({ runsMax: 3 })
  for (let n = 0; n < 10; n++) here.onNodeDead('there', `log-${n}`, `run-${n}`)
  await there.close()
  await vi.waitFor(() => expect(gone.toSorted()).toEqual(['log-7', 'log-8', 'log-9']))
})

it('looks at a few logs at a time, however many a node had', async () => {
  let looking = 0
  let most = 0
  let looked = 0
  const { there, here } = await openTwo({
    async onOrphaned() {
      looking += 1
      most = Math.max(most, looking)
      await new Promise(setImmediate)
      looking -= 1
      looked += 1
    },
  })
  for (let n = 0; n < 200; n++) here.onNodeDead('there', `log-${n}`, `run-${n}`)
  await there.close()
  await vi.waitFor(() => expect(looked).toBe(200))
  expect(most).toBeLessThanOrEqual(8)
})

// What happened: what was told to a node that was gone stayed in an inbox of its own for 30 days.
it('leaves no inbox of a node that is gone', async () => {
  const engine = memoryEngine()
  onTestFinished(() => engine.close())
  const from = openNode({ engine })
  await engine.append('node/killed', [{ type: 'beat', data: null }])
  await from.send('killed', 'x')
  expect(await engine.inspect('inbox/killed')).toBeDefined()
  from.onNodeDead('killed', 'log', 'run')
  await vi.waitFor(async () => expect(await engine.inspect('inbox/killed')).toBeUndefined())
  await from.send('killed', 'x')
  expect(await engine.inspect('inbox/killed')).toBeUndefined()
})

// What happened: Redis was away for a little less than a period, the other came back to it a second later, and was given up.
it('counts no time in which the engine did not answer', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const engine = memoryEngine()
  let held: Promise<void> | undefined
  const slow: Engine = { ...engine, inspect: (log) => (held ?? Promise.resolve()).then(() => engine.inspect(log)) }
  const gone: string[] = []
  const here = openNode({ engine: slow, onOrphaned: async (log) => void gone.push(log) })
  await engine.append('node/there', [{ type: 'beat', data: null }])
  const pass = async (ms: number) => {
    vi.advanceTimersByTime(ms)
    await new Promise(setImmediate)
  }
  here.onNodeDead('there', 'log', 'run')
  await pass(0)
  for (let times = 0; times < 2; times++) {
    const { promise, resolve } = Promise.withResolvers<void>()
    held = promise
    await pass(20)
    await pass(19)
    resolve()
    held = undefined
    await pass(1)
  }
  await pass(20)
  expect(gone).toEqual([])
  await pass(20)
  expect(gone).toEqual(['log'])
})
