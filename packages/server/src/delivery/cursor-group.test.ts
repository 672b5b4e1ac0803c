import { expect, test } from 'vitest'
import { testSink, testWire, words } from '../../test/support/log-readers.ts'
import { memoryEngine } from '../engines/memory/index.ts'
import { CursorGroup } from './cursor-group.ts'
import { createFanOut } from './fan-out.ts'
import { createScheduler } from './scheduler.ts'

/** Two logs with one event each, read as one; a frame is `[events|offset,offset]`. */
async function setup({
  accept = () => true,
  count = 1,
  size = 1,
}: {
  accept?: () => boolean
  count?: number
  size?: number
} = {}) {
  const engine = memoryEngine()
  const scheduler = createScheduler()
  const fanOut = createFanOut({ engine, scheduler })
  const sink = testSink(accept)
  const members = await Promise.all(
    ['a', 'b'].map(async (log) => {
      const { position } = await engine.append(log, [])
      await engine.append(log, words(count, size))
      const encodeEnd = (error: unknown) => Buffer.from(`${log} ${(error as { code: string }).code};`)
      const wire = testWire({ encode: ({ offset }) => `${log}${offset}${'.'.repeat(size - 1)};` })
      return { log, after: { ...position, offset: 0 }, wire, encodeEnd }
    }),
  )
  let closes = 0
  const group = new CursorGroup({
    attach: fanOut.attach,
    scheduler,
    members,
    sink,
    encodeFrame: (events, positions) =>
      Buffer.from(`[${Buffer.concat(events).toString()}|${positions.map(({ offset }) => offset).join(',')}]`),
  })
  group.onceClosed({
    onCursorClosed() {
      closes += 1
    },
  })
  return { engine, group, sink, closes: () => closes }
}

const framesOf = (text: string) => [...text.matchAll(/\[([^|]*)\|(\d+),(\d+)\]/g)]

test('a frame carries the events of all logs, and the positions directly after them', async () => {
  const { engine, sink } = await setup()
  await sink.until('b1')
  await engine.append('b', words(2))
  await engine.append('a', words(1))
  await sink.until('a2')
  await sink.until('b3')
  const at = [0, 0]
  for (const [, events = '', a, b] of framesOf(sink.text())) {
    for (const [, log, offset] of events.matchAll(/([ab])(\d+);/g)) at[log === 'a' ? 0 : 1] = Number(offset)
    expect([Number(a), Number(b)]).toEqual(at)
  }
  expect(at).toEqual([2, 3])
})

test('frames are bounded, and a cut after any of them repeats and loses nothing', async () => {
  const { sink, group } = await setup({ count: 60, size: 8192 })
  await sink.until('a60')
  await sink.until('b60')
  const frames = framesOf(sink.text())
  expect(frames.length).toBeGreaterThan(6)
  const seen = { a: 0, b: 0 }
  for (const [text = '', events = '', a, b] of frames) {
    expect(text.length).toBeLessThan(140_000)
    for (const [, log, offset] of events.matchAll(/([ab])(\d+)\.*;/g)) {
      expect(Number(offset)).toBe(seen[log as 'a' | 'b'] + 1)
      seen[log as 'a' | 'b'] = Number(offset)
    }
    expect({ a: Number(a), b: Number(b) }).toEqual(seen)
  }
  expect(group.offset).toBe(120)
})

test('a deleted log ends with its reason, and the others continue until the last one ends', async () => {
  const { engine, sink, closes } = await setup()
  await sink.until('b1')
  await engine.delete('a')
  await sink.until('a session_not_found;')
  await engine.append('b', words(1))
  await sink.until('b2')
  expect(closes()).toBe(0)
  await engine.delete('b')
  await sink.ended
  expect(sink.text()).toContain('b session_not_found;')
  expect(closes()).toBe(1)
})

test('a full sink stops all logs, and once drained they continue where they were', async () => {
  let isFull = true
  const { engine, group, sink } = await setup({ accept: () => !isFull })
  await sink.until('[')
  expect(group.blocked).toBe(true)
  for (let round = 0; round < 50; round++) await engine.append('a', words(100))
  const written = sink.writes
  await engine.append('b', words(1))
  expect(sink.writes - written).toBeLessThan(3)
  isFull = false
  group.drained()
  await sink.until('a5001')
  await sink.until('b2')
})
