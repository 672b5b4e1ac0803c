/** Readers of logs for the tests of cursors and tails. */

import { createFanOut, type FanOutOptions } from '../../src/delivery/fan-out.ts'
import { createScheduler } from '../../src/delivery/scheduler.ts'
import type { Sink, Wire } from '../../src/delivery/wire.ts'
import { memoryEngine } from '../../src/engines/memory/index.ts'
import type { Engine, NewEvent } from '../../src/log/log.ts'

/** Prints every event as `offset;`, merged ones as `from-to;`, so that a hole or a repeat is visible. */
export function testWire(overrides: Partial<Wire> = {}): Wire & { encoded: number[] } {
  const encoded: number[] = []
  return {
    key: 'test',
    encoded,
    encode({ offset, data }) {
      encoded.push(offset)
      return `${typeof data === 'string' && data.startsWith('from') ? data : offset};`
    },
    encodeGap: (from, to) => `gap ${from.offset} ${to.offset};`,
    merge: (events) => events,
    isLast: ({ type }) => type === 'last',
    ...overrides,
  }
}

export function testSink(accept: () => boolean = () => true) {
  let text = ''
  const waiting: { part: string; resolve: () => void }[] = []
  const ended = Promise.withResolvers<void>()
  const sink: Sink & { writes: number } = {
    writes: 0,
    write(bytes) {
      sink.writes += 1
      text += Buffer.from(bytes).toString()
      for (const { part, resolve } of waiting) if (text.includes(part)) resolve()
      return accept()
    },
    end: () => ended.resolve(),
  }
  return Object.assign(sink, {
    text: () => text,
    ended: ended.promise,
    until: (part: string) =>
      new Promise<void>((resolve) => {
        if (text.includes(part)) resolve()
        else waiting.push({ part, resolve })
      }),
  })
}

export const words = (count: number, size = 1): NewEvent[] =>
  Array.from({ length: count }, () => ({ type: 'm', data: 'x'.repeat(size) }))
export const offsets = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index};`).join('')

export async function setup(engine: Engine = memoryEngine(), options: Partial<FanOutOptions> = {}) {
  const { position } = await engine.append('a', [])
  const fanOut = createFanOut({ engine, scheduler: createScheduler(), ...options })
  const at = (offset: number) => ({ epoch: position.epoch, offset })
  return { engine, fanOut, at }
}
