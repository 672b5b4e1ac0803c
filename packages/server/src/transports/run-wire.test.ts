/** A dialect whose frames depend on all before them, read from any frame while the run is appended. */
import { formatPosition, MillraceError, type Position } from '@millrace/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { setup, testSink } from '../../test/support/log-readers.ts'
import { type RunView, renderRun, replayRun, type Target } from '../dialects/replay.ts'
import type { Frame, RunDialect } from '../dialects/run-dialect.ts'
import { memoryEngine } from '../engines/memory/index.ts'
import type { Engine, NewEvent } from '../log/log.ts'
import { createRunWire } from './run-wire.ts'
import type { RunForm } from './transport.ts'
import { runFrames } from './websocket-wire.ts'

/** Each frame has its number in the run, and the number of the characters before it. */
function counting(hasIds: boolean, padding = ''): RunDialect {
  return {
    key: 'counting',
    merges: false,
    hasIds,
    begin() {
      let frames = 0
      let length = 0
      const frame = (text: string): Frame => ({ data: `{"n":${frames++},"at":${length},"text":"${text}${padding}"}` })
      return {
        render({ type, data }) {
          const { text } = data as { text: string }
          if (type !== 'message') return [frame(type)]
          const rendered = text.split('').map((letter) => frame(letter))
          length += text.length
          return rendered
        },
      }
    },
    fail: ({ code }) => [{ data: `{"failed":"${code}"}` }],
  }
}

/** Runs that overlap, the second in another's events; files in both. */
function* eventsOf(texts: readonly string[]): Generator<NewEvent> {
  yield { type: 'stream_start', data: { run: 'other' } }
  yield { type: 'stream_start', data: { run: 'r' } }
  for (const [index, text] of texts.entries()) {
    const run = index % 3 === 2 ? 'other' : 'r'
    if (index % 4 === 3) {
      yield { type: 'file', data: { run } }
      yield { type: 'file_data', data: new Uint8Array([index]) }
    } else yield { type: 'message', data: { run, text } }
  }
  yield { type: 'stream_end', data: { run: 'other' } }
  yield { type: 'stream_end', data: { run: 'r' } }
  yield { type: 'tool_decision', data: { run: 'r' } }
}

async function viewOf(engine: Engine, dialect: RunDialect): Promise<RunView> {
  await engine.append('a', [])
  const { head } = (await engine.inspect('a')) ?? {}
  return { session: 'a', run: 'r', start: head as Position, dialect }
}

describe.each<RunForm>(['sse', 'lines', 'text'])('a run in %s', (form) => {
  it('is the same for readers that begin and go on at any frame while it is appended, and for slow ones', async () => {
    const hasIds = form !== 'text'
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.stringMatching(/^[a-z]{0,4}$/), { minLength: 1, maxLength: 60 }),
        fc.array(fc.record({ joinAt: fc.nat(60), count: fc.nat(80), blocked: fc.boolean() }), { maxLength: 12 }),
        async (texts, readers) => {
          // Little enough that slow readers fall out of the window.
          const { engine, fanOut } = await setup(memoryEngine(), { tailBytesMax: 64 * 1024 })
          const view = await viewOf(engine, counting(hasIds, '.'.repeat(8000)))
          const open: { sink: ReturnType<typeof testSink>; count: number; rest: string }[] = []
          const join = async (target: Target | undefined, count: number, blocked: boolean) => {
            const { wire, encodeRest, encoderAt } = createRunWire({ ...view, form }, false)

            const sink = testSink(() => !blocked)
            const place = target && (await replayRun(engine, view, target))
            const at = place === undefined ? { after: view.start } : { after: place.after, encode: encoderAt(place) }
            const rest = place === undefined ? '' : encodeRest(place)
            const cursor = fanOut.attach({ log: 'a', wire, sink, ...at })
            if (place?.isEnd) cursor.end()
            if (blocked) draining.push(() => cursor.drained())
            open.push({ sink, count: place === undefined ? 0 : Math.min(count, place.frames), rest })
          }
          const draining: (() => void)[] = []
          for (const [index, event] of [...eventsOf(texts)].entries()) {
            for (const { count, blocked } of readers.filter(({ joinAt }) => joinAt === index))
              await join({ count }, count, blocked)
            await engine.append('a', [event])
            for (let turn = 0; turn < index % 3; turn++) await new Promise(setImmediate)
            if (index % 20 === 19) for (const drain of draining) drain()
          }
          await join(undefined, 0, false)
          for (const { count, blocked } of readers) await join({ count }, count, blocked)
          const drainer = setInterval(() => void draining.map((drain) => drain()), 1)
          await Promise.all(open.map(({ sink }) => sink.ended))
          clearInterval(drainer)
          const { events } = await engine.read('a', view.start, { eventsMax: 1000 })
          const render = renderRun(view.dialect, 'r')
          const whole = events.flatMap((event) => render(event).map(({ data }) => data))
          for (const { sink, count, rest } of open) expect(dataOf(rest + sink.text(), form)).toEqual(whole.slice(count))
          await engine.close()
        },
      ),
      { numRuns: 30 },
    )
  }, 60_000)
})

