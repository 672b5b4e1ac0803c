/** Limits of principals: settled before anything is started, with a code and the time to wait; what is rejected spends nothing. */
import { createMillrace, type MillraceOptions } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { postJson, startRun } from './support/server.ts'
import { openSocket } from './support/socket.ts'

/** A server whose users say in a header who they are, with limits of their own as JSON. */
async function start(options: MillraceOptions = {}) {
  const model = gatedModel()
  const millrace = createMillrace({
    models: [model],
    model: 'gated',
    onError: () => {},
    authenticate({ headers }) {
      const user = headers.get('x-user')
      return user === null ? undefined : (JSON.parse(user) as { id: string })
    },
    access: { allowAnonymous: true },
    ...options,
  })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const ask = (user: object, body: object = {}) =>
    postJson(`${url}/api/chat`, { query: 'x', ...body }, { accept: 'application/json', ...as(user) })
  return { millrace, model, url, ask }
}

const as = (user: object) => ({ 'x-user': JSON.stringify(user) })
const refusal = async (response: Response) => {
  const { error } = (await response.json()) as { error?: { code: string; retryAfter?: number } }
  return {
    status: response.status,
    code: error?.code,
    retryAfter: response.headers.get('retry-after'),
    inBody: error?.retryAfter,
  }
}
const limited = (limits: object, id = 'ada') => ({ id, limits })

describe('runs of one principal', () => {
  it('in progress are limited, and one that ends makes room', async () => {
    const { model, ask, millrace } = await start()
    const ada = limited({ runsInFlight: 1 })
    const first = (await (await ask(ada)).json()) as { run: string }
    expect(await refusal(await ask(ada))).toEqual({ status: 429, code: 'too_many_runs', retryAfter: '1', inBody: 1 })
    expect(model.requests).toHaveLength(1)
    expect((await ask(limited({}, 'bob'))).status).toBe(202)
    millrace.findRun(first.run)?.stop()
    await millrace.findRun(first.run)?.ended
    expect((await ask(ada)).status).toBe(202)
  })

  it('per minute are limited, and neither a repetition nor what is rejected counts', async () => {
    const { ask } = await start()
    const ada = limited({ runsPerMinute: 2 })
    for (let n = 0; n < 3; n++) expect((await ask(ada, { id: 'same' })).status).toBe(202)
    expect((await ask(ada, { session: 'missing' })).status).toBe(404)
    expect((await ask(ada, { model: 'missing' })).status).toBe(404)
    expect((await ask(ada)).status).toBe(202)
    const { code, retryAfter } = await refusal(await ask(ada))
    expect(code).toBe('rate_limited')
    expect(Number(retryAfter)).toBeGreaterThan(50)
    expect((await ask(ada, { id: 'same' })).status).toBe(202)
  })

  it('are limited over a WebSocket by the same count', async () => {
    const { url, ask } = await start()
    const ada = limited({ runsPerMinute: 1 })
    expect((await ask(ada)).status).toBe(202)
    const socket = await openSocket(url, [], { headers: as(ada) })
    socket.send({ type: 'run', ref: '1', query: 'x' })
    expect(await socket.next()).toMatchObject({
      type: 'error',
      ref: '1',
      error: { code: 'rate_limited', retryAfter: expect.any(Number) },
    })
  })

  it('are not started once the tokens of the day are used up, until midnight UTC', async () => {
    const { ask, millrace } = await start({ model: 'sim:count?n=5&tps=0' })
    const ada = limited({ tokensPerDay: 5 })
    const { run } = (await (await ask(ada)).json()) as { run: string }
    await millrace.findRun(run)?.ended
    const { status, code, retryAfter } = await refusal(await ask(ada))
    expect({ status, code }).toEqual({ status: 429, code: 'budget_exhausted' })
    const untilMidnight =
      (Date.parse(`${new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)}T00:00:00Z`) - Date.now()) / 1000
    expect(Math.abs(Number(retryAfter) - untilMidnight)).toBeLessThan(5)
    expect((await ask(limited({ tokensPerDay: 5 }, 'bob'))).status).toBe(202)
  })

  it('are not started once the costs of a day are used up, of one or of all', async () => {
    const prices = { 'sim:*': { input: 0, output: 1_000_000 } }
    const { ask, millrace } = await start({
      model: 'sim:count?n=5&tps=0',
      usage: { prices },
      limits: { costPerDay: 5, allCostPerDay: 9 },
    })
    const endOf = async (response: Response) => millrace.findRun(((await response.json()) as { run: string }).run)?.ended
    await endOf(await ask({ id: 'ada' }))
    expect((await refusal(await ask({ id: 'ada' }))).code).toBe('budget_exhausted')
    await endOf(await ask({ id: 'bob' }))
    expect((await refusal(await ask({ id: 'eve' }))).code).toBe('budget_exhausted')
  })
})

