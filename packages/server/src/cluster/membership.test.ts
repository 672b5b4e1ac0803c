/** Leases of other nodes, and the inboxes of dead ones. */
import { type Engine, memoryEngine } from 'millrace'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createMembership, type MembershipOptions } from './membership.ts'

function openNode(options: Partial<MembershipOptions> & { readonly engine: Engine }) {
  const membership = createMembership({ id: 'here', leaseMs: 60, onNodeDead: () => {}, onMessage: () => {}, ...options })
  onTestFinished(() => membership.close())
  return membership
}

it('reports a node that closed, once', async () => {
  const engine = memoryEngine()
  onTestFinished(() => engine.close())
  const dead: string[] = []
  const there = openNode({ engine, id: 'there' })
  await there.join()
  const here = openNode({ engine, onNodeDead: (node) => void dead.push(node) })
  here.watchNode('there')
  here.watchNode('there')
  await there.close()
  await vi.waitFor(() => expect(dead).toEqual(['there']), 10_000)
})

// What happened: messages to a dead node stayed in its inbox for 30 days.
it('deletes the inbox of a dead node, and sends it nothing more', async () => {
  const engine = memoryEngine()
  onTestFinished(() => engine.close())
  const from = openNode({ engine })
  await engine.append('node/killed', [{ type: 'beat', data: null }])
  await from.send('killed', 'x')
  expect(await engine.inspect('inbox/killed')).toBeDefined()
  from.watchNode('killed')
  await vi.waitFor(async () => expect(await engine.inspect('inbox/killed')).toBeUndefined(), 10_000)
  await from.send('killed', 'x')
  expect(await engine.inspect('inbox/killed')).toBeUndefined()
})

// What happened: Redis was unavailable for a little less than a period, the other node renewed its lease a second later, and
// was declared dead.
it('does not count the time in which the engine did not respond', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const engine = memoryEngine()
  let held: Promise<void> | undefined
  const slow: Engine = { ...engine, inspect: (log) => (held ?? Promise.resolve()).then(() => engine.inspect(log)) }
  const dead: string[] = []
  const here = openNode({ engine: slow, onNodeDead: (node) => void dead.push(node) })
  await engine.append('node/there', [{ type: 'beat', data: null }])
  const pass = async (ms: number) => {
    vi.advanceTimersByTime(ms)
    await new Promise(setImmediate)
  }
  here.watchNode('there')
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
  expect(dead).toEqual([])
  await pass(20)
  expect(dead).toEqual(['there'])
})

// Servers on one machine, all of which were paused: the first to wake would declare the others dead.
it('does not count the time in which it was paused itself', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const engine = memoryEngine()
  const dead: string[] = []
  let pausedMs = 0
  const here = openNode({ engine, now: () => performance.now() + pausedMs, onNodeDead: (node) => void dead.push(node) })
  await engine.append('node/there', [{ type: 'beat', data: null }])
  const pass = async (ms: number) => {
    vi.advanceTimersByTime(ms)
    await new Promise(setImmediate)
  }
  here.watchNode('there')
  for (let times = 0; times < 2; times++) await pass(20)
  pausedMs = 5000
  await pass(20)
  expect(dead).toEqual([])
  for (let times = 0; times < 4; times++) await pass(20)
  expect(dead).toEqual(['there'])
})
