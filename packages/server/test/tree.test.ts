/** A run follows another, so a session is a tree: PROTOCOL.md#the-tree. */
import { createMillrace, type Millrace, memoryEngine, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { echo, given, rejection } from './support/given.ts'
import { makeFolder } from './support/process.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { bearer, secret, sign } from './support/tokens.ts'

/** What the model of a run was asked by users. */
const askedIn = async (millrace: Millrace, run: string) =>
  (await given(millrace, run)).messages.filter(({ role }) => role === 'user').map(({ text }) => text)

const parents = async (millrace: Millrace, session: string) =>
  Object.fromEntries(((await millrace.readSession(session))?.runs ?? []).map(({ run, parent }) => [run, parent]))

/** One, then two; then another two, and three after the first. */
async function startTree(url: string, headers = {}) {
  const ask = async (id: string, body: object) => {
    await postJson(`${url}/api/chat`, { query: id, id, session: 'tree', ...body }, headers).then((answer) => answer.text())
  }
  await postJson(`${url}/api/sessions`, { id: 'tree' }, headers)
  await ask('one', {})
  await ask('two', {})
  await ask('other', { parent: 'one' })
  await ask('three', { parent: 'two' })
  return { ask }
}

describe('a question', () => {
  it('with a parent is given the path to it, and without one that to the newest run', async () => {
    const { url, millrace } = await startServer(echo)
    const { ask } = await startTree(url)
    expect(await askedIn(millrace, 'two')).toEqual(['one', 'two'])
    expect(await askedIn(millrace, 'other')).toEqual(['one', 'other'])
    expect(await askedIn(millrace, 'three')).toEqual(['one', 'two', 'three'])
    await ask('four', {})
    expect(await askedIn(millrace, 'four')).toEqual(['one', 'two', 'three', 'four'])
    await fetch(`${url}/api/chat?query=five&id=five&session=tree&parent=one`).then((answer) => answer.text())
    expect(await askedIn(millrace, 'five')).toEqual(['one', 'five'])
    await ask('root', { parent: null })
    expect(await askedIn(millrace, 'root')).toEqual(['root'])
    await ask('after', {})
    expect(await askedIn(millrace, 'after')).toEqual(['root', 'after'])
    expect(await parents(millrace, 'tree')).toEqual({
      one: null,
      two: 'one',
      other: 'one',
      three: 'two',
      four: 'three',
      five: 'one',
      root: null,
      after: 'root',
    })
  })

  it('has its parent over a WebSocket and from the library too', async () => {
    const { url, millrace } = await startServer(echo)
    await startTree(url)
    const socket = await openSocket(url)
    socket.send({ type: 'run', query: 'five', id: 'five', session: 'tree', parent: 'other', ref: '1' })
    await socket.next()
    expect(await askedIn(millrace, 'five')).toEqual(['one', 'other', 'five'])
    await millrace.ask({ query: 'six', id: 'six', session: 'tree', parent: 'one' })
    expect(await askedIn(millrace, 'six')).toEqual(['one', 'six'])
    await (await millrace.run({ query: 'own', id: 'own', session: 'tree', parent: 'two', source: ['x'] })).ended
    expect(await parents(millrace, 'tree')).toMatchObject({ five: 'other', six: 'one', own: 'two' })
    await expect(millrace.run({ session: 'tree', parent: 'no', source: ['x'] })).rejects.toMatchObject({
      code: 'parent_not_found',
    })
  })

  it('names an answer by any of its runs, and is recorded with the first', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ ...echo, models: [model] })
    const { session } = await startRun(url, { query: 'half', id: 'half', model: 'gated' })
    model.say('so ')
    await expect.poll(async () => (await millrace.readSession(session))?.runs[0]?.lanes[0]?.text).toBe('so ')
    millrace.findRun('half')?.stop()
    await millrace.findRun('half')?.ended
    await millrace.resume({ run: 'half', session, id: 'rest' })
    model.say('far')
    model.finish()
    await millrace.findRun('rest')?.ended
    await startRun(url, { query: 'beside', id: 'beside', session, parent: null })
    await startRun(url, { query: 'after', id: 'after', session, parent: 'rest' })
    expect((await given(millrace, 'after')).messages.map(({ text }) => text)).toEqual(['half', 'so far', 'after'])
    expect(await parents(millrace, session)).toEqual({ half: null, rest: undefined, beside: null, after: 'half' })
    // The same request again.
    expect(await startRun(url, { query: 'after', id: 'after', session, parent: 'rest' })).toMatchObject({ run: 'after' })
    // What is continued has the place of its answer.
    await startRun(url, { query: 'gated', id: 'two', session, parent: 'half', model: 'gated' })
    millrace.findRun('two')?.stop()
    await millrace.findRun('two')?.ended
    const before = model.requests.length
    await millrace.resume({ run: 'two', session, id: 'more' })
    model.finish()
    await millrace.findRun('more')?.ended
    expect(model.requests[before]?.messages.map(({ text }) => text)).toEqual(['half', 'so far', 'gated'])
  })

  it('is the same request only with the same parent', async () => {
    const engine = memoryEngine()
    const { url } = await startServer({ ...echo, engine, limits: { endedRunsBytesMax: 0 } })
    await startTree(url)
    const again = (body: object) => postJson(`${url}/api/chat`, { query: 'three', id: 'three', session: 'tree', ...body })
    expect((await again({ parent: 'two' })).status).toBe(200)
    for (const body of [{}, { parent: 'one' }, { parent: null }])
      expect(await rejection(again(body))).toEqual([409, 'run_conflict'])
  })

  it.each([
    [{ parent: 'unknown' }, 404, 'parent_not_found'],
    [{ parent: 'elsewhere' }, 404, 'parent_not_found'],
    [{ parent: 'busy' }, 409, 'parent_in_progress'],
    [{ parent: 'one', parentLane: 'no' }, 404, 'parent_not_found'],
    [{ parentLane: 'no' }, 400, 'invalid_request'],
    [{ parent: null, parentLane: 'no' }, 400, 'invalid_request'],
    [{ parent: 'not an id' }, 400, 'invalid_id'],
    [{ parent: 1 }, 400, 'invalid_id'],
    [{ parent: 'one', session: undefined }, 404, 'parent_not_found'],
  ])('is rejected with %o, and starts nothing', async (body, status, code) => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ ...echo, models: [model] })
    await startTree(url)
    await startRun(url, { query: 'x', id: 'elsewhere' })
    await startRun(url, { query: 'x', id: 'busy', session: 'tree', model: 'gated' })
    const before = (await millrace.readSession('tree'))?.position
    expect(await rejection(postJson(`${url}/api/chat`, { query: 'x', session: 'tree', ...body }))).toEqual([status, code])
    expect((await millrace.readSession('tree'))?.position).toBe(before)
    model.finish()
  })

  it('without a parent may be asked while another run is on, as the same as before', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ ...echo, models: [model] })
    await startTree(url)
    await startRun(url, { query: 'busy', id: 'busy', session: 'tree', model: 'gated' })
    await startRun(url, { query: 'beside', id: 'beside', session: 'tree' })
    expect(await askedIn(millrace, 'beside')).toEqual(['one', 'two', 'three', 'beside'])
    expect(await parents(millrace, 'tree')).toMatchObject({ busy: 'three', beside: 'busy' })
    model.finish()
  })

  it('follows the lane that was chosen, or of each model its own', async () => {
    const models = ['a', 'b'].map((name) => ({
      name,
      async *stream() {
        yield `of ${name}`
      },
    }))
    const { url, millrace } = await startServer({ ...echo, models })
    const { session } = await startRun(url, { query: 'both', id: 'both', models: ['a', 'b'] })
    await millrace.findRun('both')?.ended
    const model = 'sim:echo?tps=0&show=request'
    const answersIn = async (run: string, body: object) => {
      await startRun(url, { query: run, id: run, session, model, ...body })
      const { messages } = await given(millrace, run)
      return messages.filter(({ role }) => role === 'assistant').map(({ text }) => text)
    }
    expect(await answersIn('first', { parent: 'both' })).toEqual(['of a'])
    expect(await answersIn('second', { parent: 'both', parentLane: 'b' })).toEqual(['of b'])
    // Also below it.
    expect((await answersIn('third', {}))[0]).toBe('of b')
    expect((await millrace.readSession(session))?.runs.map(({ parentLane }) => parentLane)).toEqual([
      undefined,
      undefined,
      'b',
      undefined,
    ])
  })
})

