/** How what a run says comes to be appended: at once, and in fewer and larger batches where the engine is busy. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { memoryEngine } from '../engines/memory.ts'
import { createRunWriter } from './writer.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A run over an engine that takes as long as it is told to; `batches` is what was appended, in words. */
async function open(ms = 0) {
  const engine = memoryEngine()
  const { position } = await engine.append('log', [])
  const batches: string[] = []
  const slow = { ms }
  const writer = createRunWriter({
    engine: {
      ...engine,
      async append(log, events, options) {
        batches.push(events.map(({ data }) => (data as { text?: string }).text ?? 'end').join(''))
        if (slow.ms > 0) await new Promise((resolve) => setTimeout(resolve, slow.ms))
        return engine.append(log, events, options)
      },
    },
    log: 'log',
    start: position,
    endKey: 'end run',
    onFailure: (error) => expect.unreachable(error.message),
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
  ['far away, and not busy', 20, 24],
])('appends each word at once where the engine is %s', async (_, ms, most) => {
  const { batches, slow, say, pass } = await open(ms)
  slow.ms = most
  for (const text of ['b', 'c', 'd']) {
    say(text)
    await pass(most)
  }
  expect(batches).toEqual(['a', 'b', 'c', 'd'])
})

it('gathers for a while where the last append was slower than the quickest', async () => {
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

it.each(['end', 'settled'] as const)('does not rest while somebody waits for all of it: %s', async (what) => {
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
