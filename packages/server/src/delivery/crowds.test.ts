/** How many writes a log with many readers costs, by a controlled clock. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { offsets, setup, testSink, testWire, words } from '../../test/support/log-readers.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

async function open(readers: number) {
  const { engine, fanOut, at } = await setup()
  const wire = testWire()
  const sinks = Array.from({ length: readers }, () => testSink())
  const cursors = sinks.map((sink) => fanOut.attach({ log: 'a', after: at(0), wire, sink }))
  await vi.advanceTimersByTimeAsync(100)
  /** Appends, so many milliseconds apart; returns the number of writes to each reader. */
  const publish = async (count: number, everyMs: number, events = 1) => {
    const before = sinks.map(({ writes }) => writes)
    for (let n = 0; n < count; n++) {
      await engine.append('a', words(events))
      await vi.advanceTimersByTimeAsync(everyMs)
    }
    await vi.advanceTimersByTimeAsync(100)
    return sinks.map(({ writes }, index) => writes - (before[index] as number))
  }
  return { engine, sinks, cursors, publish }
}

describe('a log with many readers', () => {
  it.each([
    ['1,000 events a second', 1],
    ['2,000 events a second', 2],
  ])('is written to with at most a write in 10 ms for each: %s', async (_, each) => {
    const { sinks, publish } = await open(100)
    const writes = await publish(1000, 1, each)
    expect(Math.max(...writes)).toBeLessThanOrEqual(101)
    for (const sink of sinks) expect(sink.text()).toBe(offsets(1, 1000 * each))
  })

  it('gets each event at once where they are further apart', async () => {
    const { engine, sinks, publish } = await open(100)
    expect(new Set(await publish(50, 20))).toEqual(new Set([50]))
    await engine.append('a', words(1))
    await vi.advanceTimersByTimeAsync(1)
    for (const sink of sinks) expect(sink.text()).toBe(offsets(1, 51))
  })

  it('gets a long batch without waiting between its parts', async () => {
    const { engine, sinks } = await open(100)
    // 20 pages; a tick takes a millisecond of the fake clock.
    await engine.append('a', words(5000))
    await vi.advanceTimersByTimeAsync(35)
    for (const sink of sinks) expect(sink.text()).toBe(offsets(1, 5000))
  })

  it('keeps no timer when its readers leave during the wait', async () => {
    const { engine, cursors } = await open(100)
    const timers = vi.getTimerCount()
    for (let n = 0; n < 2; n++) {
      await engine.append('a', words(1))
      await vi.advanceTimersByTimeAsync(1)
    }
    // The wait, and the release of the tail's memory.
    expect(vi.getTimerCount()).toBe(timers + 2)
    for (const cursor of cursors) cursor.close()
    expect(vi.getTimerCount()).toBe(timers)
  })
})

it('writes each event at once to a few readers', async () => {
  const { publish } = await open(64)
  expect(new Set(await publish(100, 1))).toEqual(new Set([100]))
})
