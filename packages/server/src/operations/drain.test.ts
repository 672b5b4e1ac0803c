import { describe, expect, it } from 'vitest'
import { createDrain } from './drain.ts'

/** A transport whose clients disconnect at once. */
function transport(connections: number) {
  return {
    connections,
    drain(count: number) {
      this.connections -= Math.min(count, this.connections)
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
    const transports = [transport(600), transport(400)]
    const counts: number[][] = []
    const clock = fakeClock(() => counts.push(transports.map(({ connections }) => connections)))
    await createDrain({ transports, isShared: true, activeRuns: () => 0, clock }).wait(60_000)
    expect(counts.slice(0, 2)).toEqual([
      [580, 400],
      [560, 400],
    ])
    expect(counts.at(-1)).toEqual([0, 0])
  })

  it('waits for runs and keeps their readers if no other server could take them', async () => {
    const reader = transport(1)
    let activeRuns = 1
    const clock = fakeClock((now) => {
      if (now === 1000) activeRuns = 0
    })
    await createDrain({ transports: [reader], isShared: false, activeRuns: () => activeRuns, clock }).wait(60_000)
    expect([clock.now(), reader.connections]).toEqual([1100, 1])
  })

  it('ends after the grace although a run does not', async () => {
    const clock = fakeClock(() => {})
    await createDrain({ transports: [], isShared: false, activeRuns: () => 1, clock }).wait(1050)
    expect(clock.now()).toBe(1050)
  })
})

it('closeAll closes every connection', () => {
  const transports = [transport(2), transport(0), transport(3)]
  createDrain({ transports, isShared: false, activeRuns: () => 0 }).closeAll()
  expect(transports.map(({ connections }) => connections)).toEqual([0, 0, 0])
})
