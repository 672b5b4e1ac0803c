import { describe, expect, it } from 'vitest'
import { continuation } from '../continuation.ts'
import type { ModelPart } from '../model.ts'
import { simulationProvider } from './index.ts'
import { createTicker, type Ticker } from './ticker.ts'

/** A clock that goes on only when somebody waits for it. */
function instantTicker(): Ticker & { waits: number[]; pending: number } {
  let time = 0
  const waits: number[] = []
  const ticker = {
    waits,
    pending: 0,
    now: () => time,
    at(due: number, wake: () => void) {
      waits.push(due)
      ticker.pending += 1
      const immediate = setImmediate(() => {
        ticker.pending -= 1
        time = due
        wake()
      })
      return () => {
        ticker.pending -= 1
        clearImmediate(immediate)
      }
    },
  }
  return ticker
}

async function say(
  name: string,
  { question = 'hello', said = '', ticker = instantTicker() as Ticker, signal = new AbortController().signal } = {},
) {
  const model = await simulationProvider(ticker).open(name)
  const parts: ModelPart[] = []
  const messages = [{ role: 'user' as const, text: question }, ...continuation(said)]
  for await (const part of model.stream({ messages, signal })) parts.push(part)
  return parts
}

const words = (parts: ModelPart[]) => parts.filter((part) => typeof part === 'string').join('')

describe('simulated models', () => {
  it('sim:count says exactly its numbers, one token each, and its usage', async () => {
    expect(await say('sim:count?n=3')).toEqual([
      '1 ',
      '2 ',
      '3 ',
      { usage: { inputTokens: 1, outputTokens: 3, totalTokens: 4 } },
      { finishReason: 'stop' },
    ])
    expect(await say('sim:count?n=0')).toHaveLength(2)
    expect((await say('sim:count')).length).toBe(202)
  })

  it('go on where an answer was cut: with the next number, or the next word of what was asked', async () => {
    const ticker = instantTicker()
    expect(words(await say('sim:count?n=6&tps=10', { said: '1 2 3 ', ticker }))).toBe('4 5 6 ')
    // What was said already takes no time again.
    expect(ticker.waits).toEqual([100, 200])
    expect(words(await say('sim:echo', { question: 'one two three', said: 'one t' }))).toBe('wo three')
    const whole = words(await say('sim:lorem?n=9'))
    expect(words(await say('sim:lorem?n=9', { said: whole.slice(0, 20) }))).toBe(whole.slice(20))
    expect((await say('sim:think?think=2&n=3', { said: '1 ' })).slice(0, 2)).toEqual(['2 ', '3 '])
  })

  it('sim:echo gives back what was said, in whatever script', async () => {
    const question = '你好，世界！ Hello 👨‍👩‍👧 there\n'
    const parts = await say('sim:echo', { question })
    expect(words(parts)).toBe(question)
    expect(parts.length).toBeGreaterThan(6)
  })

  it('sim:think reasons first', async () => {
    const parts = await say('sim:think?think=2&n=1')
    expect(parts.slice(0, 3)).toEqual([{ reasoning: '1 ' }, { reasoning: '2 ' }, '1 '])
    expect(parts[3]).toMatchObject({ usage: { reasoningTokens: 2, outputTokens: 3 } })
  })

  it('sim:lorem is the same for the same seed, another for another, in both languages', async () => {
    const one = words(await say('sim:lorem?n=30&seed=7'))
    expect(words(await say('sim:lorem?n=30&seed=7'))).toBe(one)
    expect(words(await say('sim:lorem?n=30&seed=8'))).not.toBe(one)
    expect(words(await say('sim:lorem?n=30&lang=zh'))).toMatch(/^[\p{Script=Han}。]+$/u)
  })

  it('sim:fail fails after what it was asked to say, with the code it was asked for', async () => {
    const said: ModelPart[] = []
    const model = await simulationProvider(instantTicker()).open('sim:fail?after=2&code=model_rate_limited')
    const failing = (async () => {
      for await (const part of model.stream({ messages: [], signal: new AbortController().signal })) said.push(part)
    })()
    await expect(failing).rejects.toMatchObject({ code: 'model_rate_limited' })
    expect(said).toEqual(['1 ', '2 '])
  })

  it('sim:hang says what it was asked to and then nothing until it is aborted', async () => {
    const abort = new AbortController()
    const model = await simulationProvider(instantTicker()).open('sim:hang?after=1')
    const parts = model.stream({ messages: [], signal: abort.signal })[Symbol.asyncIterator]()
    expect(await parts.next()).toEqual({ value: '1 ', done: false })
    const next = parts.next()
    abort.abort()
    expect(await next).toEqual({ value: undefined, done: true })
  })

  it('sim:file gives a picture between its numbers, which is no token', async () => {
    const said = await say('sim:file?after=1')
    const file = { mediaType: 'image/png', name: 'wheel.png', bytes: expect.any(Uint8Array) }
    expect(said.slice(0, 4)).toMatchObject(['1 ', { file }, '2 ', { usage: { outputTokens: 2 } }])
  })

  it('sim:garbage sends what is no part', async () => {
    expect((await say('sim:garbage?after=1')).slice(0, 2)).toEqual(['1 ', 0xdead])
  })

  it.each([
    ['sim:', 'there are sim:count'],
    ['sim:nothing', 'there are sim:count'],
    ['sim:__proto__', 'there are sim:count'],
    ['sim:count?m=3', 'has no option m; it takes tps, ttft, jitter, seed, n'],
    ['sim:echo?n=3', 'has no option n'],
    ['sim:count?n=-1', 'n takes a number from 0 to 1000000, not "-1"'],
    ['sim:count?n=1.5', 'n takes a number'],
    ['sim:count?n=', 'n takes a number'],
    ['sim:count?tps=Infinity', 'tps takes a number'],
    ['sim:lorem?lang=de', 'lang takes en or zh'],
  ])('%s is refused with what is allowed', (name, message) => {
    expect(() => simulationProvider().open(name)).toThrow(message)
  })
})

