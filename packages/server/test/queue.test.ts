/** Questions that wait until nothing is being answered: PROTOCOL.md#the-queue. */
import { createMillrace, memoryEngine, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type GatedModel, gatedModel } from './support/gated-model.ts'
import { rejection } from './support/given.ts'
import { makeFolder, startProcess } from './support/process.ts'
import { add, meeting, queueOf, runsOf, send, startBusy } from './support/queue.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { openStream } from './support/stream.ts'
import { bearer, secret, sign } from './support/tokens.ts'

describe('a question that waits', () => {
  it('is started when the run ends, in order, with what was asked, and is in the log and the transcript', async () => {
    const { url, millrace, model } = await startBusy()
    const stream = await openStream(`${url}/api/stream?session=s`)
    const answer = await add(url, { query: 'second', id: 'two', metadata: { a: 'b' }, model: 'gated' })
    expect([answer.status, await answer.json()]).toEqual([201, { session: 's', entry: 'two', position: expect.any(String) }])
    await add(url, { messages: [{ role: 'user', content: ' third ' }], id: 'three' })
    expect((await millrace.readSession('s'))?.queue).toMatchObject([
      { entry: 'two', query: 'second', metadata: { a: 'b' }, models: ['gated'] },
      { entry: 'three', messages: [{ role: 'user', content: ' third ' }] },
    ])
    for (const run of ['first', 'two', 'three']) {
      await expect.poll(() => millrace.findRun(run)).toBeDefined()
      model.say('x')
      model.finish()
      await millrace.findRun(run)?.ended
    }
    expect(await runsOf(millrace)).toEqual(['first completed', 'two completed', 'three completed'])
    expect(await queueOf(millrace)).toEqual([])
    for (let ends = 0; ends < 3; ends++) await stream.until('stream_end')
    const { events } = stream
    expect(events.flatMap(({ event }) => (event.startsWith('queue_') || event === 'stream_start' ? [event] : []))).toEqual([
      'stream_start',
      'queue_added',
      'queue_added',
      'stream_start',
      'stream_start',
    ])
    expect(model.requests.at(-1)?.messages.map(({ text }) => text)).toEqual(['first', 'x', 'second', 'x', ' third '])
    expect((await millrace.readSession('s'))?.runs[1]).toMatchObject({ metadata: { a: 'b' }, parent: 'first' })
  })

  it('is started at once where nothing is in progress', async () => {
    const { url, millrace } = await startServer()
    await postJson(`${url}/api/sessions`, { id: 's' })
    await add(url, { query: 'x', id: 'one' })
    await expect.poll(() => runsOf(millrace)).toEqual(['one completed'])
  })

  it('is changed and removed, and by whom it is seen first does not matter', async () => {
    const { url, millrace, model } = await startBusy()
    for (const id of ['a', 'b', 'c']) await add(url, { query: id, id })
    const changed = await send('PATCH', `${url}/api/sessions/s/queue/b`, { query: 'better' })
    expect([changed.status, await changed.json()]).toEqual([200, { session: 's', entry: 'b', position: expect.any(String) }])
    expect((await send('DELETE', `${url}/api/sessions/s/queue/a`)).status).toBe(200)
    expect(await queueOf(millrace)).toEqual(['better', 'c'])
    const socket = await openSocket(url)
    socket.send({ type: 'queue_change', session: 's', entry: 'c', query: 'last', ref: '1' })
    expect(await socket.next()).toMatchObject({ type: 'queued', session: 's', entry: 'c', ref: '1' })
    socket.send({ type: 'queue', session: 's', query: 'more', id: 'd', ref: '2' })
    expect(await socket.next()).toMatchObject({ type: 'queued', entry: 'd', ref: '2' })
    socket.send({ type: 'queue_remove', session: 's', entry: 'd', ref: '3' })
    expect(await socket.next()).toMatchObject({ type: 'queued', entry: 'd', ref: '3' })
    model.finish()
    await expect.poll(() => millrace.findRun('b')).toBeDefined()
    model.finish()
    await expect.poll(() => millrace.findRun('c')).toBeDefined()
    model.finish()
    await millrace.findRun('c')?.ended
    expect(model.requests.map(({ messages }) => messages.at(-1)?.text)).toEqual(['first', 'better', 'last'])
    for (const entry of ['a', 'b', 'unknown']) {
      expect(await rejection(send('DELETE', `${url}/api/sessions/s/queue/${entry}`))).toEqual([404, 'queue_entry_not_found'])
      expect(await rejection(send('PATCH', `${url}/api/sessions/s/queue/${entry}`, { query: 'x' }))).toEqual([
        404,
        'queue_entry_not_found',
      ])
    }
  })

  it('is the same question with the same id, and its id is that of no other', async () => {
    const { url, millrace, model } = await startBusy()
    const one = await (await add(url, { query: 'x', id: 'a' })).json()
    expect(await (await add(url, { query: 'x', id: 'a' })).json()).toEqual(one)
    expect(await queueOf(millrace)).toEqual(['x'])
    expect(await rejection(add(url, { query: 'y', id: 'a' }))).toEqual([409, 'run_conflict'])
    expect(await rejection(add(url, { query: 'y', id: 'first' }))).toEqual([409, 'run_conflict'])
    model.finish()
    await expect.poll(() => millrace.findRun('a')).toBeDefined()
    expect(await (await add(url, { query: 'x', id: 'a' })).json()).toEqual(one)
    expect(await queueOf(millrace)).toEqual([])
    model.finish()
  })

  it('stays when the run is stopped, until something is asked', async () => {
    const { url, millrace, model } = await startBusy()
    await add(url, { query: 'later', id: 'later' })
    await send('POST', `${url}/api/runs/first/stop`, {})
    expect(await millrace.readSession('s')).toMatchObject({ isPaused: true, queue: [{ entry: 'later' }] })
    await startRun(url, { query: 'now', id: 'now', session: 's' })
    expect(await millrace.readSession('s')).toMatchObject({ isPaused: false, queue: [{ entry: 'later' }] })
    model.finish()
    await expect.poll(() => millrace.findRun('later')).toBeDefined()
    model.finish()
    await millrace.findRun('later')?.ended
    expect(await runsOf(millrace)).toEqual(['first stopped', 'now completed', 'later completed'])
  })

  it('is gone with its session', async () => {
    const { url, millrace } = await startBusy()
    await add(url, { query: 'later', id: 'later' })
    await millrace.sessions.delete('s')
    await postJson(`${url}/api/sessions`, { id: 's' })
    expect(await millrace.readSession('s')).toMatchObject({ runs: [], queue: [] })
  })

  it('is removed with the error where it can no longer be asked, and the next one is asked', async () => {
    const engine = memoryEngine()
    const models = [gatedModel()]
    const [model] = models as [GatedModel]
    const { url, millrace } = await startServer({ engine, models, model: 'gated' })
    await postJson(`${url}/api/sessions`, { id: 's' })
    await startRun(url, { query: 'first', id: 'first', session: 's' })
    await add(url, { query: 'a', id: 'a' })
    await add(url, { query: 'b', id: 'b' })
    // As where retention has removed who asked.
    await engine.delete('record/s')
    await add(url, { query: 'c', id: 'c' })
    model.finish()
    await expect.poll(() => millrace.findRun('c')).toBeDefined()
    model.finish()
    const { events } = await engine.read('s', (await engine.inspect('s'))?.start as never)
    expect(events.filter(({ type }) => type === 'queue_removed').map((event) => event.data)).toMatchObject([
      { entry: 'a', error: { code: 'forbidden' } },
      { entry: 'b', error: { code: 'forbidden' } },
    ])
    expect(await queueOf(millrace)).toEqual([])
  })

  it('costs nothing where none waits: the end of a run does not read its session', async () => {
    const engine = memoryEngine()
    const read = vi.spyOn(engine, 'read')
    const millrace = createMillrace({ engine })
    const { session, ended } = await millrace.run({ source: ['a', 'b'] })
    await ended
    await millrace.close()
    expect(read.mock.calls.filter(([log]) => log === session)).toEqual([])
  })

  it.each([
    [{}, 400, 'query_missing'],
    [{ query: 'x', model: 'no:model' }, 404, 'model_not_found'],
    [{ query: 'x', params: { seed: 1 } }, 400, 'param_not_supported'],
    [{ query: 'x', parent: 'unknown' }, 404, 'parent_not_found'],
    [{ query: 'x', id: 'not an id' }, 400, 'invalid_id'],
    [{ query: 'x', steer: 1 }, 400, 'invalid_request'],
  ])('is rejected with %o, and does not wait', async (body, status, code) => {
    const { url, millrace } = await startBusy()
    expect(await rejection(add(url, body))).toEqual([status, code])
    expect(await queueOf(millrace)).toEqual([])
  })

  it('is one of a bounded number, however they are added', async () => {
    const { url, millrace } = await startBusy()
    const answers = await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const answer = await add(url, { query: `${index}`, id: `q${index}` })
        return answer.status === 201 ? '201' : ((await answer.json()) as { error: { code: string } }).error.code
      }),
    )
    const counts = Object.groupBy(answers, (answer) => answer)
    expect(counts['201']).toHaveLength(100)
    expect(counts.queue_full?.length).toBeGreaterThan(150)
    expect(await queueOf(millrace)).toHaveLength(100)
    await send('DELETE', `${url}/api/sessions/s/queue/${(await millrace.readSession('s'))?.queue[0]?.entry}`)
    expect((await add(url, { query: 'room again' })).status).toBe(201)
  })
})

