import type { LaneEnd } from '@millrace/protocol'
import { expect, it, onTestFinished } from 'vitest'
import { memoryEngine } from '../engines/memory/index.ts'
import type { Engine } from '../log/log.ts'
import { createUsageLedger } from './usage.ts'

const lane: LaneEnd = {
  model: 'm',
  status: 'completed',
  usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 },
  timings: { firstTokenMs: 0, durationMs: 0 },
}
const noon = Date.parse('2026-11-28T12:00:00Z')

function open(engine: Engine, now = () => noon) {
  const errors: unknown[] = []
  const { signal } = new AbortController()
  return { ...createUsageLedger({ engine, prices: {}, signal, onError: (error) => errors.push(error), now }), errors }
}

it('replaces many runs by their sums, and a repetition after that counts nothing', async () => {
  const engine = memoryEngine()
  onTestFinished(() => engine.close())
  const [one, other] = [open(engine), open(engine)]
  const count = 30_100
  const charge = (n: number) =>
    (n % 2 === 0 ? one : other).charge({ run: `${n}`, principal: `p${n % 7}`, askedAt: noon, lanes: [lane] })
  for (let n = 0; n < count; n += 100) await Promise.all(Array.from({ length: 100 }, (_, at) => charge(n + at)))
  // The oldest events are gone.
  await expect.poll(async () => (await engine.inspect('usage/2026-11-28'))?.start.offset).toBeGreaterThan(9000)
  for (const n of [count - 1, count - 2, count - 10_000]) await charge(n)
  for (const ledger of [one, other, open(engine)]) {
    const used = await ledger.read()
    expect(used).toHaveLength(7)
    expect(used.reduce((sum, { runs }) => sum + runs, 0)).toBe(count)
    expect(used.reduce((sum, { outputTokens }) => sum + outputTokens, 0)).toBe(2 * count)
  }
  expect([...one.errors, ...other.errors]).toEqual([])
})

it('counts a run for the day of its request, whenever and wherever it ends', async () => {
  const engine = memoryEngine()
  onTestFinished(() => engine.close())
  const run = { run: 'r', principal: 'ada', askedAt: noon, lanes: [lane] }
  await open(engine, () => noon).charge(run)
  const tomorrow = open(engine, () => noon + 13 * 60 * 60_000)
  await tomorrow.charge(run)
  expect(await tomorrow.read()).toEqual([])
  expect(await tomorrow.read({ from: '2026-11-28' })).toMatchObject([{ day: '2026-11-28', runs: 1 }])
})

it('lets a run end while the engine does not respond', async () => {
  const engine = memoryEngine()
  onTestFinished(() => engine.close())
  const hung: Engine = { ...engine, append: () => new Promise<never>(() => {}) }
  const startedAt = performance.now()
  await open(hung).charge({ run: 'r', principal: 'ada', askedAt: noon, lanes: [lane] })
  expect(performance.now() - startedAt).toBeLessThan(4000)
})
