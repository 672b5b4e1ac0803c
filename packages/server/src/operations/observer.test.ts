import { expect, test } from 'vitest'
import { memoryEngine } from '../engines/memory/index.ts'
import { AppendStats, observeEngine } from './engine-calls.ts'
import { combineObservers, type Observer } from './observer.ts'

test('several observers are one, which has only the methods that one of them has', () => {
  const calls: string[] = []
  const observer = combineObservers(
    [{ errorSent: (code) => calls.push(`a ${code}`) }, {}, { errorSent: (code) => calls.push(`b ${code}`) }],
    () => {},
  )
  expect(Object.keys(observer)).toEqual(['errorSent'])
  observer.errorSent?.('not_found')
  expect(calls).toEqual(['a not_found', 'b not_found'])
})

test('what an observer throws is reported, and reaches neither the others nor the caller', () => {
  const calls: string[] = []
  const errors: unknown[] = []
  const broken = {
    errorSent() {
      throw new Error('broken')
    },
  }
  combineObservers([broken, { errorSent: (code) => calls.push(code) }], (error) => errors.push(error)).errorSent?.('not_found')
  expect(calls).toEqual(['not_found'])
  expect(errors).toMatchObject([{ message: 'broken' }])
})

test('an engine is timed by operation, with the code of what it rejects', async () => {
  const engine = memoryEngine()
  const calls: unknown[] = []
  const observer: Observer = {
    engineCalled: (operation, ms, count) => calls.push([operation, ms >= 0, count]),
    engineFailed: (operation, code) => calls.push([operation, code]),
  }
  const observed = observeEngine(engine, { observer, appended: new AppendStats() })
  const { position } = await observed.append('log', [{ type: 'a', data: 1 }])
  expect(observed.peek?.('log', { ...position, offset: 0 })?.events).toHaveLength(1)
  await observed.read('log', { epoch: 'another', offset: 0 }).catch(() => {})
  expect(calls).toEqual([
    ['append', true, 1],
    ['read', 'position_foreign'],
    ['read', true, 1],
  ])
})

test('of many appends a few are timed, every event is counted, and every error is reported', async () => {
  let timed = 0
  let failed = 0
  const appended = new AppendStats()
  const observer = {
    engineCalled() {
      timed += 1
    },
    engineFailed() {
      failed += 1
    },
  }
  const observed = observeEngine(memoryEngine(), { observer, appended })
  const event = { type: 'a', data: 1 }
  await Promise.all(Array.from({ length: 500 }, () => observed.append('log', [event, event])))
  await Promise.allSettled(Array.from({ length: 500 }, () => observed.append('log', [event], { expect: 1 })))
  expect({ appended: appended.events, failed }).toEqual({ appended: 1000, failed: 500 })
  expect(timed).toBeLessThan(100)
})
