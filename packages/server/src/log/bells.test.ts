/** What is rung for is known, so that whoever is told by memory how far a log goes is not told less. */
import { expect, it } from 'vitest'
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
