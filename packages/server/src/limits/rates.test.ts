import { redisEngine } from 'millrace/redis'
import { expect, it, onTestFinished } from 'vitest'
import { startRedis } from '../../../../conformance/src/index.ts'
import { createPlaces } from './places.ts'
import { createRate } from './rates.ts'

it('a server counts by itself while Redis is away: it lets neither everybody in nor nobody', async () => {
  const redis = await startRedis()
  const engine = redisEngine({ url: redis.url })
  onTestFinished(async () => {
    process.kill(redis.pid, 'SIGCONT')
    await engine.close()
    await redis.close()
  })
  const rate = createRate('runs', 60, engine.counters)
  const places = createPlaces(engine.counters)
  expect((await rate.add('ada', 5)).sum).toBe(5)
  expect(await places.hold('ada', 'first', 2, 60_000)).toBe(true)
  process.kill(redis.pid, 'SIGSTOP')
  const sums = await Promise.all([rate.add('ada', 1), rate.add('ada', 1), rate.add('ada', 1)])
  expect(sums.map(({ sum }) => sum)).toEqual([1, 2, 3])
  // The place that was taken before still counts.
  expect(await places.hold('ada', 'second', 2, 60_000)).toBe(true)
  expect(await places.hold('ada', 'third', 2, 60_000)).toBe(false)
  process.kill(redis.pid, 'SIGCONT')
  await expect.poll(async () => (await rate.add('ada', 1)).sum, { timeout: 10_000 }).toBeGreaterThan(5)
})
