import { expect, test } from 'vitest'
import { createFrameScheduler } from './frame.ts'

function schedule() {
  let isHidden = false
  let paint = () => {}
  let flushes = 0
  const frames = createFrameScheduler(() => flushes++, {
    isHidden: () => isHidden,
    requestFrame(run) {
      paint = run
      return 1
    },
    cancelFrame() {
      paint = () => {}
    },
  })
  return { frames, paint: () => paint(), hide: () => (isHidden = true), flushes: () => flushes }
}

test('any number of changes is one flush per frame', () => {
  const { frames, paint, flushes } = schedule()
  for (let change = 0; change < 100; change++) frames.mark()
  expect(flushes()).toBe(0)
  paint()
  expect(flushes()).toBe(1)
  frames.mark()
  paint()
  expect(flushes()).toBe(2)
})

test('a hidden page, which paints no frames, is flushed at once', () => {
  const { frames, hide, flushes } = schedule()
  hide()
  frames.mark()
  frames.mark()
  expect(flushes()).toBe(2)
})

test('a flush by hand takes the waiting frame with it', () => {
  const { frames, paint, flushes } = schedule()
  frames.mark()
  frames.flushNow()
  paint()
  expect(flushes()).toBe(1)
})