describe('regenerating', () => {
  const regenerate = (url: string, run: string, body: object = {}, headers = {}) =>
    postJson(`${url}/api/runs/${run}/regenerate`, body, { accept: 'application/json', ...headers })

  it('asks the same question beside the run, with its models or others', async () => {
    const { url, millrace } = await startServer(echo)
    await startTree(url)
    expect(await (await regenerate(url, 'two', { id: 'again' })).json()).toMatchObject({ session: 'tree', run: 'again' })
    expect(await askedIn(millrace, 'again')).toEqual(['one', 'two'])
    await (await regenerate(url, 'one', { id: 'root', model: 'sim:count?n=1&tps=0' })).json()
    await millrace.findRun('root')?.ended
    expect(await parents(millrace, 'tree')).toMatchObject({ again: 'one', root: null })
    const runs = (await millrace.readSession('tree'))?.runs
    expect(runs?.at(-1)).toMatchObject({ query: 'one', lanes: [{ model: 'sim:count?n=1&tps=0' }] })
    expect(runs?.at(-2)).toMatchObject({ query: 'two', lanes: [{ model: echo.model }] })
  })

  it('repeats what the run was asked beside its query, and takes another question in its place', async () => {
    const { url, millrace } = await startServer(echo)
    await startTree(url)
    const messages = [
      { role: 'user', content: 'hear' },
      { role: 'assistant', content: 'yes' },
      { role: 'user', content: 'me' },
    ]
    const more = { instructions: 'Short.', params: { temperature: 1 }, metadata: { a: 'b' } }
    await startRun(url, { messages, ...more, id: 'said', session: 'tree', parent: 'one' })
    await regenerate(url, 'said', { id: 'again' })
    await regenerate(url, 'said', { id: 'edited', query: 'you', metadata: { c: 'd' } })
    await given(millrace, 'edited')
    const [again, edited] = ((await millrace.readSession('tree'))?.runs ?? []).slice(-2)
    expect(again).toMatchObject({ parent: 'one', query: 'me', messages, ...more })
    expect(edited).toMatchObject({ parent: 'one', query: 'you', ...more, metadata: { c: 'd' } })
    expect(edited?.messages).toBeUndefined()
    expect(await askedIn(millrace, 'edited')).toEqual(['one', 'you'])
  })

  it('is the same run with the same id, and does not wait for the run beside it', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ ...echo, models: [model] })
    await startTree(url)
    await startRun(url, { query: 'busy', id: 'busy', session: 'tree', model: 'gated' })
    const socket = await openSocket(url)
    for (const ref of ['1', '2']) {
      socket.send({ type: 'regenerate', run: 'busy', id: 'beside', model: echo.model, ref })
      expect(await socket.next()).toMatchObject({ type: 'started', run: 'beside', session: 'tree', ref })
    }
    expect(await rejection(regenerate(url, 'busy', { id: 'beside' }))).toEqual([409, 'run_conflict'])
    expect(await parents(millrace, 'tree')).toMatchObject({ busy: 'three', beside: 'three' })
    model.finish()
  })

  it('is rejected where there is no such run, and where its models are denied', async () => {
    const { url } = await startServer({ ...echo, access: { tokens: { secret } }, modelsByName: { 'sim:count': 'role:trusted' } })
    const ada = bearer(await sign({ sub: 'ada', millrace: { may: ['run.*', 'session.*', 'role:trusted'] } }))
    const now = bearer(await sign({ sub: 'ada' }))
    await startTree(url, ada)
    await (await postJson(`${url}/api/chat`, { query: 'x', id: 'costly', session: 'tree', model: 'sim:count' }, ada)).text()
    expect(await rejection(regenerate(url, 'no', {}, now))).toEqual([404, 'run_not_found'])
    expect(await rejection(regenerate(url, 'no', { session: 'tree' }, now))).toEqual([404, 'run_not_found'])
    expect(await rejection(regenerate(url, 'costly', {}, now))).toEqual([404, 'model_not_found'])
    expect(await rejection(regenerate(url, 'one', { model: 'sim:count' }, now))).toEqual([404, 'model_not_found'])
    expect((await regenerate(url, 'costly', {}, ada)).status).toBe(202)
    const eve = bearer(await sign({ sub: 'eve' }))
    expect(await rejection(regenerate(url, 'one', {}, eve))).toEqual([404, 'run_not_found'])
    const reader = bearer(await sign({ sub: 'ada', millrace: { may: ['session.read'] } }))
    expect(await rejection(regenerate(url, 'one', {}, reader))).toEqual([403, 'forbidden'])
    const noInstructions = bearer(await sign({ sub: 'ada', millrace: { may: ['run.*', 'session.read'] } }))
    expect(await rejection(regenerate(url, 'one', { instructions: 'x' }, noInstructions))).toEqual([403, 'forbidden'])
  })
})

