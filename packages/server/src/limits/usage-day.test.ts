import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type RunUsage, UsageDay } from './usage-day.ts'

const lane = fc.record(
  {
    model: fc.constantFrom('a', 'b', '__proto__', 'constructor'),
    inputTokens: fc.nat(1000),
    outputTokens: fc.nat(1000),
    reasoningTokens: fc.nat(100),
    cost: fc.nat(10),
    isEstimated: fc.boolean(),
  },
  { requiredKeys: ['model', 'inputTokens', 'outputTokens'] },
)
const run = fc.record({ principal: fc.constantFrom('ada', 'bob', '__proto__'), lanes: fc.array(lane, { maxLength: 8 }) })

function fold(runs: readonly RunUsage[]): UsageDay {
  const day = new UsageDay()
  for (const data of runs) day.apply({ type: 'run', data: data as never })
  return day
}

const of = (day: UsageDay) => ({
  total: day.total,
  principals: Object.fromEntries([...day.principals].map(([id, used]) => [`of ${id}`, used])),
})

it('is the sum of its runs, and of totals in place of any of them', () => {
  fc.assert(
    fc.property(fc.array(run), fc.nat(), (runs, cut) => {
      const at = cut % (runs.length + 1)
      const whole = fold(runs)
      expect(whole.total.inputTokens).toBe(runs.flatMap(({ lanes }) => lanes).reduce((sum, each) => sum + each.inputTokens, 0))
      expect([...whole.principals.values()].reduce((sum, { runs }) => sum + runs, 0)).toBe(runs.length)
      // As it is stored, and read by another server.
      const other = new UsageDay()
      for (const event of fold(runs.slice(0, at)).toEvents()) other.apply(JSON.parse(JSON.stringify(event)))
      for (const data of runs.slice(at)) other.apply({ type: 'run', data: data as never })
      expect(of(other)).toEqual(of(whole))
    }),
  )
})

it('has totals of any number of principals in events of bounded size', () => {
  const day = fold(
    Array.from({ length: 5000 }, (_, n) => ({
      principal: `user ${n}`,
      lanes: [{ model: 'm', inputTokens: 1, outputTokens: 1 }],
    })),
  )
  const events = day.toEvents()
  expect(events.length).toBeGreaterThan(1)
  for (const event of events) expect(JSON.stringify(event).length).toBeLessThan(500_000)
  const other = new UsageDay()
  for (const event of [...events, ...events]) other.apply(event)
  expect(other.total).toEqual(day.total)
})

it('counts any number of models that one principal names, in bounded size', () => {
  const runs = Array.from({ length: 5000 }, (_, n) => ({
    principal: 'mallory',
    lanes: [{ model: `openai:${n}${'x'.repeat(240)}`, inputTokens: 1, outputTokens: 1 }],
  }))
  const day = fold(runs)
  const { models = [], inputTokens } = day.principals.get('mallory') ?? {}
  expect([models.length, inputTokens]).toEqual([101, 5000])
  expect(models.at(-1)).toMatchObject({ model: 'other', lanes: 4900 })
  for (const event of day.toEvents()) expect(JSON.stringify(event).length).toBeLessThan(500_000)
})
