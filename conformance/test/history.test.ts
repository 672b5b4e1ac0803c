import { expect, it } from 'vitest'
import { type Attempt, checkHistory, type Given, type History, nothingFound } from '../src/history.ts'

const attempts: Attempt[] = [1, 2, 3, 4, 5].map((value) => ({ value, outcome: 'acknowledged' }))
const given = (...values: number[]): Given[] => values.map((value, index) => ({ epoch: 'e', offset: index + 1, value }))
const whole: History = { attempts, readers: [given(1, 2, 3, 4, 5), given(1, 2, 3)], final: given(1, 2, 3, 4, 5) }
const with3 = (change: Partial<Given>): Given[] =>
  given(1, 2, 3, 4, 5).map((each) => (each.value === 3 ? { ...each, ...change } : each))

it('finds nothing in a complete history', () => {
  expect(checkHistory(whole)).toEqual(nothingFound)
})

it('accepts both outcomes of an append whose outcome is unknown', () => {
  const unknown: Attempt[] = [...attempts, { value: 6, outcome: 'unknown' }]
  expect(checkHistory({ ...whole, attempts: unknown })).toEqual(nothingFound)
  expect(checkHistory({ ...whole, attempts: unknown, final: given(1, 2, 3, 4, 5, 6) })).toEqual(nothingFound)
})

it('accepts a reported gap and a reset', () => {
  const received: Given[] = [...given(1, 2), { epoch: 'e', offset: 4 }, { epoch: 'e', offset: 5, value: 5 }]
  expect(checkHistory({ ...whole, readers: [received] })).toEqual(nothingFound)
  const afterReset: Given[] = [...given(1, 2), { epoch: 'f', offset: 0 }, { epoch: 'f', offset: 1, value: 1 }]
  expect(checkHistory({ ...whole, readers: [afterReset] })).toMatchObject({ gapped: 0, reordered: 0, diverging: 0 })
})

it.each<[keyof typeof nothingFound, Partial<History>]>([
  ['lost', { final: given(1, 2, 3, 4), readers: [] }],
  ['repeated', { readers: [[...given(1, 2, 3), { epoch: 'e', offset: 4, value: 3 }]] }],
  ['reordered', { readers: [[...given(1, 2, 3), { epoch: 'e', offset: 2, value: 2 }]] }],
  ['phantom', { final: given(1, 2, 3, 4, 5, 9) }],
  ['phantom', { attempts: [...attempts, { value: 6, outcome: 'rejected' }], final: given(1, 2, 3, 4, 5, 6) }],
  ['diverging', { readers: [with3({ value: 4 })] }],
  ['gapped', { readers: [given(1, 2, 3, 4, 5).filter(({ value }) => value !== 3)] }],
])('finds what is %s', (kind, change) => {
  expect(checkHistory({ ...whole, ...change })[kind]).toBeGreaterThan(0)
})
