import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Engine, MillraceError, type Model, memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { data, openStream, textOf } from './support/stream.ts'

describe('a run', () => {
  it('outlives its readers', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ models: [model], model: 'gated' })
    const stream = await openStream(`${url}/api/chat?query=x&id=r`)
    await stream.next()
    stream.close()
    await vi.waitFor(() => expect(millrace.connections).toBe(0), 10_000)
    model.say('nobody listens')
    model.finish()
    expect(await millrace.findRun('r')?.ended).toMatchObject({ status: 'completed' })
    const again = await (await openStream(`${url}/api/chat?query=x&id=r`)).rest()
    expect(textOf(again)).toBe('nobody listens')
  })

  it('is stopped from any connection, and keeps the partial text', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ models: [model], model: 'gated' })
    const stream = await openStream(`${url}/api/chat?query=x&id=r`)
    await stream.next()
    model.say('half an ')
    await stream.next()
    const answer = await postJson(`${url}/api/runs/r/stop`, {})
    const { position, ...end } = (await answer.json()) as { position: string }
    expect([answer.status, end]).toMatchObject([200, { status: 'stopped', usage: { outputTokens: 1, estimated: true } }])
    await model.aborted
    const last = await stream.next()
    expect([last.id, data(last)]).toEqual([position, end])
    const session = millrace.findRun('r')?.session ?? ''
    expect((await millrace.readSession(session))?.runs[0]).toMatchObject({ status: 'stopped', lanes: [{ text: 'half an ' }] })
  })

  it('keeps its end when it is stopped afterwards', async () => {
    const { url, millrace } = await startServer()
    await startRun(url, { query: 'x', id: 'r' })
    const end = await millrace.findRun('r')?.ended
    expect(await (await postJson(`${url}/api/runs/r/stop`, {})).json()).toEqual(JSON.parse(JSON.stringify(end)))
    expect((await postJson(`${url}/api/runs/unknown/stop`, {})).status).toBe(404)
  })

  it('is stopped, and returns in bounded time although the engine accepts no end', async () => {
    const inner = memoryEngine()
    const engine: Engine = {
      ...inner,
      async append(log, events, options) {
        if (events.some(({ type }) => type === 'stream_end')) throw new MillraceError('log_full')
        return inner.append(log, events, options)
      },
    }
    const model = gatedModel()
    const { url } = await startServer({ engine, models: [model], model: 'gated' })
    const stream = await openStream(`${url}/api/chat?query=x&id=r`)
    await stream.next()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const answering = postJson(`${url}/api/runs/r/stop`, {})
    await model.aborted
    await vi.advanceTimersByTimeAsync(15_000)
    const answer = await answering
    expect([answer.status, await answer.json()]).toMatchObject([504, { error: { code: 'run_not_ended', retryable: true } }])
  })

  it('starts once for the same id, also for two requests at the same moment', async () => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    const streams = await Promise.all(Array.from({ length: 8 }, () => openStream(`${url}/api/chat?query=x&id=r`)))
    model.say('once')
    model.finish()
    const texts = await Promise.all(streams.map(async (stream) => textOf(await stream.rest())))
    expect(texts).toEqual(Array(8).fill('once'))
    expect(model.requests).toHaveLength(1)
    expect(textOf(await (await openStream(`${url}/api/chat?query=x&id=r`)).rest())).toBe('once')
    expect(model.requests).toHaveLength(1)
  })

  // After 10,000 other runs its id was free again, and it ran a second time.
  it('starts once for the same id, also after many thousands of others', { timeout: 60_000 }, async () => {
    const { millrace } = await startServer()
    let opened = 0
    const first = () =>
      millrace.run({
        id: 'first',
        source: () => {
          opened += 1
          return ['x']
        },
      })
    const { session } = await first()
    for (let n = 0; n < 12_000; n++) await (await millrace.run({ session: `s${n % 100}`, source: ['x'] })).ended
    expect(await first()).toMatchObject({ session, end: { status: 'completed' } })
    expect(opened).toBe(1)
  })

  // The messages before a question were held by its run, and by 10,000 runs that had ended.
  it('releases the conversation that its model was given', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const given: WeakRef<object>[] = []
    const { promise: over, resolve } = Promise.withResolvers<void>()
    async function* say() {
      yield 'half'
      await over
    }
    const model: Model = {
      name: 'asked',
      stream({ messages }) {
        given.push(new WeakRef(messages))
        return say()
      },
    }
    const { url, millrace } = await startServer({ models: [model], model: 'asked' })
    const { run } = await startRun(url, { query: 'x' })
    await vi.waitFor(() => expect(given).toHaveLength(1), 10_000)
    await vi.waitFor(() => {
      collect()
      expect(given[0]?.deref()).toBeUndefined()
    }, 10_000)
    expect(millrace.findRun(run)?.end).toBeUndefined()
    resolve()
    await millrace.findRun(run)?.ended
  })

  it('ends when a stop and its own end race, exactly once', async () => {
    const { url, millrace } = await startServer()
    for (let n = 0; n < 50; n++) {
      const { session } = await startRun(url, { query: 'x', id: `r${n}`, model: 'sim:count?n=20&tps=0' })
      const run = millrace.findRun(`r${n}`)
      setImmediate(() => run?.stop())
      await run?.ended
      const page = await millrace.engine.read(session, run?.start as never)
      expect(page.events.filter(({ type }) => type === 'stream_end')).toHaveLength(1)
      expect(page.events.at(-1)?.type).toBe('stream_end')
    }
  })
})

