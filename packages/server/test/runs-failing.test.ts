import { MillraceError } from 'millrace'
import { describe, expect, it } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { startServer } from './support/server.ts'
import { counted, data, openStream, textOf } from './support/stream.ts'

describe('a model that fails during a stream ends its lane as failed, with the partial text kept', () => {
  const failure = (code: string, retryable: boolean) => ({
    status: 'failed',
    error: { code, message: expect.any(String), retryable },
  })

  it('by throwing, without internal details in what leaves the server', async () => {
    const model = gatedModel()
    const { url, errors } = await startServer({ models: [model], model: 'gated' })
    const secret = new Error('connect ECONNREFUSED 10.0.0.7:443 key=sk-secret')
    model.say('so far')
    model.fail(secret)
    const response = await fetch(`${url}/api/chat?query=x`)
    const text = await response.text()
    expect(text).toMatch('"text":"so far"')
    expect(text).not.toMatch(/ECONN|secret|10\.0\.0\.7/)
    expect(JSON.parse(/event: stream_end\nid: .*\ndata: (.*)/.exec(text)?.[1] ?? '')).toMatchObject(failure('model_failed', true))
    expect(errors).toContain(secret)
  })

  it('by throwing one of our errors with a code', async () => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    model.fail(new MillraceError('model_rate_limited'))
    const events = await (await openStream(`${url}/api/chat?query=x`)).rest()
    expect(data(events.at(-1) as never)).toMatchObject({
      ...failure('model_rate_limited', true),
      timings: { firstTokenMs: null },
    })
  })

  it.each([
    [42],
    [null],
    [undefined],
    [{}],
    [{ text: 7 }],
    [[]],
    [{ usage: { inputTokens: 'NaN' } }],
    [{ data: { name: 'x', value: 1n } }],
  ])('by sending garbage: %o', async (garbage) => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    model.say('so far', garbage as never, 'never said')
    const events = await (await openStream(`${url}/api/chat?query=x`)).rest()
    expect(textOf(events)).toBe('so far')
    expect(data(events.at(-1) as never)).toMatchObject(failure('model_failed', true))
  })

  it('by hanging', async () => {
    const { url } = await startServer({ limits: { idleMsMax: 50 } })
    const events = await (
      await openStream(`${url}/api/chat?query=x&model=${encodeURIComponent('sim:hang?after=3&tps=0')}`)
    ).rest()
    expect(textOf(events)).toBe(counted(1, 3))
    expect(data(events.at(-1) as never)).toMatchObject({ ...failure('model_timeout', true), usage: { outputTokens: 3 } })
  })

  it('by writing without end, past the deadline, and ignoring its signal', async () => {
    const endless = {
      name: 'endless',
      async *stream() {
        for (;;) {
          await new Promise(setImmediate)
          yield 'on '
        }
      },
    }
    const { url } = await startServer({ models: [endless], model: 'endless', limits: { runMsMax: 50 } })
    const events = await (await openStream(`${url}/api/chat?query=x`)).rest()
    expect(textOf(events)).toMatch(/^(on )+$/)
    expect(data(events.at(-1) as never)).toMatchObject(failure('model_timeout', true))
  })

  it('by blocking the event loop: others are still served', async () => {
    const greedy = {
      name: 'greedy',
      async *stream() {
        for (let n = 0; n < 20_000; n++) yield 'x'
      },
    }
    const { url } = await startServer({ models: [greedy], model: 'greedy' })
    const reading = fetch(`${url}/api/chat?query=x`).then((response) => response.text())
    const order: string[] = []
    await Promise.all([reading.then(() => order.push('greedy')), fetch(`${url}/healthz`).then(() => order.push('health'))])
    expect(order).toEqual(['health', 'greedy'])
    expect(
      (await reading)
        .match(/"text":"x+"/g)
        ?.join('')
        .replace(/[^x]/g, '')
        .replaceAll('xx', 'xx').length,
    ).toBeGreaterThanOrEqual(20_000)
  })
})

describe('a source that fails when it is closed', () => {
  const refuse = () => {
    throw new Error('not now')
  }
  const broken = (next: () => Promise<IteratorResult<string>>) => ({ [Symbol.asyncIterator]: () => ({ next, return: refuse }) })

  it('by throwing from its return, after a stop and after a failure, still ends once', async () => {
    const { millrace, errors } = await startServer()
    const stopped = await millrace.run({ source: broken(() => new Promise(() => {})) })
    setImmediate(() => stopped.stop())
    expect((await stopped.ended).status).toBe('stopped')
    const failed = await millrace.run({ source: broken(() => Promise.reject(new Error('first'))) })
    expect((await failed.ended).status).toBe('failed')
    expect(errors.map(String)).toEqual(expect.arrayContaining(['Error: not now', 'Error: first']))
  })

  it('by stopping its own run, in the middle of a character', async () => {
    const { millrace } = await startServer()
    await millrace.engine.append('s', [])
    const run = await millrace.run({
      id: 'own',
      *source() {
        yield 'one'
        millrace.findRun('own')?.stop()
        yield 'never'
      },
    })
    expect((await run.ended).status).toBe('stopped')
  })

  it('with a host whose onError throws', async () => {
    const { millrace } = await startServer({ onError: refuse })
    const run = await millrace.run({ source: broken(() => Promise.reject(new Error('first'))) })
    expect((await run.ended).status).toBe('failed')
  })
})
