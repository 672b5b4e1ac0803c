import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keepNewest } from '../../test/support/keep-newest.ts'
import { offsets, setup, testSink, testWire, words } from '../../test/support/log-readers.ts'
import { memoryEngine } from '../engines/memory/index.ts'
import type { Engine } from '../log/log.ts'
import { createFanOut } from './fan-out.ts'
import { createScheduler } from './scheduler.ts'
import type { Sink } from './wire.ts'

describe('fan-out', () => {
  it('gives every reader everything after its own position, from one encoding', async () => {
    const { engine, fanOut, at } = await setup()
    const wire = testWire()
    const sinks = Array.from({ length: 50 }, () => testSink())
    for (const sink of sinks) fanOut.attach({ log: 'a', after: at(0), wire, sink })
    for (let n = 0; n < 20; n++) await engine.append('a', words(5))
    await Promise.all(sinks.map((sink) => sink.until('100;')))
    for (const sink of sinks) expect(sink.text()).toBe(offsets(1, 100))
    // Some may have caught up themselves at the start; everything else was encoded once.
    expect(wire.encoded.length).toBeLessThan(100 + 50 * 5)
  })

  it('writes at most once to a reader in a tick, however many events there are', async () => {
    const { engine, fanOut, at } = await setup()
    const sink = testSink()
    fanOut.attach({ log: 'a', after: at(0), wire: testWire(), sink })
    await engine.append('a', words(1))
    await sink.until('1;')
    const before = sink.writes
    for (let n = 0; n < 30; n++) await engine.append('a', words(1))
    await sink.until('31;')
    expect(sink.writes - before).toBe(1)
  })

  it('joins readers from any position while events are appended: no hole and no repeat', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            batch: fc.integer({ min: 1, max: 200 }),
            size: fc.constantFrom(1, 100, 5000),
            join: fc.option(fc.nat(400)),
            blocked: fc.boolean(),
          }),
          { minLength: 1, maxLength: 25 },
        ),
        async (steps) => {
          const { engine, fanOut, at } = await setup()
          const wire = testWire({ encode: ({ offset, data }) => `${offset};${'.'.repeat((data as string).length - 1)}` })
          const readers: { sink: ReturnType<typeof testSink>; from: number }[] = []
          let total = 0
          for (const { batch, size, join, blocked } of steps) {
            if (join !== null) {
              const from = Math.min(join, total)
              const sink = testSink(() => !blocked)
              const cursor = fanOut.attach({ log: 'a', after: at(from), wire, sink })
              if (blocked)
                setImmediate(function drain() {
                  cursor.drained()
                  if (!cursor.closed) setImmediate(drain)
                })
              readers.push({ sink, from })
            }
            await engine.append('a', words(batch, size))
            total += batch
            if (batch % 3 === 0) await new Promise(setImmediate)
          }
          await engine.append('a', [{ type: 'last', data: 'x' }])
          await Promise.all(readers.map(({ sink }) => sink.ended))
          for (const { sink, from } of readers) expect(sink.text().replaceAll('.', '')).toBe(offsets(from + 1, total + 1))
          await engine.close()
        },
      ),
      { numRuns: 40 },
    )
  }, 60_000)

  it('passes a reader that accepts nothing no more than one page of a long log', async () => {
    const { engine, fanOut, at } = await setup()
    await engine.append('a', words(3000, 1000))
    let bytes = 0
    const written = Promise.withResolvers<void>()
    const sink: Sink = {
      write(piece) {
        bytes += piece.length
        written.resolve()
        return false
      },
      end: () => {},
    }
    const wire = testWire({ encode: ({ data }) => data as string })
    fanOut.attach({ log: 'a', after: at(0), wire, sink })
    await written.promise
    await new Promise(setImmediate)
    expect(bytes).toBeLessThanOrEqual(66_000)
  })

  it('encodes one page in a step, however many readers reconnect together', async () => {
    const engine = memoryEngine()
    const { position } = await engine.append('a', words(3000, 1000))
    let time = 0
    let encodedInTurn = 0
    let most = 0
    const scheduler = createScheduler({
      now: () => time++,
      defer: (turn) =>
        setImmediate(() => {
          encodedInTurn = 0
          turn()
          most = Math.max(most, encodedInTurn)
        }),
    })
    const wire = testWire({
      encode() {
        encodedInTurn += 1
        return 'x;'
      },
      isLast: ({ offset }) => offset === 3000,
    })
    const fanOut = createFanOut({ engine, scheduler })
    const sinks = Array.from({ length: 20 }, () => testSink())
    for (const sink of sinks) fanOut.attach({ log: 'a', after: { ...position, offset: 0 }, wire, sink })
    await Promise.all(sinks.map((sink) => sink.ended))
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThan(140)
  })

  it('restarts at the head when all readers had stopped: each reads what it missed itself, merged', async () => {
    const { engine, fanOut, at } = await setup()
    let accept = true
    const wire = testWire({
      merge: (events) => {
        const [first, last] = [events[0], events.at(-1)]
        return first && last ? [{ ...last, data: `from ${first.offset}-${last.offset}` }] : []
      },
    })
    const sink = testSink(() => accept)
    const cursor = fanOut.attach({ log: 'a', after: at(0), wire, sink })
    await engine.append('a', words(1))
    await sink.until('1;')
    accept = false
    await engine.append('a', words(1))
    await sink.until('2;')
    for (let n = 0; n < 20; n++) await engine.append('a', words(500))
    const before = wire.encoded.length
    accept = true
    cursor.drained()
    await sink.until('-10002;')
    await engine.append('a', words(1))
    await sink.until('10003;')
    expect(wire.encoded.length - before).toBeLessThan(20)
  })

  it('leaves out what the wire leaves out, and still resumes behind it', async () => {
    const { engine, fanOut, at } = await setup()
    const wire = testWire({ encode: ({ offset }) => (offset % 2 === 0 ? `${offset};` : '') })
    const sink = testSink()
    const cursor = fanOut.attach({ log: 'a', after: at(0), wire, sink })
    await engine.append('a', words(9))
    await engine.append('a', words(1))
    await sink.until('10;')
    expect(sink.text()).toBe('2;4;6;8;10;')
    expect(cursor.offset).toBe(10)
  })

  it('ends every reader after the last event, also readers that attach later', async () => {
    const { engine, fanOut, at } = await setup()
    const live = testSink()
    fanOut.attach({ log: 'a', after: at(0), wire: testWire(), sink: live })
    await engine.append('a', [...words(2), { type: 'last', data: 1 }, ...words(2)])
    await live.ended
    const late = testSink()
    fanOut.attach({ log: 'a', after: at(1), wire: testWire(), sink: late })
    await late.ended
    expect([live.text(), late.text()]).toEqual(['1;2;3;', '2;3;'])
  })

  it('reports a gap to a reader that retention has overtaken, and continues', async () => {
    const { engine, fanOut, at } = await setup(keepNewest(memoryEngine(), 10))
    let accept = false
    const sink = testSink(() => accept)
    const cursor = fanOut.attach({ log: 'a', after: at(0), wire: testWire(), sink })
    await engine.append('a', words(3))
    await sink.until('3;')
    for (let n = 0; n < 100; n++) await engine.append('a', words(1))
    accept = true
    cursor.drained()
    await engine.append('a', words(1))
    await sink.until('104;')
    expect(sink.text()).toMatch(/^1;2;3;gap 3 (\d+);/)
    const to = Number(/gap 3 (\d+);/.exec(sink.text())?.[1])
    expect(sink.text()).toBe(`1;2;3;gap 3 ${to};${offsets(to + 1, 104)}`)
  })

  it('disconnects its readers when the log is deleted or re-created, and watches nothing after the last one', async () => {
    const inner = memoryEngine()
    let watches = 0
    const engine: Engine = {
      ...inner,
      watch(log, bell) {
        watches += 1
        const unwatch = inner.watch(log, bell)
        return () => {
          watches -= 1
          unwatch()
        }
      },
    }
    const { fanOut, at } = await setup(engine)
    const [gone, left] = [testSink(), testSink()]
    fanOut.attach({ log: 'a', after: at(0), wire: testWire(), sink: gone })
    const cursor = fanOut.attach({ log: 'a', after: at(0), wire: testWire({ key: 'other' }), sink: left })
    await engine.append('a', words(1))
    await Promise.all([gone.until('1;'), left.until('1;')])
    expect(watches).toBe(2)
    cursor.close()
    expect(watches).toBe(1)
    await engine.delete('a')
    await engine.append('a', words(5))
    await gone.ended
    expect([gone.text(), left.text(), watches]).toEqual(['1;', '1;', 0])
  })

  it('reports a reader that was closed before `onClosed` was set, as by an engine that throws at once', async () => {
    const { engine, at } = await setup()
    const broken: Engine = {
      ...engine,
      read() {
        throw new Error('not even a promise')
      },
    }
    const sink = testSink()
    const cursor = createFanOut({ engine: broken, scheduler: createScheduler() }).attach({
      log: 'a',
      after: at(0),
      wire: testWire(),
      sink,
    })
    await new Promise<void>((resolve) => cursor.onceClosed({ onCursorClosed: resolve }))
    await sink.ended
  })
})
