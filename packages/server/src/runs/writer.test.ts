/** How a run's events are appended: at once, in fewer and larger batches where the engine is busy, and exactly once. */
import { MillraceError, type RunEnd } from '@millrace/protocol'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { makeFolder } from '../../test/support/process.ts'
import { memoryEngine } from '../engines/memory/index.ts'
import { sqliteEngine } from '../engines/sqlite/index.ts'
import type { Engine } from '../log/log.ts'
import { RunWriter } from './writer.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A run over an engine with a given latency; `batches` is the appended text. */
async function open(ms = 0, wantsPacing = true) {
  const engine = memoryEngine()
  const { position } = await engine.append('log', [])
  const batches: string[] = []
  const slow = { ms }
  const writer = new RunWriter({
    engine: {
      ...engine,
      wantsPacing,
      async append(log, events, options) {
        batches.push(events.map(({ data }) => (data as { text?: string }).text ?? 'end').join(''))
        if (slow.ms > 0) await new Promise((resolve) => setTimeout(resolve, slow.ms))
        return engine.append(log, events, options)
      },
    },
    log: 'log',
    start: position,
    run: 'run',
    onFailure: (error) => expect.unreachable(error.message),
    onUnavailable: (error) => expect.unreachable(error.message),
    signal: new AbortController().signal,
  })
  const say = (text: string) => writer.write('message', { run: 'run', lane: 'lane', text })
  const end = () =>
    writer.end('stream_end', { run: 'run', status: 'completed' } as Parameters<typeof writer.end<'stream_end'>>[1])
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)
  say('a')
  await pass(ms)
  return { batches, slow, writer, say, end, pass }
}

it.each([
  ['quick', 0, 4],
  ['distant, and not busy', 20, 24],
])('appends each word at once where the engine is %s', async (_, ms, most) => {
  const { batches, slow, say, pass } = await open(ms)
  slow.ms = most
  for (const text of ['b', 'c', 'd']) {
    say(text)
    await pass(most)
  }
  expect(batches).toEqual(['a', 'b', 'c', 'd'])
})

it('pauses where the last append was slower than the quickest', async () => {
  const { batches, slow, say, pass } = await open()
  slow.ms = 20
  say('b')
  await pass(20)
  for (const text of ['c', 'd', 'e']) {
    say(text)
    await pass(16)
  }
  expect(batches).toEqual(['a', 'b'])
  await pass(2)
  expect(batches).toEqual(['a', 'b', 'cde'])
})

it.each([
  ['memory', () => memoryEngine()],
  ['SQLite', () => sqliteEngine({ folder: makeFolder() })],
])('appends what has arrived as soon as the last append is acknowledged, over %s', async (_, make) => {
  const engine = make()
  const { batches, slow, say, pass } = await open(0, engine.wantsPacing === true)
  await engine.close()
  slow.ms = 20
  for (const text of ['b', 'c', 'd', 'e']) {
    say(text)
    await pass(20)
  }
  say('f')
  say('g')
  say('h')
  await pass(20)
  expect(batches).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'gh'])
})

it.each(['end', 'settled'] as const)('does not pause while a caller waits for all events: %s', async (what) => {
  for (const isResting of [true, false]) {
    const { batches, slow, writer, say, end, pass } = await open()
    slow.ms = 20
    say('b')
    await pass(isResting ? 21 : 10)
    say('c')
    slow.ms = 0
    const done = what === 'end' ? end() : writer.settled()
    await pass(isResting ? 0 : 10)
    await done
    expect(batches.slice(0, 3)).toEqual(['a', 'b', 'c'])
  }
})

// What happened: while other lanes wrote, a lane waited until there was a pause. Its end was delayed, and it failed as idle.
it('settles once earlier events are written, whatever is written meanwhile', async () => {
  const { batches, slow, writer, say, pass } = await open()
  slow.ms = 30
  say('b')
  let settledAfter: string | undefined
  void writer.settled().then(() => {
    settledAfter = batches.join('')
  })
  for (let n = 0; n < 40; n++) {
    say('.')
    await pass(10)
  }
  expect(settledAfter).toMatch(/^ab\.*$/)
  expect(settledAfter?.length).toBeLessThan(10)
})

it('pauses again once no caller waits', async () => {
  const { batches, slow, writer, say, pass } = await open()
  slow.ms = 20
  say('b')
  const settled = writer.settled()
  await pass(20)
  await settled
  for (const text of ['c', 'd', 'e', 'f']) {
    say(text)
    await pass(5)
  }
  expect(batches).toEqual(['a', 'b'])
  await pass(50)
  expect(batches).toEqual(['a', 'b', 'cdef'])
})

it('appends no more at once than an engine accepts, also after a long wait', async () => {
  const { batches, slow, writer, say, pass } = await open()
  slow.ms = 1000
  say('b')
  for (let n = 0; n < 10; n++) say('x'.repeat(50_000))
  slow.ms = 0
  const settled = writer.settled()
  await pass(1000)
  await settled
  expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(150_000)
  expect(batches.join('')).toHaveLength(2 + 500_000)
})

type Outcome = 'committed' | 'too busy' | 'rejected' | 'committed, and rejected' | 'rejected, and committed later'

