import { describe, expect, it } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { raw } from './support/raw.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { counted, data, openStream, textOf } from './support/stream.ts'

const end = (status: string) => ({
  status,
  usage: { inputTokens: expect.any(Number), outputTokens: expect.any(Number), totalTokens: expect.any(Number) },
  timings: { firstTokenMs: expect.any(Number), durationMs: expect.any(Number) },
})

describe('GET /api/chat', () => {
  it('responds in the shapes of the reference document, byte for byte', async () => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    model.say('你', '好', '！')
    model.finish()
    const response = await fetch(`${url}/api/chat?query=${encodeURIComponent('你好')}`)
    const text = await response.text()
    const position = '[A-Za-z0-9_-]{22}:[0-9a-z]{12}'
    expect(text).toMatch(
      new RegExp(
        `^retry: [12]\\d{3}\n\n: millrace\n\n` +
          `event: stream_start\nid: ${position}-1\ndata: {"session":"[^"]{22}","run":"[^"]{22}","model":"gated"}\n\n` +
          `event: message\nid: ${position}-2\ndata: {"text":"你"}\n\n` +
          `event: message\nid: ${position}-3\ndata: {"text":"好"}\n\n` +
          `event: message\nid: ${position}-4\ndata: {"text":"！"}\n\n` +
          `event: stream_end\nid: ${position}-5\ndata: {"status":"completed","usage":{[^}]*},"timings":{[^}]*}}\n\n$`,
      ),
    )
    expect(model.requests[0]?.messages).toEqual([{ role: 'user', text: '你好' }])
  })

  it('sends headers that survive proxies, and the first bytes before any token', async () => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    const stream = await openStream(`${url}/api/chat?query=hello`)
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(stream.response.headers.get('cache-control')).toBe('no-store, no-transform')
    expect(stream.response.headers.get('x-accel-buffering')).toBe('no')
    expect((await stream.next()).event).toBe('stream_start')
    expect(stream.comments).toEqual(['millrace'])
  })

  it('delivers each token at once, without waiting for the next one', async () => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    const stream = await openStream(`${url}/api/chat?query=hello`)
    await stream.next()
    for (const word of ['one ', 'two ', 'three']) {
      model.say(word)
      expect(data(await stream.next())).toEqual({ text: word })
    }
  })

  it('varies its retry between clients', async () => {
    const { url } = await startServer()
    const texts = await Promise.all(Array.from({ length: 8 }, async () => (await fetch(`${url}/api/chat?query=x`)).text()))
    expect(new Set(texts.map((text) => /^retry: (\d+)/.exec(text)?.[1])).size).toBeGreaterThan(1)
  })

  it('carries reasoning, data, usage and the finish reason', async () => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    model.say({ reasoning: 'hm' }, { text: 'yes' }, { data: { name: 'weather', value: { celsius: [1, 2] } } })
    model.say(
      { usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5, reasoningTokens: 1, cachedInputTokens: 2 } },
      { finishReason: 'length' },
    )
    model.finish()
    const events = await (await openStream(`${url}/api/chat?query=hello`)).rest()
    expect(events.slice(1).map((event) => [event.event, data(event)])).toEqual([
      ['reasoning', { reasoning: 'hm' }],
      ['message', { text: 'yes' }],
      ['data', { name: 'weather', value: { celsius: [1, 2] } }],
      [
        'stream_end',
        {
          ...end('completed'),
          finishReason: 'length',
          usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5, reasoningTokens: 1, cachedInputTokens: 2 },
        },
      ],
    ])
  })

  it('responds to HEAD as to GET, without a body', async () => {
    const { url, port, millrace } = await startServer()
    await millrace.engine.append('s', [])
    for (const [path, status] of [
      ['/api/stream?session=s', 200],
      ['/api/stream?session=unknown', 404],
      ['/api/stream?session=unknown&live=poll', 404],
      ['/api/stream?session=s&from=x', 400],
      ['/api/stream', 400],
      ['/api/chat', 400],
      ['/api/chat?query=x&lastEventId=x', 400],
      ['/api/sessions/unknown', 404],
      ['/api/models', 200],
    ] as const) {
      const [head, get] = await Promise.all(
        ['HEAD', 'GET'].map(async (method) => {
          const abort = new AbortController()
          const { status, headers } = await fetch(url + path, { method, signal: abort.signal })
          abort.abort()
          return { status, type: headers.get('content-type') }
        }),
      )
      expect(head).toEqual(get)
      expect(head?.status).toBe(status)
    }
    const answer = await raw(port, 'HEAD /api/stream?session=unknown HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
    expect(answer.split('\r\n\r\n')[1]).toBe('')
    await expect.poll(() => millrace.connections).toBe(0)
  })

  it('responds to HEAD of a channel as to GET, and does not create it', async () => {
    const { url, millrace } = await startServer()
    await millrace.engine.append('s', [])
    for (const [query, status] of [
      ['channel=c', 200],
      ['channel=c&from=now', 200],
      ['channel=c&live=poll&wait=0', 200],
      ['channel=c&session=s', 200],
      ['channel=c&from=x', 400],
      ['channel=c&from=abcdefgh-1', 409],
    ] as const) {
      const head = await fetch(`${url}/api/stream?${query}`, { method: 'HEAD' })
      expect([query, head.status]).toEqual([query, status])
      expect(await millrace.engine.inspect('channel/c')).toBeUndefined()
      const get = await fetch(`${url}/api/stream?${query}`)
      void get.body?.cancel()
      expect([query, get.status, get.headers.get('content-type')]).toEqual([query, status, head.headers.get('content-type')])
      await millrace.engine.delete('channel/c')
    }
    await expect.poll(() => millrace.connections).toBe(0)
  })

  it('responds to HEAD of a long-poll at once', async () => {
    const { url, millrace } = await startServer()
    await millrace.engine.append('s', [])
    const response = await fetch(`${url}/api/stream?session=s&live=poll&wait=30`, { method: 'HEAD' })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
  })

  it('responds to HEAD with the headers, and starts nothing', async () => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    for (const [accept, expected] of [
      ['*/*', [200, 'text/event-stream; charset=utf-8']],
      ['application/json', [202, 'application/json']],
    ] as const) {
      const response = await fetch(`${url}/api/chat?query=hello`, { method: 'HEAD', headers: { accept } })
      expect([response.status, response.headers.get('content-type')]).toEqual(expected)
    }
    expect(model.requests).toHaveLength(0)
  })
})

