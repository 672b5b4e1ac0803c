/** What is rung for is known, so that whoever is told by memory how far a log goes is not told less. */
import { expect, it, onTestFinished, vi } from 'vitest'
import { createBells } from './bells.ts'

it('knows how far a log had come before it could be heard', async () => {
  const { promise: listening, resolve: listen } = Promise.withResolvers<() => void>()
  const bells = createBells({ listen: () => listening, headOf: async () => ({ epoch: 'e', offset: 2 }) })
  const rung = Promise.withResolvers<void>()
  let count = 0
  bells.watch('log', () => ++count === 2 && rung.resolve(), { epoch: 'e', offset: 0 })
  bells.ring('log', 1)
  listen(() => {})
  await rung.promise
  expect(bells.rungFor('log')).toBe(2)
})

it('rings for a log that is another one, and shorter, when it can be heard', async () => {
  const { promise: listening, resolve: listen } = Promise.withResolvers<() => void>()
  const bells = createBells({ listen: () => listening, headOf: async () => ({ epoch: 'f', offset: 2 }) })
  let rung = Promise.withResolvers<void>()
  bells.watch('log', () => rung.resolve(), { epoch: 'e', offset: 9 })
  listen(() => {})
  await rung.promise
  rung = Promise.withResolvers()
  bells.ring('log', 3)
  await rung.promise
  expect(bells.rungFor('log')).toBe(3)
})

it('asks again for the head of a log that is refused at once, and not as fast as it can', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  let asked = 0
  const headOf = async () => {
    asked += 1
    throw new Error('damaged')
  }
  const bells = createBells({ listen: async () => () => {}, headOf })
  const unwatch = bells.watch('log', () => {}, undefined)
  await vi.advanceTimersByTimeAsync(1000)
  expect(asked).toBeGreaterThan(1)
  expect(asked).toBeLessThan(10)
  unwatch()
  const before = asked
  await vi.advanceTimersByTimeAsync(1000)
  expect(asked).toBe(before)
})