it('the export is the path to the newest run, with through another, or with branches=all the whole tree', async () => {
  const { url } = await startServer(echo)
  await startTree(url)
  const get = async (query: string) => (await fetch(`${url}/api/sessions/tree/export?${query}`)).text()
  const runsOf = (json: string) => (JSON.parse(json) as { runs: { run: string }[] }).runs.map(({ run }) => run)
  expect(runsOf(await get('format=json'))).toEqual(['one', 'two', 'three'])
  expect(runsOf(await get('format=json&branches=all'))).toEqual(['one', 'two', 'other', 'three'])
  expect(runsOf(await get('format=json&through=other'))).toEqual(['one', 'other'])
  expect(runsOf(await get('format=json&through=two'))).toEqual(['one', 'two', 'three'])
  expect(await rejection(fetch(`${url}/api/sessions/tree/export?through=none`))).toEqual([404, 'run_not_found'])
  expect((await get('')).match(/^> .*/gm)).toEqual(['> one', '> two', '> three'])
  const all = (await get('branches=all')).match(/^(> |\*Follows).*/gm)
  expect(all).toEqual(['> one', '> two', '*Follows: one*', '> other', '*Follows: two*', '> three'])
})

it('is the same after a restart', async () => {
  const folder = makeFolder()
  const start = () => {
    const millrace = createMillrace({ ...echo, engine: sqliteEngine({ folder }) })
    onTestFinished(() => millrace.close())
    return millrace
  }
  const one = start()
  const { session } = await one.ask({ query: 'one', id: 'one' })
  await one.findRun('one')?.ended
  for (const id of ['two', 'other']) await (await one.ask({ query: id, id, session, parent: 'one' })).ended
  await one.close()
  const two = start()
  expect(await parents(two, session)).toEqual({ one: null, two: 'one', other: 'one' })
  await two.ask({ query: 'three', id: 'three', session, parent: 'two' })
  expect(await askedIn(two, 'three')).toEqual(['one', 'two', 'three'])
  expect(await two.ask({ query: 'other', id: 'other', session, parent: 'one' })).toMatchObject({ id: 'other' })
  await expect(two.ask({ query: 'other', id: 'other', session, parent: 'two' })).rejects.toMatchObject({ code: 'run_conflict' })
})