describe('an edit and the start of the same question', () => {
  const edit = (url: string) => send('PATCH', `${url}/api/sessions/s/queue/two`, { query: 'edited' })

  it('that come to be: the edit first, and the start is of the edited question', async () => {
    const context: { url?: string } = {}
    let edited: Response | undefined
    const engine = meeting('stream_start', async () => {
      edited = await edit(context.url ?? '')
    })
    const { url, millrace, model } = await startBusy({ engine })
    context.url = url
    await add(url, { query: 'second', id: 'two' })
    model.finish()
    await expect.poll(() => model.requests.length).toBe(2)
    expect(edited?.status).toBe(200)
    expect(model.requests[1]?.messages.at(-1)?.text).toBe('edited')
    model.finish()
    await millrace.findRun('two')?.ended
    expect((await millrace.readSession('s'))?.runs.map(({ query }) => query)).toEqual(['first', 'edited'])
  })

  it('that come to be: the start first, and the edit is rejected', async () => {
    const engine = meeting('queue_changed', async () => {
      model.finish()
      await expect.poll(() => model.requests.length).toBe(2)
    })
    const { url, millrace, model } = await startBusy({ engine })
    await add(url, { query: 'second', id: 'two' })
    expect(await rejection(edit(url))).toEqual([404, 'queue_entry_not_found'])
    expect(model.requests[1]?.messages.at(-1)?.text).toBe('second')
    model.finish()
    await millrace.findRun('two')?.ended
    expect(await queueOf(millrace)).toEqual([])
  })
})

