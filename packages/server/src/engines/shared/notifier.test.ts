/** What is rung for is known, so that whoever is told by memory how far a log goes is not told less. */
import { expect, it, onTestFinished, vi } from 'vitest'
import { createNotifier } from './notifier.ts'

it('knows how far a log had come before it could be heard', async () => {
  const { promise: listening, resolve: subscribe } = Promise.withResolvers<() => void>()
  const notifier = createNotifier({ subscribe: () => listening, headOf: async () => ({ epoch: 'e', offset: 2 }) })
  const rung = Promise.withResolvers<void>()
  let count = 0
  notifier.watch('log', () => ++count === 2 && rung.resolve(), { epoch: 'e', offset: 0 })
  notifier.notify('log', 1)
  subscribe(() => {})
  await rung.promise
  expect(notifier.notifiedHead('log')).toBe(2)
})

it('rings for a log that is another one, and shorter, when it can be heard', async () => {
  const { promise: listening, resolve: subscribe } = Promise.withResolvers<() => void>()
  const notifier = createNotifier({ subscribe: () => listening, headOf: async () => ({ epoch: 'f', offset: 2 }) })
  let rung = Promise.withResolvers<void>()
  notifier.watch('log', () => rung.resolve(), { epoch: 'e', offset: 9 })
  subscribe(() => {})
  await rung.promise
  rung = Promise.withResolvers()
  notifier.notify('log', 3)
  await rung.promise
  expect(notifier.notifiedHead('log')).toBe(3)
})

it('asks again for the head of a log that is refused at once, and not as fast as it can', async () => {
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