it('a tree that is 10,000 deep is answered in bounded time', async () => {
  const engine = memoryEngine()
  const millrace = createMillrace({ ...echo, engine })
  onTestFinished(() => millrace.close())
  const end = { status: 'completed', usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 }, timings: {} }
  for (let from = 0; from < 10_000; from += 500) {
    const events = Array.from({ length: 500 }, (_, index) => {
      const run = `r${from + index}`
      const parent = from + index === 0 ? null : `r${from + index - 1}`
      const lanes = [{ lane: 'm', model: 'm' }]
      return [
        { type: 'stream_start', data: { run, session: 's', query: 'q', lanes, parent } },
        { type: 'message', data: { run, lane: 'm', text: 'a' } },
        { type: 'stream_end', data: { run, ...end } },
      ]
    }).flat()
    await engine.append('s', events)
  }
  await millrace.readSession('s')
  const startedAt = performance.now()
  await millrace.ask({ query: 'last', id: 'last', session: 's', parent: 'r9999' })
  // Measured: some 50 ms.
  expect(performance.now() - startedAt).toBeLessThan(2000)
  expect((await given(millrace, 'last')).messages).toHaveLength(20_001)
  await millrace.regenerate({ run: 'last', session: 's', id: 'again' })
  await millrace.ask({ query: 'early', id: 'early', session: 's', parent: 'r1' })
  expect((await given(millrace, 'early')).messages).toHaveLength(5)
})