describe('steering', () => {
  it('stops what is being answered, keeps what was said, and asks before what waits', async () => {
    const { url, millrace, model } = await startBusy()
    await add(url, { query: 'later', id: 'later' })
    model.say('half an ans')
    await expect.poll(async () => (await millrace.readSession('s'))?.runs[0]?.lanes[0]?.text).toBe('half an ans')
    await add(url, { query: 'rather', id: 'rather', steer: true })
    await expect.poll(() => millrace.findRun('rather')).toBeDefined()
    expect(model.requests[1]?.messages.map(({ text }) => text)).toEqual(['first', 'half an ans', 'rather'])
    model.finish()
    await expect.poll(() => millrace.findRun('later')).toBeDefined()
    model.finish()
    await millrace.findRun('later')?.ended
    expect(await runsOf(millrace)).toEqual(['first stopped', 'rather completed', 'later completed'])
  })

  it('asks the model both questions where nothing was said to the first', async () => {
    const { url, millrace, model } = await startBusy()
    await add(url, { query: 'rather', id: 'rather', steer: true })
    await expect.poll(() => model.requests.length).toBe(2)
    expect(model.requests[1]?.messages.map(({ role, text }) => `${role} ${text}`)).toEqual(['user first', 'user rather'])
    model.say('ok')
    model.finish()
    await millrace.findRun('rather')?.ended
    expect(await runsOf(millrace)).toEqual(['first stopped', 'rather completed'])
    // Later models get them too.
    await millrace.ask({ session: 's', query: 'and?' })
    await expect.poll(() => model.requests.length).toBe(3)
    expect(model.requests[2]?.messages.map(({ text }) => text)).toEqual(['first', 'rather', 'ok', 'and?'])
    model.finish()
  })

  it('starts a question that waits at once', async () => {
    const { url, millrace, model } = await startBusy()
    for (const id of ['a', 'b']) await add(url, { query: id, id })
    await send('PATCH', `${url}/api/sessions/s/queue/b`, { steer: true })
    await expect.poll(() => millrace.findRun('b')).toBeDefined()
    expect(await runsOf(millrace)).toEqual(['first stopped', 'b streaming'])
    model.finish()
    await expect.poll(() => millrace.findRun('a')).toBeDefined()
    model.finish()
  })
})