describe('several models at once', () => {
  it('runs them in parallel, and every event of a lane names it', async () => {
    const [a, b] = [gatedModel('a'), gatedModel('b')]
    const { url } = await startServer({ models: [a, b] })
    const stream = await openStream(`${url}/api/chat?query=hello&models=a,b,a`)
    expect(data(await stream.next())).toMatchObject({
      lanes: [
        { lane: 'a', model: 'a' },
        { lane: 'b', model: 'b' },
        { lane: 'a#2', model: 'a' },
      ],
    })
    b.say('b1 ')
    expect(data(await stream.next())).toEqual({ text: 'b1 ', lane: 'b' })
    b.finish()
    const laneEnd = await stream.next()
    expect([laneEnd.event, data(laneEnd)]).toMatchObject(['lane_end', { lane: 'b', model: 'b', status: 'completed' }])
    a.say('a1 ')
    expect(data(await stream.next())).toMatchObject({ text: 'a1 ' })
  })

  it('continues the other lanes when one fails', async () => {
    const { url } = await startServer()
    const models = encodeURIComponent('sim:count?n=30&tps=0,sim:fail?after=3&tps=0')
    const events = await (await openStream(`${url}/api/chat?query=hello&models=${models}`)).rest()
    const ofLane = (lane: string) => textOf(events.filter((event) => data(event).lane === lane))
    expect(ofLane('sim:count?n=30&tps=0')).toBe(counted(1, 30))
    expect(ofLane('sim:fail?after=3&tps=0')).toBe(counted(1, 3))
    const last = data(events.at(-1) as never)
    expect(last).toMatchObject({
      status: 'completed',
      lanes: {
        'sim:count?n=30&tps=0': { status: 'completed' },
        'sim:fail?after=3&tps=0': { status: 'failed', error: { code: 'model_failed', retryable: true } },
      },
    })
    expect((last.usage as { outputTokens: number }).outputTokens).toBe(33)
  })

  it('names events after their lane on request', async () => {
    const { url } = await startServer()
    const models = encodeURIComponent('sim:count?n=2&tps=0,sim:echo?tps=0')
    const events = await (await openStream(`${url}/api/chat?query=hello&events=lane&models=${models}`)).rest()
    const count = events.filter(({ event }) => event === 'sim:count?n=2&tps=0').map(data)
    expect(count).toEqual([
      { text: '1 ', lane: 'sim:count?n=2&tps=0' },
      { text: '2 ', lane: 'sim:count?n=2&tps=0' },
      expect.objectContaining({ status: 'completed' }),
    ])
    expect(events.filter(({ event }) => event === 'message')).toEqual([])
    expect(events.at(-1)?.event).toBe('stream_end')
  })
})

describe('POST /api/chat', () => {
  it('streams like GET', async () => {
    const { url } = await startServer()
    const response = await postJson(`${url}/api/chat`, { query: '你好', model: 'sim:echo?tps=0' })
    expect(response.headers.get('content-type')).toMatch('text/event-stream')
    expect(await response.text()).toMatch(/"text":"你/)
  })

  it('only starts the run if JSON is accepted, and says where to read it', async () => {
    const { url } = await startServer()
    const { session, run, position } = await startRun(url, { query: 'x' })
    const events = await (await openStream(`${url}/api/stream?session=${session}&from=${position}`)).until('stream_end')
    expect(events.map(({ event }) => event)).toContain('stream_start')
    expect(events.every((event) => data(event).run === run)).toBe(true)
    expect(textOf(events)).toBe(counted(1, 5))
  })

  it('continues the conversation of its session', async () => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated' })
    const { id: session } = (await (await postJson(`${url}/api/sessions`, {})).json()) as { id: string }
    model.say('first answer')
    model.finish()
    await (await openStream(`${url}/api/chat?query=one&session=${session}`)).rest()
    model.finish()
    await (await openStream(`${url}/api/chat?query=two&session=${session}`)).rest()
    expect(model.requests[1]?.messages).toEqual([
      { role: 'user', text: 'one' },
      { role: 'assistant', text: 'first answer' },
      { role: 'user', text: 'two' },
    ])
  })
})