describe('limits of runs', () => {
  it('counts starts that are in progress', async () => {
    const { millrace } = await startServer({ limits: { runsPerNode: 1 } })
    const asked = await Promise.allSettled(Array.from({ length: 20 }, () => millrace.ask({ query: 'x', models: ['sim:hang'] })))
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('rejects one run too many, and accepts it when another has ended', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ models: [model], model: 'gated', limits: { runsPerNode: 1 } })
    await startRun(url, { query: 'x', id: 'r' })
    const refused = await postJson(`${url}/api/chat`, { query: 'y' })
    expect([refused.status, await refused.json()]).toMatchObject([429, { error: { code: 'too_many_runs' } }])
    millrace.findRun('r')?.stop()
    await millrace.findRun('r')?.ended
    expect((await startRun(url, { query: 'y' })).run).toBeTruthy()
  })

  it('ends a run whose session is deleted, instead of creating the session again', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ models: [model], model: 'gated' })
    const { session } = await startRun(url, { query: 'x', id: 'r' })
    const stream = await openStream(`${url}/api/stream?session=${session}`)
    await stream.next()
    await millrace.engine.delete(session)
    expect(await stream.rest()).toEqual([])
    model.say('too late')
    await model.aborted
    await millrace.findRun('r')?.ended
    expect(await millrace.engine.inspect(session)).toBeUndefined()
  })

  it('keeps its log until its end although nobody reads it and the engine evicts others', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ engine: memoryEngine({ logsMax: 2 }), models: [model], model: 'gated' })
    const { session, run } = await startRun(url, { query: 'x', id: 'r' })
    const crowd = async () => {
      for (let n = 0; n < 4; n++) await millrace.engine.append(`other ${n}`, [{ type: 'm', data: n }])
    }
    await crowd()
    expect(await millrace.engine.inspect(session)).toBeDefined()
    model.say('done')
    model.finish()
    await millrace.findRun(run)?.ended
    expect(millrace.findRun(run)?.end).toMatchObject({ status: 'completed' })
    await crowd()
    expect(await millrace.engine.inspect(session)).toBeUndefined()
  })

  it('ends as failed for its readers when the engine rejects writes, as soon as it accepts any', async () => {
    const inner = memoryEngine()
    let refusals = 3
    const engine: Engine = {
      ...inner,
      async append(log, events, options) {
        const isOfRun = events.some(({ type }) => type !== 'stream_start' && type !== 'session')
        if (isOfRun && refusals-- > 0) throw new MillraceError('log_full')
        return inner.append(log, events, options)
      },
    }
    const { url, errors } = await startServer({ engine })
    const events = await (await openStream(`${url}/api/chat?query=x`)).rest()
    expect(events.map(({ event }) => event)).toEqual(['stream_start', 'stream_end'])
    expect(data(events[1] as never)).toMatchObject({ status: 'failed', error: { code: 'log_full', retryable: true } })
    expect(errors).toMatchObject([{ code: 'log_full' }])
  })

  // The end was retried for 53 s. A disk that was full for longer left the answer `streaming` until a restart.
  it('records its end when the engine accepts writes again, however long that takes', async () => {
    const inner = memoryEngine()
    let isAway = true
    const engine: Engine = {
      ...inner,
      async append(log, events, options) {
        if (isAway && events.some(({ type }) => type === 'stream_end')) throw new MillraceError('log_full')
        return inner.append(log, events, options)
      },
    }
    const { millrace } = await startServer({ engine })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const run = await millrace.run({ source: ['said'] })
    await vi.advanceTimersByTimeAsync(30 * 60_000)
    expect(run.end).toBeUndefined()
    isAway = false
    await vi.advanceTimersByTimeAsync(5000)
    expect(await run.ended).toMatchObject({ status: 'completed' })
    expect((await millrace.readSession(run.session))?.runs[0]).toMatchObject({ status: 'completed', lanes: [{ text: 'said' }] })
  })

  it('closes in time although the engine rejects everything', async () => {
    const inner = memoryEngine()
    const engine: Engine = {
      ...inner,
      async append(log, events, options) {
        if (events.some(({ type }) => type !== 'stream_start')) throw new MillraceError('log_full')
        return inner.append(log, events, options)
      },
    }
    const { url, millrace } = await startServer({ engine })
    const { run } = await startRun(url, { query: 'x' })
    await millrace.close()
    expect(millrace.findRun(run)?.end).toMatchObject({ status: 'failed' })
  })

  it('does not report an error that its model throws after a stop', async () => {
    const model: Model = {
      name: 'sore',
      async *stream({ signal }) {
        yield 'a'
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('AbortError')))
        })
      },
    }
    const { url, millrace, errors } = await startServer({ models: [model], model: 'sore' })
    const stream = await openStream(`${url}/api/chat?query=x&id=r`)
    await stream.until('message')
    millrace.findRun('r')?.stop()
    expect(await millrace.findRun('r')?.ended).toMatchObject({ status: 'stopped' })
    await new Promise(setImmediate)
    expect(errors).toEqual([])
  })

  it('are interrupted when the server closes, and their text is kept', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ models: [model], model: 'gated' })
    const stream = await openStream(`${url}/api/chat?query=x`)
    await stream.next()
    model.say('last words')
    await stream.next()
    await Promise.all([millrace.close(), millrace.close()])
    expect((await stream.rest()).map(data)).toMatchObject([{ status: 'interrupted' }])
  })

  it('end within the grace of a closing server, which accepts no others', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ models: [model], model: 'gated' })
    const stream = await openStream(`${url}/api/chat?query=x`)
    await stream.next()
    const closing = millrace.close({ graceMs: 60_000 })
    await expect(millrace.ask({ query: 'y' })).rejects.toMatchObject({ code: 'server_stopping' })
    await expect(fetch(`${url}/healthz`, { headers: { connection: 'close' } })).rejects.toThrow('fetch failed')
    model.say('last words')
    model.finish()
    expect((await stream.rest()).map(data)).toMatchObject([{ text: 'last words' }, { status: 'completed' }])
    await closing
  })

  it('are interrupted, all lanes of them, after the grace', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ models: [model], model: 'gated' })
    const { session } = await startRun(url, { query: 'x', models: ['gated', 'sim:count?n=3&tps=0'] })
    const stream = await openStream(`${url}/api/stream?session=${session}`)
    await stream.until('lane_end')
    await millrace.close({ graceMs: 150 })
    const end = data((await stream.rest()).at(-1) as never)
    expect(end).toMatchObject({ status: 'interrupted', lanes: { gated: { status: 'interrupted' } } })
  })
})