describe('other limits of a principal', () => {
  it('count requests, events, tickets and connections', async () => {
    const { url } = await start()
    const post = async (path: string, body: object, user: object) =>
      (await refusal(await postJson(`${url}${path}`, body, as(user)))).code
    const nothing = limited({ publishesPerSecond: 0, ticketsPerMinute: 0, connections: 0 })
    expect(await post('/api/publish', { channel: 'c', data: 1 }, nothing)).toBe('rate_limited')
    expect(await post('/api/tickets', {}, nothing)).toBe('rate_limited')
    const stream = await fetch(`${url}/api/stream?channel=c&from=now`, { headers: as(nothing) })
    expect((await refusal(stream)).code).toBe('too_many_connections')
    const requests = limited({ requestsPerSecond: 1 }, 'bob')
    const codes = []
    for (let n = 0; n < 12; n++) codes.push((await fetch(`${url}/api/models`, { headers: as(requests) })).status)
    expect(codes).toEqual([...Array.from({ length: 10 }, () => 200), 429, 429])
  })

  it('bound what one WebSocket attaches', async () => {
    const { url } = await start()
    const socket = await openSocket(url, [], { headers: as(limited({ subscriptions: 1 })) })
    socket.send({ type: 'attach', channel: 'a' })
    await socket.next()
    socket.send({ type: 'attach', channel: 'b' })
    expect(await socket.next()).toMatchObject({ error: { code: 'too_many_attachments' } })
  })

  it('bound each address of `anonymous`, and no API key without limits of its own', async () => {
    const modelsByName = { 'sim:*': 'anyone' } as const
    const { url, millrace } = await start({ limits: { runsPerMinute: 1 }, model: 'sim:count?n=1&tps=0', modelsByName })
    const ask = async (headers: Record<string, string> = {}) =>
      (await postJson(`${url}/api/chat`, { query: 'x' }, { accept: 'application/json', ...headers })).status
    expect([await ask(), await ask()]).toEqual([202, 429])
    const { key } = await millrace.keys.create({ name: 'backend' })
    expect([await ask({ authorization: `Bearer ${key}` }), await ask({ authorization: `Bearer ${key}` })]).toEqual([202, 202])
    const { key: bounded } = await millrace.keys.create({ name: 'job', limits: { runsPerMinute: 1 } })
    expect([await ask({ authorization: `Bearer ${bounded}` }), await ask({ authorization: `Bearer ${bounded}` })]).toEqual([
      202, 429,
    ])
  })

  it('do not bound anybody on an open server', async () => {
    const millrace = createMillrace({
      model: 'sim:count?n=1&tps=0',
      limits: { runsPerMinute: 0, runsInFlight: 0, requestsPerSecond: 0 },
    })
    onTestFinished(() => millrace.close())
    const { url } = await millrace.listen({ port: 0 })
    expect(await startRun(url, { query: 'x' })).toMatchObject({ run: expect.any(String) })
  })
})

describe('limits of addresses', () => {
  it.each([
    ['requestsPerAddress', '/api/models', {}],
    [
      'requestsPerAddress',
      '/api/heartbeat',
      { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"stream":"none"}' },
    ],
    ['handshakesPerAddress', '/api/stream?channel=c&live=sse', {}],
    [
      'bytesPerAddress',
      '/api/publish',
      { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"channel":"c","data":1}' },
    ],
  ])('reject with the time to wait: %s', async (name, path, init) => {
    const { url } = await start({ limits: { [name]: 0.1 } })
    const answers = []
    for (let n = 0; n < 2; n++) {
      const abort = new AbortController()
      const response = await fetch(`${url}${path}`, { ...init, signal: abort.signal })
      answers.push(response.ok ? 'ok' : (await refusal(response)).code)
      abort.abort()
    }
    expect(answers).toEqual(['ok', 'rate_limited'])
  })
})

it('a flood of requests does not take the heartbeat answers of its address', async () => {
  const { url } = await start({ limits: { requestsPerAddress: 0.1 } })
  const heartbeat = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"stream":"none"}' }
  const statuses = []
  for (const [path, init] of [
    ['models', {}],
    ['models', {}],
    ['heartbeat', heartbeat],
  ] as const)
    statuses.push((await fetch(`${url}/api/${path}`, init)).status)
  expect(statuses).toEqual([200, 429, 204])
})

it.each([{ runsPerMinut: 1 }, { connections: -1 }, { runMsMax: Number.NaN }])('%j is no limit', (limits) => {
  expect(() => createMillrace({ limits } as MillraceOptions)).toThrow(TypeError)
})
