/** What a run is asked beside its messages: instructions, parameters and metadata. */
import { limits } from '@millrace/protocol'
import { createMillrace, type Millrace, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { echo, given, rejection } from './support/given.ts'
import { makeFolder } from './support/process.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { openStream } from './support/stream.ts'
import { bearer, secret, sign } from './support/tokens.ts'

const user = (content: string) => ({ role: 'user', content }) as const

describe('instructions', () => {
  const options = { ...echo, instructions: 'Server.' }
  const systemOf = async (millrace: Millrace, run: string) => {
    const { messages } = await given(millrace, run)
    expect(messages.filter(({ role }) => role === 'system')).toHaveLength(1)
    return messages[0]?.text
  }
  const patch = (url: string, session: string, body: object, headers = {}) =>
    fetch(`${url}/api/sessions/${session}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })

  it('of the server come first, and those of a request replace those of the session', async () => {
    const { url, millrace } = await startServer(options)
    const { session } = await startRun(url, { query: 'x', id: 'one' })
    expect(await systemOf(millrace, 'one')).toBe('Server.')
    expect(await (await patch(url, session, { instructions: 'Session.' })).json()).toMatchObject({ id: session, title: 'x' })
    await startRun(url, { query: 'y', session, id: 'two' })
    expect(await systemOf(millrace, 'two')).toBe('Server.\n\nSession.')
    await startRun(url, { query: 'z', session, instructions: 'Request.', id: 'three' })
    expect(await systemOf(millrace, 'three')).toBe('Server.\n\nRequest.')
    expect(await (await fetch(`${url}/api/sessions/${session}/instructions`)).json()).toEqual({ instructions: 'Session.' })
    await patch(url, session, { instructions: null })
    await startRun(url, { query: 'y', session, id: 'four' })
    expect(await systemOf(millrace, 'four')).toBe('Server.')
    await millrace.sessions.instructions.set(session, 'Library.')
    expect(await millrace.sessions.instructions.read(session)).toBe('Library.')
  })

  it('of the server are in no event, transcript or response', async () => {
    const { url, millrace } = await startServer({ ...options, model: 'sim:count?n=1&tps=0' })
    const { session } = await startRun(url, { query: 'x', instructions: 'Mine.', id: 'one' })
    await millrace.findRun('one')?.ended
    const paths = ['', '/export', '/instructions'].map((path) => `/api/sessions/${session}${path}`)
    for (const path of [...paths, `/api/stream?session=${session}&live=poll`]) {
      const body = await (await fetch(url + path)).text()
      expect(body).not.toContain('Server.')
    }
  })

  it('and a first message of the system are one message', async () => {
    const { url, millrace } = await startServer(options)
    await startRun(url, { messages: [{ role: 'system', content: 'Own.' }, user('x')], instructions: 'Request.', id: 'one' })
    expect(await systemOf(millrace, 'one')).toBe('Server.\n\nRequest.\n\nOwn.')
  })

  it('of the session are there after a restart, and gone with the session', async () => {
    const folder = makeFolder()
    const start = async () => {
      const millrace = createMillrace({ ...options, engine: sqliteEngine({ folder }) })
      onTestFinished(() => millrace.close())
      return millrace
    }
    const one = await start()
    const { session } = await one.ask({ query: 'x' })
    await one.sessions.instructions.set(session, 'Session.')
    await one.close()
    const two = await start()
    const run = await two.ask({ query: 'y', session })
    expect(await systemOf(two, run.id)).toBe('Server.\n\nSession.')
    await two.sessions.delete(session)
    await expect(two.sessions.instructions.read(session)).rejects.toMatchObject({ code: 'session_not_found' })
    await expect(two.sessions.instructions.set(session, 'x')).rejects.toMatchObject({ code: 'session_not_found' })
    await two.engine.append(session, [])
    expect(await two.sessions.instructions.read(session)).toBeNull()
  })

  it('are given again where an answer is resumed', async () => {
    const { url, millrace } = await startServer({ ...options, model: 'sim:echo?tps=25&show=request' })
    const { session } = await startRun(url, { query: 'x', instructions: 'Request.', params: { temperature: 1 }, id: 'one' })
    await expect.poll(async () => (await millrace.readSession(session))?.runs[0]?.lanes[0]?.text).toContain('system')
    millrace.findRun('one')?.stop()
    await millrace.findRun('one')?.ended
    await (await millrace.resume({ run: 'one', session, id: 'two' })).ended
    const runs = (await millrace.readSession(session))?.runs ?? []
    const whole = JSON.parse(runs.map(({ lanes }) => lanes[0]?.text).join(''))
    expect(whole).toMatchObject({ messages: [{ text: 'Server.\n\nRequest.' }, { text: 'x' }], params: { temperature: 1 } })
  })

  it('need the action session.instruct, as do messages of the system, and are their owner’s', async () => {
    const { url, millrace } = await startServer({ ...options, access: { tokens: { secret } } })
    const ada = bearer(await sign({ sub: 'ada' }))
    const limited = bearer(await sign({ sub: 'ada', millrace: { may: ['run.*', 'session.read', 'session.rename'] } }))
    const { session } = await startRun(url, { query: 'x' }, ada)
    for (const body of [{ query: 'x', instructions: 'y' }, { messages: [{ role: 'system', content: 'y' }, user('x')] }])
      expect(await rejection(postJson(`${url}/api/chat`, { ...body, session }, limited))).toEqual([403, 'forbidden'])
    expect(await rejection(patch(url, session, { title: 'new', instructions: 'y' }, limited))).toEqual([403, 'forbidden'])
    expect(await rejection(fetch(`${url}/api/sessions/${session}/instructions`, { headers: limited }))).toEqual([
      403,
      'forbidden',
    ])
    expect((await patch(url, session, { title: 'new' }, limited)).status).toBe(200)
    const other = bearer(await sign({ sub: 'eve' }))
    expect(await rejection(patch(url, session, { instructions: 'y' }, other))).toEqual([404, 'session_not_found'])
    expect((await patch(url, session, { instructions: 'y' }, ada)).status).toBe(200)
    expect(await rejection(fetch(`${url}/api/sessions/${session}`, { headers: other }))).toEqual([404, 'session_not_found'])
    expect(await millrace.sessions.instructions.read(session)).toBe('y')
  })

  it('leave a session its owner where only the list still has him', async () => {
    const { url, millrace } = await startServer({ ...options, access: { tokens: { secret } } })
    const ada = bearer(await sign({ sub: 'ada' }))
    const { session, run } = await startRun(url, { query: 'x' }, ada)
    await millrace.findRun(run)?.ended
    await expect.poll(async () => (await millrace.sessions.list({ owner: 'ada' })).sessions).toHaveLength(1)
    await millrace.engine.delete(`record/${session}`)
    await millrace.sessions.instructions.set(session, 'y')
    const other = bearer(await sign({ sub: 'eve' }))
    expect((await fetch(`${url}/api/sessions/${session}`, { headers: ada })).status).toBe(200)
    expect(await rejection(fetch(`${url}/api/sessions/${session}`, { headers: other }))).toEqual([404, 'session_not_found'])
  })

  it.each([{ instructions: '' }, { instructions: 'x'.repeat(limits.instructionsLengthMax + 1) }, { instructions: 1 }, {}])(
    'of a session are rejected: %o',
    async (body) => {
      const { url } = await startServer(options)
      const { session } = await startRun(url, { query: 'x' })
      expect(await rejection(patch(url, session, body))).toEqual([400, 'invalid_request'])
    },
  )
})

describe('params', () => {
  it('reach the model, and are recorded', async () => {
    const { url, millrace } = await startServer(echo)
    const params = {
      temperature: 0.5,
      topP: 1,
      maxOutputTokens: 10,
      stop: ['\n'],
      seed: 7,
      reasoningEffort: 'low',
      responseFormat: { type: 'json' },
    }
    const { session } = await startRun(url, { query: 'x', params, id: 'one' })
    expect((await given(millrace, 'one')).params).toEqual(params)
    expect((await millrace.readSession(session))?.runs).toMatchObject([{ params }])
  })

  it('that a model does not take reject the run before it starts, whichever lane', async () => {
    const { url, millrace } = await startServer({
      ...echo,
      modelsByName: ['sim', 'builtin'],
      models: { mine: { name: 'mine', takes: ['seed'], async *stream() {} } },
    })
    const ask = (models: string[], params: object) => rejection(postJson(`${url}/api/chat`, { query: 'x', models, params }))
    for (const model of ['sim:count', 'builtin:guide'])
      expect(await ask(['sim:echo', model], { temperature: 1 })).toEqual([400, 'param_not_supported'])
    expect(await ask(['mine'], { seed: 1, topP: 1 })).toEqual([400, 'param_not_supported'])
    await expect(millrace.ask({ query: 'x', models: ['mine'], params: { topP: 1 } })).rejects.toMatchObject({
      code: 'param_not_supported',
      message: expect.stringMatching(/mine.*params\.topP/),
    })
    expect((await millrace.sessions.list()).sessions).toEqual([])
    await startRun(url, { query: 'x', models: ['mine'], params: { seed: 1 } })
  })

  it.each<object>([
    { temperature: 2.1 },
    { temperature: '1' },
    { topP: -0.1 },
    { maxOutputTokens: 0 },
    { maxOutputTokens: 1.5 },
    { stop: [] },
    { stop: [''] },
    { stop: Array.from({ length: 17 }, () => 'x') },
    { seed: -1 },
    { reasoningEffort: 'extreme' },
    { responseFormat: { type: 'xml' } },
    { responseFormat: { type: 'json_schema' } },
    { responseFormat: { type: 'json_schema', schema: [] } },
    { provider: { model: 'expensive' } },
    { provider: { a: 'x'.repeat(limits.providerBytesMax) } },
    { responseFormat: { type: 'json_schema', schema: { a: 'x'.repeat(limits.paramsBytesMax) } } },
    { temprature: 1 },
  ])('are rejected: %o', async (params) => {
    const { url, millrace } = await startServer({ ...echo, providerParams: ['model', 'a'] })
    expect(await rejection(postJson(`${url}/api/chat`, { query: 'x', params }))).toEqual([400, 'invalid_request'])
    await expect(millrace.ask({ query: 'x', params })).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('of a provider are for clients only where the host names them', async () => {
    const { url, millrace } = await startServer({ ...echo, providerParams: ['top_k'] })
    const provider = { top_k: 3 }
    await startRun(url, { query: 'x', params: { provider }, id: 'one' })
    expect((await given(millrace, 'one')).params).toEqual({ provider })
    const tier = { provider: { service_tier: 'priority' } }
    expect(await rejection(postJson(`${url}/api/chat`, { query: 'x', params: tier }))).toEqual([403, 'forbidden'])
    await millrace.ask({ query: 'x', params: tier })
  })

  it('are no part of a GET', async () => {
    const { url } = await startServer(echo)
    const stream = await openStream(`${url}/api/chat?query=hi&instructions=x&metadata=y`)
    expect(JSON.stringify(await stream.rest())).not.toContain('"role\\":\\"system')
  })
})

describe('metadata', () => {
  it('is kept with the run, and no model gets it', async () => {
    const { url, millrace } = await startServer(echo)
    const { session } = await startRun(url, { query: 'x', metadata: { tenant: 'acme' }, id: 'one' })
    expect(JSON.stringify(await given(millrace, 'one'))).not.toContain('acme')
    expect((await millrace.readSession(session))?.runs).toMatchObject([{ metadata: { tenant: 'acme' } }])
  })

  it.each([
    ['17 keys', Object.fromEntries(Array.from({ length: 17 }, (_, key) => [`${key}`, '']))],
    ['a long key', { ['k'.repeat(65)]: '' }],
    ['a long value', { k: 'v'.repeat(513) }],
    ['a value that is no text', { k: 1 }],
    ['a list', ['x']],
  ])('is rejected: %s', async (_what, metadata) => {
    const { url } = await startServer(echo)
    expect(await rejection(postJson(`${url}/api/chat`, { query: 'x', metadata }))).toEqual([400, 'invalid_request'])
  })
})
