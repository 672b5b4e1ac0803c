import { MillraceError } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { createQueues } from './queues.ts'

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error) => (error instanceof MillraceError ? error.code : 'failed'),
  )

it('runs the calls of a log one after another, also after one that fails, and other logs in parallel', async () => {
  const inTurn = createQueues()
  const order: string[] = []
  const gate = Promise.withResolvers<void>()
  const act = (name: string, wait?: Promise<void>) => async () => {
    order.push(`${name} begins`)
    await wait
    order.push(`${name} ends`)
    if (name === 'first') throw new Error('failed')
  }
  const first = codeOf(inTurn('a', 0, act('first', gate.promise)))
  const second = codeOf(inTurn('a', 0, act('second')))
  expect(await codeOf(inTurn('b', 0, act('other')))).toBe('done')
  gate.resolve()
  expect(await Promise.all([first, second])).toEqual(['failed', 'done'])
  expect(order).toEqual(['first begins', 'other begins', 'other ends', 'first ends', 'second begins', 'second ends'])
})

it.each([
  ['calls', 0, 10_000],
  ['bytes', 1024 * 1024, 16],
])('rejects calls beyond the bound in %s, and accepts more when there is room', async (_what, bytes, count) => {
  const inTurn = createQueues()
  const gate = Promise.withResolvers<void>()
  const calls = Array.from({ length: count }, () => codeOf(inTurn('a', bytes, () => gate.promise)))
  expect(await codeOf(inTurn('a', bytes, () => gate.promise))).toBe('engine_busy')
  gate.resolve()
  expect(new Set(await Promise.all(calls))).toEqual(new Set(['done']))
  expect(await codeOf(inTurn('a', 100 * 1024 * 1024, () => gate.promise))).toBe('done')
})
