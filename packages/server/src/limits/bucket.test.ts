import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Bucket, Buckets, burstSeconds } from './bucket.ts'

it('allows ten seconds of its rate at once, and then the rate', () => {
  const bucket = new Bucket(2, 0)
  const taken = (now: number) => {
    let count = 0
    while (bucket.take(1, 2, now) === 0) count += 1
    return count
  }
  expect(taken(0)).toBe(20)
  expect(bucket.take(1, 2, 0)).toBe(500)
  expect(taken(1000)).toBe(2)
  expect(taken(1_000_000)).toBe(20)
})

it('takes what is larger than a burst from a full bucket, which is in debt then', () => {
  const bucket = new Bucket(1, 0)
  expect(bucket.take(30, 1, 0)).toBe(0)
  expect(bucket.take(1, 1, 0)).toBe(21_000)
  expect(bucket.take(1, 1, 21_000)).toBe(0)
})

it('is not refilled by a clock that goes back', () => {
  const bucket = new Bucket(1, 1000)
  for (let n = 0; n < burstSeconds; n++) expect(bucket.take(1, 1, 1000)).toBe(0)
  expect(bucket.take(1, 1, 0)).toBeGreaterThan(0)
  expect(bucket.take(1, 1, 500)).toBeGreaterThan(0)
})

it('never allows more than the burst and the rate, in whatever order it is asked', () => {
  const asks = fc.array(fc.record({ afterMs: fc.nat(3000), amount: fc.integer({ min: 1, max: 30 }) }), { maxLength: 200 })
  fc.assert(
    fc.property(asks, fc.integer({ min: 1, max: 10 }), (all, rate) => {
      const buckets = new Buckets(rate)
      let now = 0
      let taken = 0
      for (const { afterMs, amount } of all) {
        now += afterMs
        const waitMs = buckets.take('a', amount, now)
        if (waitMs > 0) {
          // What it says is enough.
          now += Math.ceil(waitMs) + 1
          expect(buckets.take('a', amount, now)).toBe(0)
        }
        taken += amount
        expect(taken).toBeLessThanOrEqual(rate * burstSeconds + (now / 1000) * rate + amount)
      }
    }),
  )
})

it('counts each key by itself, and nothing without a limit', () => {
  const buckets = new Buckets(0)
  expect(buckets.take('a', 1, 0)).toBe(Number.POSITIVE_INFINITY)
  const unlimited = new Buckets(Number.POSITIVE_INFINITY)
  expect(unlimited.take('a', 1e9, 0)).toBe(0)
})
