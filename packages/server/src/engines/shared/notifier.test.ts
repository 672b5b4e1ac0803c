/** The notified head, which bounds what pages from memory report as the log's end. */
import { expect, it, onTestFinished, vi } from 'vitest'
import { createNotifier } from './notifier.ts'

it('knows the head that a log had before the subscription', async () => {
  const { promise: subscription, resolve: subscribe } = Promise.withResolvers<() => void>()
  const notifier = createNotifier({ subscribe: () => subscription, headOf: async () => ({ epoch: 'e', offset: 2 }) })
  const notified = Promise.withResolvers<void>()
  let count = 0
  notifier.watch('log', () => ++count === 2 && notified.resolve(), { epoch: 'e', offset: 0 })
  notifier.notify('log', 1)
  subscribe(() => {})
  await notified.promise
  expect(notifier.notifiedHead('log')).toBe(2)
})

it('notifies when the subscription finds a shorter log of another epoch', async () => {
  const { promise: subscription, resolve: subscribe } = Promise.withResolvers<() => void>()
  const notifier = createNotifier({ subscribe: () => subscription, headOf: async () => ({ epoch: 'f', offset: 2 }) })
  let notified = Promise.withResolvers<void>()
  notifier.watch('log', () => notified.resolve(), { epoch: 'e', offset: 9 })
  subscribe(() => {})
  await notified.promise
  notified = Promise.withResolvers()
  notifier.notify('log', 3)
  await notified.promise
  expect(notifier.notifiedHead('log')).toBe(3)
})

it('asks again, after a pause, for a head that is rejected at once', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  let asked = 0
  const headOf = async () => {
    asked += 1
    throw new Error('damaged')
  }
  const notifier = createNotifier({ subscribe: async () => () => {}, headOf })
  const unwatch = notifier.watch('log', () => {}, undefined)
  await vi.advanceTimersByTimeAsync(1000)
  expect(asked).toBeGreaterThan(1)
  expect(asked).toBeLessThan(10)
  unwatch()
  const before = asked
  await vi.advanceTimersByTimeAsync(1000)
  expect(asked).toBe(before)
})
