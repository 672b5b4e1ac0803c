import { expect, test } from 'vitest'
import { dayOf } from './day.ts'

const at = (day: number, hour = 12) => new Date(2026, 2, day, hour).getTime()

test.each([
  [at(30, 0), 'today'],
  [at(29, 23), 'yesterday'],
  [at(29, 0), 'yesterday'],
  [at(28, 23), 'week'],
  [at(23), 'week'],
  [at(22), 'month'],
  [at(0), 'month'],
  [at(-1), 'older'],
  [at(31), 'today'],
])('%i is of the days called %s, also over a change of the clocks', (time, day) => {
  expect(dayOf(time, at(30, 0))).toBe(day)
  expect(dayOf(time, at(30, 23))).toBe(day)
})
