import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Sampler } from './sampler.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('few measurements are all made, and of many each that is made counts for those that were not', () => {
  const sampler = new Sampler()
  const first = Array.from({ length: 250 }, () => sampler.take())
  expect(first.filter((weight) => weight === 1)).toHaveLength(10)
  expect(first.slice(10)).toEqual(Array.from({ length: 240 }, () => 0))
  vi.advanceTimersByTime(100)
  expect(sampler.take(3)).toBe(243)
  expect(sampler.take()).toBe(1)
})
