import { memoryEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { keepNewest } from './support/keep-newest.ts'
import { startRun, startServer } from './support/server.ts'
import { counted, data, openStream, textOf } from './support/stream.ts'

describe('a stream that was cut', () => {
  it.each([
    ['/api/chat', (url: string) => `${url}/api/chat?query=x&model=${encodeURIComponent('sim:count?n=40&tps=0')}`],
    [
      '/api/chat with two lanes',
      (url: string) => `${url}/api/chat?query=x&models=${encodeURIComponent('sim:count?n=40&tps=0,sim:hang?after=0')}`,
    ],
  ])('%s resumes after any event, none lost and none repeated', async (_name, address) => {
    const { url, millrace } = await startServer({ limits: { idleMsMax: 200 } })
    const whole = await (await openStream(address(url))).rest()
    expect(textOf(whole)).toBe(counted(1, 40))
    for (const [index, { id }] of whole.slice(0, -1).entries()) {
      const resumed = await (await openStream(address(url), { headers: { 'last-event-id': id } })).rest()
      expect(textOf(whole.slice(0, index + 1)) + textOf(resumed)).toBe(counted(1, 40))
      expect(resumed.at(-1)).toEqual(whole.at(-1))
    }
    expect((await fetch(address(url), { headers: { 'last-event-id': whole.at(-1)?.id ?? '' } })).status).toBe(204)
    // None of these requests has started another run.
    const session = String(data(whole[0] as never).session)
    expect((await millrace.readSession(session))?.runs).toHaveLength(1)
  })

  it('resumes during an answer, with what was written meanwhile and what follows', async () => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    const first = await openStream(`${url}/api/chat?query=x`)
    await first.next()
    model.say('1 ', '2 ')
    await first.next()
    const { id } = await first.next()
    first.close()
    model.say('3 ', '4 ')
    const second = await openStream(`${url}/api/chat?query=x&lastEventId=${id}`)
    expect(data(await second.next())).toEqual({ text: '3 ' })
    expect(data(await second.next())).toEqual({ text: '4 ' })
    model.say('5 ')
    expect(data(await second.next())).toEqual({ text: '5 ' })
    model.finish()
    expect((await second.next()).event).toBe('stream_end')
  })

  it('resumes a session in the middle of two runs that overlap', async () => {
    const [a, b] = [gatedModel('a'), gatedModel('b')]
    const { url, millrace } = await startServer({ models: [a, b] })
    await millrace.engine.append('s', [])
    await startRun(url, { query: 'x', session: 's', model: 'a' })
    await startRun(url, { query: 'y', session: 's', model: 'b' })
    const stream = await openStream(`${url}/api/stream?session=s`)
    for (const word of ['1', '2', '3', '4']) {
      a.say(`a${word} `)
      b.say(`b${word} `)
    }
    a.finish()
    b.finish()
    await stream.until('stream_end')
    await stream.until('stream_end')
    const whole = stream.events
    const ofLane = (events: typeof whole, lane: string) => textOf(events.filter((event) => data(event).lane === lane))
    for (const [index, { id }] of whole.slice(0, -1).entries()) {
      const rest = await openStream(`${url}/api/stream?session=s&from=${id}`)
      while (rest.events.at(-1)?.id !== whole.at(-1)?.id) await rest.next()
      rest.close()
      const both = [...whole.slice(0, index + 1), ...rest.events]
      expect([ofLane(both, 'a'), ofLane(both, 'b')]).toEqual(['a1 a2 a3 a4 ', 'b1 b2 b3 b4 '])
    }
  })

  it('replays a finished answer of 3,000 tokens in at most 5 frames', async () => {
    const { url } = await startServer()
    const { session } = await startRun(url, { query: 'x', model: 'sim:count?n=3000&tps=0', id: 'run' })
    await (await openStream(`${url}/api/chat?query=x&id=run`)).rest()
    const events = await (await openStream(`${url}/api/stream?session=${session}`)).until('stream_end')
    expect(events.length).toBeLessThanOrEqual(5)
    expect(textOf(events)).toBe(counted(1, 3000))
  })
})

describe('where a stream begins', () => {
  it('the header goes before lastEventId, and that before from', async () => {
    const { url } = await startServer()
    const { session } = await startRun(url, { query: 'x', id: 'r' })
    await (await openStream(`${url}/api/chat?query=x&id=r`)).rest()
    const all = await (await openStream(`${url}/api/stream?session=${session}`)).until('stream_end')
    const epoch = all[0]?.id.split('-')[0]
    const firstText = async (query: string, headers: Record<string, string> = {}) =>
      textOf(await (await openStream(`${url}/api/stream?session=${session}${query}`, { headers })).until('stream_end'))
    expect(await firstText(`&from=${epoch}-2`)).toBe('2 3 4 5 ')
    expect(await firstText(`&from=${epoch}-2&lastEventId=${epoch}-3`)).toBe('3 4 5 ')
    expect(await firstText(`&from=${epoch}-2&lastEventId=${epoch}-3`, { 'last-event-id': `${epoch}-4` })).toBe('4 5 ')
    expect(await firstText('', { 'last-event-id': '' })).toBe(counted(1, 5))
  })

  it('`now` begins with what happens next', async () => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    const { session } = await startRun(url, { query: 'x' })
    model.say('before ')
    const watcher = await openStream(`${url}/api/stream?session=${session}`)
    await watcher.until('message')
    const stream = await openStream(`${url}/api/stream?session=${session}&from=now`)
    model.say('after')
    expect(data(await stream.next())).toMatchObject({ text: 'after' })
  })
})

describe('retention', () => {
  it('rejects a trimmed position with what to do, and serves the rest with a gap during a stream', async () => {
    const { url, millrace } = await startServer({ engine: keepNewest(memoryEngine(), 50) })
    const { session } = await startRun(url, { query: 'x', model: 'sim:count?n=200&tps=0', id: 'r' })
    await millrace.findRun('r')?.ended
    const state = await millrace.engine.inspect(session)
    const epoch = state?.head.epoch
    const response = await fetch(`${url}/api/stream?session=${session}&from=${epoch}-10`)
    expect([response.status, await response.json()]).toMatchObject([410, { error: { code: 'position_expired' } }])
    const transcript = await millrace.readSession(session)
    expect(transcript).toMatchObject({ complete: false, position: `${epoch}-202` })
    const start = await openStream(`${url}/api/stream?session=${session}`)
    expect(textOf(await start.until('stream_end'))).toBe(counted(152, 200))
  })
})

describe('a run whose log is lost', () => {
  it.each(['deleted', 're-created'])('is not an empty answer: %s', async (how) => {
    const { url, millrace } = await startServer()
    const { run, session } = await startRun(url, { query: 'x' })
    await millrace.findRun(run)?.ended
    await millrace.engine.delete(session)
    if (how === 're-created') await millrace.engine.append(session, [])
    const answer = await fetch(`${url}/api/chat?query=x&id=${run}`)
    expect([answer.status, await answer.json()]).toMatchObject(
      how === 'deleted' ? [404, { error: { code: 'session_not_found' } }] : [409, { error: { code: 'position_foreign' } }],
    )
  })
})
