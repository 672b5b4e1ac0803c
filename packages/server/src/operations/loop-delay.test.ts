import { expect, test } from 'vitest'
import { createLoopDelay } from './loop-delay.ts'

function world() {
  let now = 0
  let call = () => {}
  const delay = createLoopDelay({
    now: () => now,
    every: (given) => {
      call = given
      return () => {}
    },
  })
  return {
    delay,
    pass(ms: number) {
      now += ms
    },
    tick(late: number) {
      now += 500 + late
      call()
    },
  }
}

test('one long task is no overload, and several are', () => {
  const { delay, tick } = world()
  tick(2000)
  expect(delay.ms).toBe(500)
  for (let n = 0; n < 8; n++) tick(2000)
  expect(delay.ms).toBeGreaterThan(1500)
  for (let n = 0; n < 8; n++) tick(0)
  expect(delay.ms).toBeLessThan(200)
})

test('a timer that is overdue counts before it runs', () => {
  const { delay, pass } = world()
  pass(8500)
  expect(delay.ms).toBe(2000)
})