it('is whole for a reader that falls out of the window, and comes back', async () => {
  const { engine, fanOut } = await setup(memoryEngine(), { tailBytesMax: 128 * 1024 })
  const view = await viewOf(engine, counting(false, '.'.repeat(8000)))
  const { wire } = createRunWire({ ...view, form: 'text' }, false)
  let isBlocked = false
  const [fast, slow] = [testSink(), testSink(() => !isBlocked)]
  fanOut.attach({ log: 'a', wire, sink: fast, after: view.start })
  const cursor = fanOut.attach({ log: 'a', wire, sink: slow, after: view.start })
  const say = async (text: string) => {
    await engine.append('a', [{ type: 'message', data: { run: 'r', text } }])
    await fast.until(`"text":"${text.at(-1)}`)
  }
  await engine.append('a', [{ type: 'stream_start', data: { run: 'r' } }])
  await slow.until('stream_start')
  isBlocked = true
  for (const letter of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ') await say(letter)
  expect(fanOut.countReaders()).toMatchObject({ live: 1, blocked: 1 })
  isBlocked = false
  cursor.drained()
  await say('0')
  await engine.append('a', [{ type: 'stream_end', data: { run: 'r' } }])
  await Promise.all([fast.ended, slow.ended])
  expect(framesOf(slow.text(), 'text')).toEqual(framesOf(fast.text(), 'text'))
})

function framesOf(text: string, form: RunForm): string[] {
  if (form === 'text') return text.split(/(?<=\})/).filter(Boolean)
  return text.split(form === 'sse' ? '\n\n' : '\n').filter(Boolean)
}

function dataOf(text: string, form: RunForm): string[] {
  const frames = framesOf(text, form)
  if (form === 'text') return frames
  return frames.map((frame) => (form === 'sse' ? /^data: (.*)$/m : /"chunk":(.*)\}$/).exec(frame)?.[1] ?? frame)
}

describe('a run whose frames have ids', () => {
  it('goes on after each of them', async () => {
    const { engine, fanOut } = await setup()
    const view = await viewOf(engine, counting(true))
    await engine.append('a', [...eventsOf(['abc', '', 'x', 'file', 'de', 'f'])])
    const read = async (target?: Target) => {
      const { wire, encodeRest, encoderAt } = createRunWire({ ...view, form: 'sse' }, false)
      const place = target && (await replayRun(engine, view, target))
      const sink = testSink()
      const cursor = fanOut.attach({
        log: 'a',
        wire,
        sink,
        ...(place ? { after: place.after, encode: encoderAt(place) } : { after: view.start }),
      })
      if (place?.isEnd) cursor.end()
      await sink.ended
      return framesOf((place ? encodeRest(place) : '') + sink.text(), 'sse')
    }
    const whole = await read()
    const ids = whole.map((frame) => /^id: (.*)$/m.exec(frame)?.[1] ?? '')
    expect(new Set(ids).size).toBe(ids.length)
    for (const [index, frame] of ids.entries()) expect(await read({ frame })).toEqual(whole.slice(index + 1))
  })

  it.each([
    ['a position of another log', () => '00000000-3', 'position_foreign'],
    ['a position that the log has not reached', (at: string) => at.replace(/-.*/, '-99'), 'position_ahead'],
    ['no position', () => 'x', 'position_invalid'],
    ['another session', (at: string) => `b:${at}`, 'position_foreign'],
  ])('does not go on after %s', async (_, change, code) => {
    const { engine } = await setup()
    const view = await viewOf(engine, counting(true))
    await engine.append('a', [...eventsOf(['abc'])])
    const frame = change(formatPosition(view.start))
    await expect(replayRun(engine, view, { frame })).rejects.toMatchObject({ code })
  })

  it('ends with the frames of a failure where retention has removed its beginning', async () => {
    const { engine, fanOut } = await setup()
    const view = await viewOf(engine, counting(true))
    await engine.append('a', [...eventsOf(['abc', 'def'])])
    await engine.append('a', [{ type: 'message', data: { run: 'r', text: 'late' } }], { keep: 1 })
    const { wire } = createRunWire({ ...view, form: 'sse' }, false)
    const sink = testSink()
    fanOut.attach({ log: 'a', wire, sink, after: view.start })
    await sink.ended
    expect(sink.text()).toBe('data: {"failed":"position_expired"}\n\n')
    await expect(replayRun(engine, view, 'head')).rejects.toBeInstanceOf(MillraceError)
  })
})

it('has the same numbers and ids in messages of a WebSocket, from any frame on', async () => {
  const { engine, fanOut } = await setup()
  const view = await viewOf(engine, counting(true))
  await engine.append('a', [...eventsOf(['abc', '', 'x', 'file', 'de', 'f'])])
  const message = (_: Frame, index: number, id: string) => `<${index} ${id}>`
  const { wire, encodeRest, encoderAt } = runFrames({ ...view, format: 'test', message, onEnd() {} })
  const read = async (count: number) => {
    const place = await replayRun(engine, view, { count })
    const sink = testSink()
    const cursor = fanOut.attach({ log: 'a', wire, sink, after: place.after, encode: encoderAt(place) })
    if (place.isEnd) cursor.end()
    await sink.ended
    return (encodeRest(place).toString() + sink.text()).match(/<.*?>/g) ?? []
  }
  const whole = await read(0)
  expect(whole.map((text) => Number(/\d+/.exec(text)))).toEqual(whole.map((_, index) => index))
  expect(whole[1]).toMatch(/^<1 a:[a-z0-9]+-\d+\.0>$/)
  for (const [index] of whole.entries()) expect(await read(index)).toEqual(whole.slice(index))
})

it('a chunk of HTTP/1.1 has the length of its bytes', () => {
  const view = { session: 'a', run: 'r', start: { epoch: '00000000', offset: 0 }, dialect: counting(false) }
  const { control } = createRunWire({ ...view, form: 'sse' }, true)
  expect(control.greeting(1)).toBe('c\r\n: millrace\n\n\r\n')
  expect(control.error(new MillraceError('internal'))).toBe('1d\r\ndata: {"failed":"internal"}\n\n\r\n')
  expect(control.end).toBe('0\r\n\r\n')
})
