import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createSubscription, dueAt, isHeld, type SubscriptionConfig, withFailure, withWake } from './subscription.ts'

const config = { streams: [], leaseMs: 30_000 }
const webhook: SubscriptionConfig = { ...config, type: 'webhook', webhook: { url: 'https://example.com' } }
const pull: SubscriptionConfig = { ...config, type: 'pull-wake', wakeStream: 'wakes' }

it.each([webhook, pull])('is tried again after 1, 2, 4 … 60 seconds, a fifth more or less: $type', (config) => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random) => {
      let subscription = withWake(createSubscription('a', config, '', 0), 0)
      for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
        subscription = withFailure(subscription, 0, random)
        expect(dueAt(subscription)).toBeGreaterThanOrEqual(seconds * 800)
        expect(dueAt(subscription)).toBeLessThanOrEqual(seconds * 1200)
      }
    }),
  )
})

it('keeps the wake of a webhook until its lease after the next attempt', () => {
  const failed = withFailure(withWake(createSubscription('a', webhook, '', 0), 0), 0, 0.5)
  expect(isHeld(failed, 30_999)).toBe(true)
  expect(isHeld(failed, 31_000)).toBe(false)
})
