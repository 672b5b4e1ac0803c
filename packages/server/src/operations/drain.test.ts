import { describe, expect, it } from 'vitest'
import { createDrain } from './drain.ts'

/** Readers that disconnect at once. */
function createReaders(drainable: number) {
  return {
    drainable,
    drain(count: number) {
      this.drainable -= Math.min(count, this.drainable)
    },
  }
}

/** A clock that advances with each sleep; `onSleep` gets the time before it. */
function fakeClock(onSleep: (now: number) => void) {
  let now = 0
  return {
    now: () => now,
    async sleep(milliseconds: number) {
      onSleep(now)
      now += milliseconds
    },
  }
}

describe('wait', () => {
  it('disconnects a fiftieth of the readers every 100 ms if servers share the engine', async () => {
    const readers = createReaders(1000)
    const counts: number[] = []
    const clock = fakeClock(() => counts.push(readers.drainable))
    await createDrain({ readers, isShared: true, activeRuns: () => 0, clock }).wait(60_000)
    expect(counts.slice(0, 2)).toEqual([980, 960])
    expect(counts.at(-1)).toBe(0)
  })

  it('waits for runs and keeps their readers if no other server could take them', async () => {
    const readers = createReaders(1)
    let activeRuns = 1
    const clock = fakeClock((now) => {
      if (now === 1000) activeRuns = 0
    })
    await createDrain({ readers, isShared: false, activeRuns: () => activeRuns, clock }).wait(60_000)
    expect([clock.now(), readers.drainable]).toEqual([1100, 1])
  })

  it('ends after the grace although a run does not', async () => {
    const clock = fakeClock(() => {})
    await createDrain({ readers: createReaders(0), isShared: false, activeRuns: () => 1, clock }).wait(1050)
    expect(clock.now()).toBe(1050)
  })
})

it('closeAll closes every connection', () => {
  const readers = createReaders(5)
  createDrain({ readers, isShared: false, activeRuns: () => 0 }).closeAll()
  expect(readers.drainable).toBe(0)
})
