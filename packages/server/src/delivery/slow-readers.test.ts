import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { offsets, setup, testSink, testWire, words } from '../../test/support/log-readers.ts'
import { memoryEngine } from '../engines/memory/index.ts'
import { decorate } from '../log/decorate.ts'
import type { Engine } from '../log/log.ts'

describe('a reader with delivery options, or one that is slow', () => {
  it('merges events within an interval, for all readers that ask for it, wherever they join', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ batch: fc.integer({ min: 1, max: 5 }), join: fc.option(fc.nat(100)), waits: fc.boolean() }), {
          minLength: 1,
          maxLength: 40,
        }),
        async (steps) => {
          const { engine, fanOut, at } = await setup()
          const wire = testWire({
            intervalMs: 2,
            // Every third event belongs to another lane.
            merge(events) {
              const ours = events.filter(({ offset }) => offset % 3 !== 0)
              const last = ours.at(-1)
              return last ? [{ ...last, data: ours.map(({ offset }) => `${offset};`).join('') }] : []
            },
            encode: ({ data, offset }) => {
              if (data === 'x') return offset % 3 === 0 ? '' : `${offset};`
              return data as string
            },
          })
          const readers: { sink: ReturnType<typeof testSink>; from: number }[] = []
          let total = 0
          for (const { batch, join, waits } of steps) {
            if (join !== null) {
              const [sink, from] = [testSink(), Math.min(join, total)]
              fanOut.attach({ log: 'a', after: at(from), wire, sink })
              readers.push({ sink, from })
            }
            await engine.append('a', words(batch))
            total += batch
            if (waits) await new Promise(setImmediate)
          }
          // The last one belongs to this lane.
          const last = total + 1 + Number((total + 1) % 3 === 0)
          await engine.append('a', words(last - total))
          const said = (from: number) =>
            offsets(from + 1, last).replaceAll(/\d+;/g, (one) => (Number.parseInt(one, 10) % 3 ? one : ''))
          await Promise.all(readers.map(({ sink }) => sink.until(`${last};`)))
          for (const { sink, from } of readers) expect(sink.text()).toBe(said(from))
          await engine.close()
        },
      ),
      { numRuns: 60 },
    )
  }, 60_000)

  it('does not merge across a place where a reader waits to join, which would then have to read alone for ever', async () => {
    const inner = memoryEngine()
    let gate: Promise<void> | undefined
    let readsAlone = 0
    const engine: Engine = decorate(inner, {
      async read(log, after, options) {
        if (options?.eventsMax === 2048) readsAlone += 1
        else await gate
        return inner.read(log, after, options)
      },
    })
    const { fanOut, at } = await setup(engine)
    const wire = testWire({ intervalMs: 1, merge: (events) => events.slice(-1) })
    const [first, second] = [testSink(), testSink()]
    await engine.append('a', words(1))
    fanOut.attach({ log: 'a', after: at(0), wire, sink: first })
    await engine.append('a', words(1))
    await first.until('2;')
    const { promise, resolve } = Promise.withResolvers<void>()
    gate = promise
    await engine.append('a', words(2))
    readsAlone = 0
    fanOut.attach({ log: 'a', after: at(0), wire, sink: second })
    await second.until('4;')
    await engine.append('a', words(2))
    resolve()
    await Promise.all([first.until('6;'), second.until('6;')])
    expect([first.text(), second.text(), readsAlone]).toEqual(['1;2;4;6;', '4;6;', 1])
  })

  it('writes at most once in an interval', async () => {
    const { engine, fanOut, at } = await setup()
    const sink = testSink()
    const wire = testWire({ intervalMs: 20, merge: (events) => events.slice(-1) })
    fanOut.attach({ log: 'a', after: at(0), wire, sink })
    const startedAt = performance.now()
    for (let n = 1; n <= 200; n++) {
      await engine.append('a', words(1))
      await new Promise(setImmediate)
    }
    await sink.until('200;')
    expect(sink.writes).toBeLessThanOrEqual(2 + (performance.now() - startedAt) / 20)
  })

  it('gives a reader that stopped only the newest event, and a gap, with the policy `latest`', async () => {
    const { engine, fanOut, at } = await setup()
    let accept = true
    const sink = testSink(() => accept)
    const cursor = fanOut.attach({ log: 'a', after: at(0), wire: testWire(), sink, slow: 'latest' })
    await engine.append('a', words(1))
    await sink.until('1;')
    accept = false
    await engine.append('a', words(1))
    await sink.until('2;')
    for (let n = 0; n < 50; n++) await engine.append('a', words(1))
    accept = true
    cursor.drained()
    await sink.until(';52;')
    await engine.append('a', words(1))
    await sink.until('53;')
    expect(sink.text()).toBe('1;2;gap 2 51;52;53;')
  })

  // An event larger than the window pushed the place of every live reader out of it.
  it('gives an event larger than the window to all live readers, encoded once, whatever their policies', async () => {
    const { engine, fanOut, at } = await setup()
    const wire = testWire({ encode: ({ offset, data }) => `${data as string}${offset};` })
    const encode = vi.spyOn(wire, 'encode')
    const sinks = (['wait', 'latest', 'close'] as const).map((slow) => {
      const sink = testSink()
      fanOut.attach({ log: 'a', after: at(0), wire, sink, slow })
      return sink
    })
    await engine.append('a', words(1))
    await Promise.all(sinks.map((sink) => sink.until('x1;')))
    for (const offset of [2, 3]) {
      await engine.append('a', words(1, 700_000))
      await Promise.all(sinks.map((sink) => sink.until(`x${offset};`)))
    }
    await engine.append('a', words(1))
    await Promise.all(sinks.map((sink) => sink.until('x4;')))
    for (const sink of sinks) expect(sink.text().replaceAll(/x+/g, 'x')).toBe('x1;x2;x3;x4;')
    expect(encode.mock.calls.filter(([{ offset }]) => offset > 1)).toHaveLength(3)
  })

  it('disconnects a reader that fell out of the window, with the policy `close`', async () => {
    const { engine, fanOut, at } = await setup()
    const slow = Promise.withResolvers<void>()
    let accept = true
    const stopped = testSink(() => accept)
    const reading = testSink()
    const wire = testWire({ encode: ({ offset, data }) => `${data as string}${offset};` })
    fanOut.attach({ log: 'a', after: at(0), wire, sink: { ...stopped, onSlow: () => slow.resolve() }, slow: 'close' })
    fanOut.attach({ log: 'a', after: at(0), wire, sink: reading })
    await engine.append('a', words(1))
    await Promise.all([stopped.until('1;'), reading.until('1;')])
    accept = false
    for (let n = 2; n <= 40; n++) {
      await engine.append('a', words(1, 10_000))
      await reading.until(`x${n};`)
    }
    await slow.promise
    await engine.append('a', words(1))
    await reading.until('x41;')
    expect(stopped.text()).not.toContain('x40;')
  })
})