/** A run over an engine whose first appends and reads have the given outcomes, in order. All later ones succeed. */
async function openFailing(outcomes: Outcome[]) {
  const inner = memoryEngine()
  const { position } = await inner.append('log', [{ type: 'stream_start', data: { run: 'run' } }])
  const late: (() => Promise<unknown>)[] = []
  const unavailable = () => new MillraceError('engine_failed')
  const engine: Engine = {
    ...inner,
    async append(...request) {
      const outcome = outcomes.shift() ?? 'committed'
      if (outcome === 'too busy') throw new MillraceError('engine_busy')
      if (outcome === 'rejected, and committed later') late.push(() => inner.append(...request))
      if (outcome === 'rejected' || outcome === 'rejected, and committed later') throw unavailable()
      // In the order of the calls.
      for (const append of late.splice(0)) await append().catch(() => {})
      const answer = await inner.append(...request)
      if (outcome === 'committed, and rejected') throw unavailable()
      return answer
    },
    async read(...request) {
      if (outcomes.length > 0 && outcomes.length % 3 === 0) {
        outcomes.shift()
        throw unavailable()
      }
      return inner.read(...request)
    },
  }
  const failures: string[] = []
  let outages = 0
  const closing = new AbortController()
  const writer = new RunWriter({
    engine,
    log: 'log',
    run: 'run',
    start: { ...position, offset: 0 },
    onFailure: ({ code }) => failures.push(code),
    onUnavailable: () => {
      outages += 1
    },
    signal: closing.signal,
  })
  const read = async () => {
    const { events } = await inner.read('log', { ...position, offset: 0 }, { eventsMax: 10_000 })
    return events.map(({ type, data }) => (type === 'message' ? (data as { text: string }).text : type))
  }
  const other = () => inner.append('log', [{ type: 'message', data: { run: 'other', lane: 'lane', text: '' } }])
  return { writer, closing, read, other, failures, countOutages: () => outages }
}

const end: { run: string } & RunEnd = {
  run: 'run',
  status: 'completed',
  usage: { inputTokens: 0, outputTokens: 0, totalTokens: 0 },
  timings: { firstTokenMs: null, durationMs: 0 },
}

it('writes each word once and in order, whatever the outcome of the appends', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.constantFrom<Outcome>('committed', 'too busy', 'rejected', 'committed, and rejected', 'rejected, and committed later'),
        {
          maxLength: 30,
        },
      ),
      fc.array(fc.record({ words: fc.integer({ min: 1, max: 5 }), pauseMs: fc.constantFrom(0, 10, 400), others: fc.boolean() }), {
        minLength: 1,
        maxLength: 10,
      }),
      async (outcomes, steps) => {
        const { writer, read, other } = await openFailing(outcomes)
        const said: string[] = []
        for (const { words, pauseMs, others } of steps) {
          for (let n = 0; n < words; n++) {
            said.push(`${said.length}`)
            writer.write('message', { run: 'run', lane: 'lane', text: `${said.length - 1}` })
          }
          if (others) await other()
          await vi.advanceTimersByTimeAsync(pauseMs)
        }
        const ended = writer.end('stream_end', end)
        await vi.advanceTimersByTimeAsync(600_000)
        expect((await ended).position).toBeDefined()
        expect((await read()).filter((text) => text !== '')).toEqual(['stream_start', ...said, 'stream_end'])
      },
    ),
    { numRuns: 200 },
  )
})

it('is full when the events that wait are large, however few they are', async () => {
  const { writer, closing } = await openFailing(Array.from({ length: 10 }, () => 'rejected'))
  let written = 0
  for (; !writer.isFull; written++) writer.write('message', { run: 'run', lane: 'lane', text: 'x'.repeat(100_000) })
  expect(written).toBeLessThan(10)
  closing.abort()
})

it('is full while the engine is unavailable, and reports that once', async () => {
  const { writer, read, countOutages } = await openFailing(Array.from({ length: 10 }, () => 'rejected'))
  let written = 0
  for (; !writer.isFull; written++) writer.write('message', { run: 'run', lane: 'lane', text: 'x' })
  expect(written).toBeLessThan(300)
  const settled = writer.settled()
  await vi.advanceTimersByTimeAsync(60_000)
  await settled
  expect(await read()).toHaveLength(1 + written)
  expect(countOutages()).toBe(1)
})

it.each(['out of time', 'closed'] as const)(
  'fails with the error of the engine when it is %s meanwhile, and still appends the end',
  async (how) => {
    const { writer, closing, read, failures } = await openFailing(Array.from({ length: 5 }, () => 'rejected'))
    writer.write('message', { run: 'run', lane: 'lane', text: 'x' })
    await vi.advanceTimersByTimeAsync(100)
    if (how === 'out of time') writer.stopRetrying()
    else closing.abort()
    await expect(writer.settled()).rejects.toMatchObject({ code: 'engine_failed' })
    expect(failures).toEqual(['engine_failed'])
    const ended = writer.end('stream_end', end)
    await vi.advanceTimersByTimeAsync(60_000)
    const isEnded = how === 'out of time'
    expect((await ended).position !== undefined).toBe(isEnded)
    expect(await read()).toEqual(isEnded ? ['stream_start', 'stream_end'] : ['stream_start'])
  },
)

it.each(['fenced', 'position_foreign', 'log_damaged', 'log_full', 'internal'] as const)(
  'does not retry after %s',
  async (code) => {
    const inner = memoryEngine()
    const { position } = await inner.append('log', [])
    const append = vi.fn(async () => Promise.reject(new MillraceError(code)))
    const failures: string[] = []
    const writer = new RunWriter({
      engine: { ...inner, append },
      log: 'log',
      run: 'run',
      start: position,
      onFailure: (error) => failures.push(error.code),
      onUnavailable: () => expect.unreachable(),
      signal: new AbortController().signal,
    })
    writer.write('message', { run: 'run', lane: 'lane', text: 'x' })
    await expect(writer.settled()).rejects.toMatchObject({ code })
    expect([failures, append.mock.calls.length]).toEqual([[code], 1])
  },
)
