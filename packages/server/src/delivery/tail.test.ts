/** What a tail reads, and when; what it keeps; and what its readers get when something fails. */
import { MillraceError } from '@millrace/protocol'
import { describe, expect, it, vi } from 'vitest'
import { offsets, setup, testSink, testWire, words } from '../../test/support/log-readers.ts'
import { memoryEngine } from '../engines/memory/index.ts'
import { decorate } from '../log/decorate.ts'
import type { Engine } from '../log/log.ts'
import { createFanOut } from './fan-out.ts'
import { createScheduler } from './scheduler.ts'
import { Tail } from './tail.ts'
import type { SlowPolicy } from './wire.ts'

const away = () => new MillraceError('engine_failed')
/** More than one page: 256 events, 64 KiB. */
const pages = 5

/** Keeps slices without copying, so that many sinks are cheap; done when one is ended or disconnected. */
function sliceSink(last: string) {
  const slices: Buffer[] = []
  const begun = Promise.withResolvers<void>()
  const done = Promise.withResolvers<void>()
  return {
    write(bytes: Uint8Array) {
      const slice = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
      slices.push(slice)
      begun.resolve()
      if (slice.subarray(-last.length).toString() === last) done.resolve()
      return true
    },
    end: done.resolve,
    begun: begun.promise,
    done: done.promise,
    text: () => Buffer.concat(slices).toString(),
  }
}

describe('an interval', () => {
  // It read a page per interval, so that a reader of 1,000 events a second fell further behind.
  it.each([
    ['many events', 256, 1],
    ['large events', 20, 5000],
  ])('delivers everything since the last one, however much it is: %s', async (_, count, size) => {
    const { engine, fanOut, at } = await setup()
    const timers = vi.spyOn(globalThis, 'setTimeout')
    const [first, second] = [testSink(), testSink()]
    const wire = testWire({ intervalMs: 40 })
    for (const sink of [first, second]) fanOut.attach({ log: 'a', after: at(0), wire, sink })
    await engine.append('a', words(1))
    await Promise.all([first.until('1;'), second.until('1;')])
    await engine.append('a', words(1))
    await Promise.all([first.until('2;'), second.until('2;')])
    timers.mockClear()
    for (let n = 0; n < pages; n++) await engine.append('a', words(count, size))
    const last = 2 + pages * count
    await Promise.all([first.until(`;${last};`), second.until(`;${last};`)])
    expect([first.text(), second.text()]).toEqual([offsets(1, last), offsets(1, last)])
    expect(timers.mock.calls.filter(([, ms]) => (ms ?? 0) > 1)).toHaveLength(1)
    timers.mockRestore()
  })
})

describe('what this process has just appended', () => {
  it('is encoded without a call of read, within the append', async () => {
    const inner = memoryEngine()
    let reads = 0
    const engine = decorate(inner, {
      peek: (...request) => inner.peek?.(...request),
      read(...request) {
        reads += 1
        return inner.read(...request)
      },
    })
    const { fanOut, at } = await setup(engine)
    const [sink, wire] = [testSink(), testWire()]
    fanOut.attach({ log: 'a', after: at(0), wire, sink })
    await engine.append('a', words(1))
    await sink.until('1;')
    reads = 0
    wire.encoded.length = 0
    for (let n = 0; n < 10; n++) {
      const appended = engine.append('a', words(1))
      expect(wire.encoded.at(-1)).toBe(n + 2)
      await appended
    }
    await sink.until('11;')
    expect([sink.text(), reads]).toEqual([offsets(1, 11), 0])
  })
})