describe('the pace', () => {
  it('is exact in the long run and begins after ttft', async () => {
    const ticker = instantTicker()
    await say('sim:count?n=100&tps=100&ttft=500', { ticker })
    expect(ticker.waits[0]).toBe(500)
    expect(ticker.waits.at(-1)).toBe(500 + 99 * 10)
  })

  it('strays by no more than the jitter asked for', async () => {
    const ticker = instantTicker()
    await say('sim:count?n=50&tps=10&jitter=0.5&ttft=1000', { ticker })
    for (const [index, due] of ticker.waits.entries()) expect(Math.abs(due - 1000 - index * 100)).toBeLessThanOrEqual(25)
    expect(new Set(ticker.waits.map((due, index) => due - index * 100)).size).toBeGreaterThan(10)
  })

  it('makes up for a late timer by saying what is due at once', async () => {
    const ticker = instantTicker()
    const model = await simulationProvider(ticker).open('sim:count?n=10&tps=100')
    const parts = model.stream({ messages: [], signal: new AbortController().signal })[Symbol.asyncIterator]()
    await parts.next()
    ticker.now = () => 45
    for (let n = 2; n <= 5; n++) await parts.next()
    expect(ticker.waits).toEqual([])
  })

  it('ends at once when aborted, and leaves no timer', async () => {
    const ticker = instantTicker()
    const abort = new AbortController()
    const model = await simulationProvider(ticker).open('sim:count?n=10&tps=1&ttft=60000')
    const next = model.stream({ messages: [], signal: abort.signal })[Symbol.asyncIterator]().next()
    expect(ticker.pending).toBe(1)
    abort.abort()
    expect(await next).toEqual({ value: undefined, done: true })
    expect(ticker.pending).toBe(0)
  })
})

describe('the shared ticker', () => {
  it('wakes everybody in the order of their times, and not those who have cancelled', async () => {
    let time = 0
    const ticker = createTicker({ periodMs: 1, now: () => time })
    const order: number[] = []
    const done = Promise.withResolvers<void>()
    for (const due of [30, 10, 20]) ticker.at(due, () => order.push(due))
    ticker.at(15, () => order.push(15))()
    ticker.at(30, done.resolve)
    time = 100
    await done.promise
    expect(order).toEqual([10, 20, 30])
  })

  it('can be asked again from within a wake, also for a time that has passed', async () => {
    const ticker = createTicker({ periodMs: 1 })
    const woken = Promise.withResolvers<void>()
    ticker.at(0, () => ticker.at(0, woken.resolve))
    await woken.promise
  })
})
