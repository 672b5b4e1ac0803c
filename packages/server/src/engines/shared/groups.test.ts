import { MillraceError } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { createGroups, groupMax } from './groups.ts'

const outcomeOf = (call: Promise<unknown>) => call.catch((error: Error) => (error instanceof MillraceError ? error.code : error))

/** Calls that end when `next` is called for them, in their order. */
function openGate() {
  const calls: [log: string, items: readonly number[]][] = []
  const ends: PromiseWithResolvers<void>[] = []
  const inGroups = createGroups<number, number>(async (log, items) => {
    calls.push([log, items])
    const end = Promise.withResolvers<void>()
    ends.push(end)
    await end.promise
    return items.map((item) => (item < 0 ? new MillraceError('fenced') : item * 10))
  })
  const next = async (error?: Error) => {
    const end = ends.shift()
    if (error === undefined) end?.resolve()
    else end?.reject(error)
    await new Promise(setImmediate)
  }
  return { calls, inGroups, next }
}

it('sends at once to an idle log, and together what waits behind a call, each with its own outcome', async () => {
  const { calls, inGroups, next } = openGate()
  const outcomes = [1, 2, -3, 4].map((item) => outcomeOf(inGroups('a', 0, item)))
  outcomes.push(outcomeOf(inGroups('b', 0, 5)))
  expect(calls).toEqual([
    ['a', [1]],
    ['b', [5]],
  ])
  await next()
  expect(calls.slice(2)).toEqual([['a', [2, -3, 4]]])
  await next()
  await next()
  expect(await Promise.all(outcomes)).toEqual([10, 20, 'fenced', 40, 50])
})

it('sends what waits behind a call that fails', async () => {
  const { calls, inGroups, next } = openGate()
  const outcomes = [1, 2, 3].map((item) => outcomeOf(inGroups('a', 0, item)))
  await next(new MillraceError('engine_failed'))
  await next(new MillraceError('log_full'))
  expect(await Promise.all(outcomes)).toEqual(['engine_failed', 'log_full', 'log_full'])
  const again = inGroups('a', 0, 4)
  await next()
  expect(await again).toBe(40)
  expect(calls).toHaveLength(3)
})

it('bounds a call in count and bytes', async () => {
  const { calls, inGroups, next } = openGate()
  const sizes = [0, ...Array<number>(groupMax.count + 1).fill(0), groupMax.bytes, 1, 2 * groupMax.bytes, 1]
  const all = Promise.all(sizes.map((bytes, item) => inGroups('a', bytes, item)))
  for (let count = 0; count < calls.length; count++) await next()
  await all
  expect(calls.map(([, items]) => items.length)).toEqual([1, groupMax.count, 2, 1, 1, 1])
})

it.each([
  ['items', 0, 10_000],
  ['bytes', 1024 * 1024, 16],
])('rejects items beyond the bound in %s, and accepts more when there is room', async (_what, bytes, count) => {
  const { calls, inGroups, next } = openGate()
  const waiting = Array.from({ length: count }, (_, item) => outcomeOf(inGroups('a', bytes, item)))
  expect(await outcomeOf(inGroups('a', bytes, 0))).toBe('engine_busy')
  for (let done = 0; done < calls.length; done++) await next()
  expect(await Promise.all(waiting)).toEqual(Array.from({ length: count }, (_, item) => item * 10))
  const large = inGroups('a', 100 * 1024 * 1024, 1)
  await next()
  expect(await large).toBe(10)
})