describe('readers that are not slow', () => {
  it.each<SlowPolicy>(['wait', 'latest', 'close'])(
    'stay live however far a log is ahead of what is read of it: %s',
    async (slow) => {
      const inner = memoryEngine()
      let gate: PromiseWithResolvers<void> | undefined
      let onRead = () => {}
      let readsAlone = 0
      const engine: Engine = decorate(inner, {
        async read(log, after, options) {
          if (options?.eventsMax === 2048) readsAlone += 1
          else {
            onRead()
            await gate?.promise
          }
          return inner.read(log, after, options)
        },
      })
      const { fanOut, at } = await setup(engine)
      const sinks = Array.from({ length: 200 }, () => sliceSink('x5004;'))
      const wire = testWire({ encode: ({ offset, data }) => `${data as string}${offset};` })
      await engine.append('a', words(1))
      gate = Promise.withResolvers()
      for (const sink of sinks) fanOut.attach({ log: 'a', after: at(0), wire, sink, slow })
      await Promise.all(sinks.map((sink) => sink.begun))
      // The first read of the tail, and at once the next one, which finds much more.
      await engine.append('a', words(1))
      const isReadAgain = new Promise<void>((resolve) => {
        onRead = resolve
      })
      const first = gate
      gate = Promise.withResolvers()
      readsAlone = 0
      await engine.append('a', words(1))
      first.resolve()
      await engine.append('a', words(1))
      await isReadAgain
      await engine.append('a', words(5000, 300))
      gate.resolve()
      await Promise.all(sinks.map((sink) => sink.done))
      expect(readsAlone).toBe(0)
      for (const sink of sinks) expect(sink.text().replaceAll(/x+/g, '')).toBe(offsets(1, 5004))
    },
  )

  it('are not taken for slow by a tail that has just started', async () => {
    const inner = memoryEngine()
    let fill = async () => {}
    const engine: Engine = decorate(inner, {
      async read(log, after, options) {
        const page = await inner.read(log, after, options)
        // As other writers do, between the page of a reader and the first one of its tail.
        if (options?.eventsMax === 2048) await fill()
        return page
      },
    })
    const { fanOut, at } = await setup(engine)
    await engine.append('a', words(1))
    fill = async () => {
      fill = async () => {}
      await inner.append('a', words(1000))
    }
    let isSlow = false
    const sink = testSink()
    const onSlow = () => {
      isSlow = true
    }
    fanOut.attach({ log: 'a', after: at(0), wire: testWire(), sink: { ...sink, onSlow }, slow: 'close' })
    await Promise.race([sink.until(';1001;'), vi.waitUntil(() => isSlow, 10_000)])
    expect([isSlow, sink.text()]).toEqual([false, offsets(1, 1001)])
  })
})

describe('memory', () => {
  const wire = testWire({ encode: ({ offset, data }) => `${data as string}${offset};` })

  it('is released once all readers have it, except what the next reader needs to join', async () => {
    const { engine, fanOut, at } = await setup()
    const sink = testSink()
    fanOut.attach({ log: 'a', after: at(0), wire, sink })
    for (let n = 1; n <= 400; n++) {
      await engine.append('a', words(1, 1000))
      if (n % 50 === 0) await sink.until(`x${n};`)
    }
    await new Promise(setImmediate)
    expect(fanOut.tailBytes).toBeLessThan(2 * 64 * 1024 + 64 * 1024)
    const encode = vi.spyOn(wire, 'encode')
    const next = testSink()
    fanOut.attach({ log: 'a', after: at(400 - 64), wire, sink: next })
    await next.until('x400;')
    expect(encode).not.toHaveBeenCalled()
    encode.mockRestore()
  })

  it('is taken with the first event, and released when there are no more', async () => {
    const { engine, fanOut, at } = await setup(memoryEngine(), { tailUnusedMs: 20 })
    const sink = testSink()
    fanOut.attach({ log: 'a', after: at(0), wire, sink })
    await new Promise(setImmediate)
    expect(fanOut.tailBytes).toBe(0)
    const read = vi.spyOn(engine, 'read')
    for (const round of [1, 2, 3]) {
      await engine.append('a', words(40, 1000))
      await sink.until(`x${40 * round};`)
      expect(fanOut.tailBytes).toBeGreaterThan(40_000)
      await vi.waitFor(() => expect(fanOut.tailBytes).toBe(0), 10_000)
    }
    expect(sink.text().replaceAll('x', '')).toBe(offsets(1, 120))
    // The reader has stayed live.
    expect(read.mock.calls.filter(([, , options]) => options?.eventsMax === 2048)).toEqual([])
  })

  it('is kept for a reader that waits for its sink', async () => {
    const { engine, fanOut, at } = await setup(memoryEngine(), { tailUnusedMs: 5 })
    let isReading = true
    const [stopped, other] = [testSink(() => isReading), testSink()]
    const cursor = fanOut.attach({ log: 'a', after: at(0), wire, sink: stopped, slow: 'close' })
    fanOut.attach({ log: 'a', after: at(0), wire, sink: other })
    await engine.append('a', words(1))
    await stopped.until('x1;')
    isReading = false
    await engine.append('a', words(1))
    await stopped.until('x2;')
    await engine.append('a', words(1))
    await other.until('x3;')
    const asked = vi.spyOn(Tail.prototype, 'shrinkIfUnused')
    await vi.waitFor(() => expect(asked.mock.calls.length).toBeGreaterThan(2), 10_000)
    asked.mockRestore()
    expect(fanOut.tailBytes).toBeGreaterThan(0)
    isReading = true
    cursor.drained()
    await stopped.until('x3;')
    expect(stopped.text().replaceAll('x', '')).toBe('1;2;3;')
  })

  it('of all tails together is bounded, and a reader that is up to date stays live', async () => {
    const tailBytesMax = 512 * 1024
    const { engine, fanOut } = await setup(memoryEngine(), { tailBytesMax })
    const readers = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const log = `log ${index}`
        const { position } = await engine.append(log, [])
        const sink = testSink()
        const cursor = fanOut.attach({ log, after: position, wire, sink })
        return { log, sink, cursor }
      }),
    )
    for (let round = 1; round <= 3; round++) {
      for (const { log, sink } of readers) {
        await engine.append(log, words(40, 1000))
        await sink.until(`x${40 * round};`)
        await new Promise(setImmediate)
        expect(fanOut.tailBytes).toBeLessThanOrEqual(tailBytesMax + 256 * 1024)
      }
    }
    const read = vi.spyOn(engine, 'read')
    for (const { log, sink } of readers) {
      await engine.append(log, words(1))
      await sink.until('x121;')
      expect(sink.text().replaceAll('x', '')).toBe(offsets(1, 121))
    }
    expect(read.mock.calls.filter(([, , options]) => options?.eventsMax === 2048)).toEqual([])
    for (const { cursor } of readers) cursor.close()
    expect(fanOut.tailBytes).toBe(0)
  })
})