describe('after the process that had it', () => {
  it('a question that waits is started once, when its session is opened', async () => {
    const folder = makeFolder()
    const killed = await startProcess(folder)
    await postJson(`${killed.url}/api/sessions`, { id: 's' })
    await startRun(killed.url, { query: 'long', id: 'long', session: 's', model: 'sim:count?n=100000&tps=100' })
    await add(killed.url, { query: 'next', id: 'next', model: 'sim:count?n=3&tps=0' })
    await killed.kill()
    const millrace = createMillrace({ engine: sqliteEngine({ folder }), model: 'sim:count' })
    onTestFinished(() => millrace.close())
    await Promise.all(Array.from({ length: 5 }, () => millrace.readSession('s')))
    await expect.poll(() => runsOf(millrace)).toEqual(['long interrupted', 'next completed'])
    expect(await queueOf(millrace)).toEqual([])
  })

  it('a server that closes leaves it for the next', async () => {
    const folder = makeFolder()
    const start = () => {
      const model = gatedModel()
      const millrace = createMillrace({ engine: sqliteEngine({ folder }), models: [model], model: 'gated' })
      onTestFinished(() => millrace.close())
      return { model, millrace }
    }
    const one = start()
    const { session } = await one.millrace.ask({ query: 'first', id: 'first' })
    await one.millrace.queue.add({ session, query: 'next', id: 'next' })
    await one.millrace.close()
    const two = start()
    await two.millrace.readSession(session)
    await expect.poll(() => two.millrace.findRun('next')).toBeDefined()
    two.model.finish()
    await two.millrace.findRun('next')?.ended
    expect((await two.millrace.readSession(session))?.runs.map(({ run }) => run)).toEqual(['first', 'next'])
  })
})

describe('with authentication', () => {
  const tokens = { access: { tokens: { secret } } }
  const as = async (sub: string, millrace = {}) => bearer(await sign({ sub, millrace }))

  it('a question is charged to who asked, or changed it, by the own limits', async () => {
    const ada = await as('ada', { sessions: ['s'], limits: { runsInFlight: 1 } })
    const { url, millrace, model } = await startBusy({ ...tokens, usage: true }, await as('ada'))
    const bob = await as('bob', { sessions: ['s'] })
    await add(url, { query: 'a', id: 'a' }, ada)
    await add(url, { query: 'b', id: 'b' }, ada)
    await send('PATCH', `${url}/api/sessions/s/queue/b`, { query: 'better' }, bob)
    model.finish()
    await millrace.findRun('first')?.ended
    await expect.poll(() => millrace.findRun('a')).toBeDefined()
    model.finish()
    await expect.poll(() => millrace.findRun('b')).toBeDefined()
    model.finish()
    await millrace.findRun('b')?.ended
    const used = await millrace.usage.read()
    expect(Object.fromEntries(used.map(({ principal, runs }) => [principal, runs]))).toEqual({ ada: 2, bob: 1 })
  })

  it('needs run.start, and run.stop to remove and to steer; for others the session does not exist', async () => {
    const { url, millrace } = await startBusy(tokens, await as('ada'))
    const starter = await as('ada', { may: ['run.start', 'session.read'] })
    const reader = await as('ada', { may: ['session.read'] })
    const eve = await as('eve')
    expect((await add(url, { query: 'a', id: 'a' }, starter)).status).toBe(201)
    expect(await rejection(add(url, { query: 'b', steer: true }, starter))).toEqual([403, 'forbidden'])
    expect(await rejection(add(url, { query: 'b' }, reader))).toEqual([403, 'forbidden'])
    expect(await rejection(add(url, { query: 'b', instructions: 'x' }, starter))).toEqual([403, 'forbidden'])
    expect(await rejection(send('DELETE', `${url}/api/sessions/s/queue/a`, undefined, starter))).toEqual([403, 'forbidden'])
    for (const method of ['PATCH', 'DELETE'])
      expect(await rejection(send(method, `${url}/api/sessions/s/queue/a`, method === 'PATCH' ? {} : undefined, eve))).toEqual([
        404,
        'session_not_found',
      ])
    expect(await rejection(add(url, { query: 'b' }, eve))).toEqual([404, 'session_not_found'])
    expect(await queueOf(millrace)).toEqual(['a'])
    // Nobody reads who asked.
    const text = await (await fetch(`${url}/api/sessions/s`, { headers: reader })).text()
    expect(text).not.toContain('"principal"')
  })
})