describe('on a failure', () => {
  it.each<SlowPolicy>(['wait', 'latest', 'close'])(
    'an engine that is unavailable is waited for, by readers that catch up and by those that are live: %s',
    async (slow) => {
      const inner = memoryEngine()
      let isAway = false
      let errors = 0
      const refused = Promise.withResolvers<void>()
      const guard = <T extends unknown[], R>(act: (...args: T) => Promise<R>) => {
        return async (...args: T): Promise<R> => {
          if (!isAway) return act(...args)
          if (++errors === 4) refused.resolve()
          throw away()
        }
      }
      const engine: Engine = decorate(inner, { read: guard(inner.read), inspect: guard(inner.inspect) })
      const reported: unknown[] = []
      const { fanOut, at } = await setup(engine, { onReadError: (error) => reported.push(error) })
      const [live, late] = [testSink(), testSink()]
      fanOut.attach({ log: 'a', after: at(0), wire: testWire(), sink: live, slow })
      await engine.append('a', words(1))
      await live.until('1;')
      isAway = true
      await engine.append('a', words(1))
      fanOut.attach({ log: 'a', after: at(0), wire: testWire({ key: 'other' }), sink: late, slow: 'wait' })
      await refused.promise
      expect(live.text()).toBe('1;')
      isAway = false
      await Promise.all([live.until('2;'), late.until('2;')])
      expect([live.text(), late.text()]).toEqual(['1;2;', '1;2;'])
      // Once for each reader that waits, and not for each attempt.
      expect(reported).toEqual([away(), away()])
    },
  )

  it('the engine is not read for a reader that has disconnected', async () => {
    const inner = memoryEngine()
    let reads = 0
    let asked = () => {}
    const engine: Engine = decorate(inner, {
      async read() {
        reads += 1
        asked()
        throw away()
      },
    })
    const { fanOut, at } = await setup(engine)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const first = new Promise<void>((resolve) => {
      asked = resolve
    })
    const cursor = fanOut.attach({ log: 'a', after: at(0), wire: testWire(), sink: testSink() })
    await first
    cursor.close()
    await vi.advanceTimersByTimeAsync(60_000)
    vi.useRealTimers()
    expect(reads).toBe(1)
  })

  it('a sink that throws ends its own reader only, and the error is reported', async () => {
    const { engine, at } = await setup()
    const broken = new Error('broken')
    const errors: unknown[] = []
    const scheduler = createScheduler({ onError: (error) => errors.push(error) })
    const fanOut = createFanOut({ engine, scheduler, onReadError: (error) => errors.push(error) })
    const sinks = [testSink(), testSink(), testSink()] as const
    let isBroken = false
    const thrower = {
      write(bytes: Uint8Array) {
        if (isBroken) throw broken
        return sinks[1].write(bytes)
      },
      end() {
        throw broken
      },
    }
    const cursors = [sinks[0], thrower, sinks[2]].map((sink) => fanOut.attach({ log: 'a', after: at(0), wire: testWire(), sink }))
    await engine.append('a', words(1))
    await Promise.all(sinks.map((sink) => sink.until('1;')))
    isBroken = true
    await engine.append('a', words(1))
    await Promise.all([sinks[0].until('2;'), sinks[2].until('2;')])
    await engine.append('a', words(1))
    await Promise.all([sinks[0].until('3;'), sinks[2].until('3;')])
    expect(cursors.map(({ closed }) => closed)).toEqual([false, true, false])
    expect(errors).toEqual([broken, broken])
  })
})
