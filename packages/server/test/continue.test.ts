/** An answer that ended early is resumed in a new run, and later readers get both as one answer. */
import { MillraceError, memoryEngine, sqliteEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { continueQuery } from '../src/models/continuation.ts'
import { type GatedModel, gatedModel } from './support/gated-model.ts'
import { keepNewest } from './support/keep-newest.ts'
import { makeFolder, startProcess } from './support/process.ts'
import { postJson, startRun, startServer, type TestServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { counted, data, openStream, textOf } from './support/stream.ts'

const goOn = (url: string, run: string, body: object = {}) =>
  postJson(`${url}/api/runs/${run}/continue`, body, { accept: 'application/json' })

async function refusal(answer: Promise<Response>): Promise<unknown> {
  const response = await answer
  const { error } = (await response.json()) as { error: { code: string; message: string; retryable: boolean } }
  return { status: response.status, ...error }
}
const notContinuable = (message: string) =>
  expect.objectContaining({
    status: 409,
    code: 'run_not_continuable',
    retryable: false,
    message: expect.stringContaining(message),
  })

/** Lets the model write this text, and stops the run. */
async function stopAfter({ millrace }: TestServer, model: GatedModel, { run, said }: { run: string; said: string }) {
  const { session } = millrace.findRun(run) as { session: string }
  model.say(said)
  await expect.poll(async () => JSON.stringify(await millrace.readSession(session))).toContain(said)
  millrace.findRun(run)?.stop()
  await millrace.findRun(run)?.ended
}

/** A server with an answer that was stopped after `half of `. */
async function startStopped(others: GatedModel[] = []) {
  const model = gatedModel()
  const server = await startServer({ models: [model, ...others], model: 'gated' })
  const { session, run } = await startRun(server.url, { query: 'first' })
  await stopAfter(server, model, { run, said: 'half of ' })
  return { ...server, server, model, session, run }
}

describe('resuming an answer', () => {
  it('streams the rest, in a run that names the one it continues', async () => {
    const { url, model, session, run, millrace } = await startStopped()
    model.say('the answer')
    model.finish()
    const events = await (
      await openStream(`${url}/api/runs/${run}/continue`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"id":"next"}',
      })
    ).rest()
    expect(data(events[0] as never)).toEqual({ session, run: 'next', continues: run, model: 'gated' })
    expect(textOf(events)).toBe('the answer')
    expect((await millrace.readSession(session))?.runs).toMatchObject([
      { run, status: 'stopped', lanes: [{ text: 'half of ' }] },
      { run: 'next', query: 'first', continues: run, status: 'completed', lanes: [{ lane: 'gated', text: 'the answer' }] },
    ])
    // A reader that was cut off resumes it like any other.
    const resumed = await openStream(`${url}/api/chat?query=first`, { headers: { 'last-event-id': events[0]?.id as string } })
    expect(textOf(await resumed.rest())).toBe('the answer')
    const again = await fetch(`${url}/api/runs/${run}/continue`, {
      method: 'POST',
      headers: { 'last-event-id': events.at(-1)?.id as string },
    })
    expect(again.status).toBe(204)
  })

  it('gives the model the conversation, the question, its own text, and the request to continue', async () => {
    const { server, url, model, session, millrace } = await startStopped()
    const { run } = await startRun(url, { query: 'second', session })
    await stopAfter(server, model, { run, said: 'more ' })
    await startRun(url, { query: 'asked after it', session })
    model.finish()
    await expect.poll(() => model.requests).toHaveLength(3)
    await millrace.resume({ run })
    await expect.poll(() => model.requests).toHaveLength(4)
    expect(model.requests[3]?.messages).toEqual([
      { role: 'user', text: 'first' },
      { role: 'assistant', text: 'half of ' },
      { role: 'user', text: 'second' },
      { role: 'assistant', text: 'more ' },
      { role: 'user', text: continueQuery },
    ])
  })

  it('can be repeated, and later questions see one answer in its place', async () => {
    const { server, url, model, session, run, millrace } = await startStopped()
    model.say('yes')
    model.finish()
    await millrace.findRun((await startRun(url, { query: 'second', session })).run)?.ended
    const { id } = await millrace.resume({ run })
    await stopAfter(server, model, { run: id, said: 'the ' })
    model.say('answer')
    model.finish()
    await (await millrace.resume({ run: id })).ended
    expect(model.requests.at(-1)?.messages.map(({ text }) => text)).toEqual(['first', 'half of the ', continueQuery])
    await startRun(url, { query: 'third', session })
    await expect.poll(() => model.requests).toHaveLength(5)
    expect(model.requests[4]?.messages.map(({ text }) => text)).toEqual(['first', 'half of the answer', 'second', 'yes', 'third'])
  })

  it('asks only the lanes that did not complete, each with its own text', async () => {
    const [a, b, c] = [gatedModel('a'), gatedModel('b'), gatedModel('c')]
    const server = await startServer({ models: [a, b, c] })
    const { session, run } = await startRun(server.url, { query: 'q', models: ['a', 'b', 'c'] })
    a.say('whole')
    a.finish()
    b.say('half of b ')
    b.fail(new Error('broken'))
    c.fail(new Error('broken, too'))
    // The run as a whole has completed, because one lane has.
    expect(await server.millrace.findRun(run)?.ended).toMatchObject({ status: 'completed' })

    for (const model of [b, c]) {
      model.say(`rest of ${model.name}`)
      model.finish()
    }
    const next = await server.millrace.resume({ run })
    expect(next.lanes).toEqual([
      { lane: 'b', model: 'b' },
      { lane: 'c', model: 'c' },
    ])
    await next.ended
    expect(a.requests).toHaveLength(1)
    const asked = ({ requests }: GatedModel) => requests.at(-1)?.messages.map(({ text }) => text)
    expect(asked(b)).toEqual(['q', 'half of b ', continueQuery])
    // It had no text: there is nothing to continue.
    expect(asked(c)).toEqual(['q'])
    a.finish()
    await server.millrace.ask({ query: 'later', models: ['a', 'b'], session })
    await expect.poll(() => asked(b)).toEqual(['q', 'half of b rest of b', 'later'])
    expect(asked(a)).toEqual(['q', 'whole', 'later'])
  })

  it('works over a WebSocket, for every attached reader', async () => {
    const { url, model, session, run } = await startStopped()
    const socket = await openSocket(url)
    socket.send({ type: 'attach', session, from: 'now' })
    await socket.next()
    socket.send({ type: 'continue', ref: '1', run, id: 'next' })
    model.say('the rest')
    model.finish()
    const seen = await socket.until(({ event }) => event === 'stream_end')
    expect(seen).toContainEqual({ type: 'started', ref: '1', session, run: 'next', position: expect.any(String) })
    expect(seen.filter(({ event }) => event === 'stream_start')).toMatchObject([{ data: { run: 'next', continues: run } }])
    socket.send({ type: 'continue', ref: '2', run })
    expect(await socket.next()).toMatchObject({ type: 'error', ref: '2', error: { code: 'run_not_continuable' } })
  })

  it.each([['names the session'], ['does not']])(
    'continues after the server was killed, from the very next number, for a request that %s',
    async (who) => {
      const folder = makeFolder()
      const killed = await startProcess(folder)
      const { session, run } = await startRun(killed.url, { query: 'count', model: 'sim:count?n=600&tps=200' })
      const stream = await openStream(`${killed.url}/api/stream?session=${session}`)
      while (textOf(stream.events).length < 100) await stream.next()
      await killed.kill()

      const { url, millrace, errors } = await startServer({ engine: sqliteEngine({ folder }) })
      const named = who === 'names the session' ? { session } : {}
      const { run: next } = (await (await goOn(url, run, named)).json()) as { run: string }
      await millrace.findRun(next)?.ended
      const runs = (await millrace.readSession(session))?.runs ?? []
      expect(runs.map(({ status, continues }) => [status, continues])).toEqual([
        ['interrupted', undefined],
        ['completed', run],
      ])
      expect(runs[0]?.lanes[0]?.text.length).toBeGreaterThan(90)
      expect(runs.map(({ lanes }) => lanes[0]?.text).join('')).toBe(counted(1, 600))
      expect(errors).toEqual([])
    },
  )
})

describe('an answer that cannot be resumed is rejected', () => {
  it('while it is being written', async () => {
    const { url } = await startServer({ models: [gatedModel()], model: 'gated' })
    const { run } = await startRun(url, { query: 'x' })
    expect(await refusal(goOn(url, run))).toEqual(notContinuable('still being written'))
  })

  it('when it is complete', async () => {
    const { url, millrace } = await startServer()
    const { run } = await startRun(url, { query: 'x' })
    await millrace.findRun(run)?.ended
    expect(await refusal(goOn(url, run))).toEqual(notContinuable('complete'))
  })

  it('when another run has continued it, which is named', async () => {
    const { url, run, millrace } = await startStopped()
    const next = await millrace.resume({ run })
    expect(await refusal(goOn(url, run))).toEqual(notContinuable(`continued by the run ${next.id}`))
    expect(await refusal(goOn(url, next.id))).toEqual(notContinuable('still being written'))
  })

  it('when the run, the session or the model does not exist', async () => {
    const { url, session, run } = await startStopped()
    await postJson(`${url}/api/sessions`, { id: 'empty' })
    expect(await refusal(goOn(url, 'unknown'))).toMatchObject({ status: 404, code: 'run_not_found' })
    expect(await refusal(goOn(url, 'unknown', { session }))).toMatchObject({ status: 404, code: 'run_not_found' })
    expect(await refusal(goOn(url, run, { session: 'empty' }))).toMatchObject({ status: 404, code: 'run_not_found' })
    expect(await refusal(goOn(url, run, { session: 'unknown' }))).toMatchObject({ status: 404, code: 'session_not_found' })
    expect(await refusal(goOn(url, 'no/id'.replace('/', '%2F')))).toMatchObject({ status: 400, code: 'invalid_id' })
  })

  it('when it came from the caller’s own code, which cannot be asked again', async () => {
    const { url, millrace } = await startServer()
    const run = await millrace.run({ source: ['half', undefined as never] })
    run.stop()
    await run.ended
    expect(await refusal(goOn(url, run.id))).toMatchObject({ status: 404, code: 'model_not_found' })
  })

  it('when its start is no longer kept', async () => {
    const model = gatedModel()
    const engine = keepNewest(memoryEngine(), 12)
    const server = await startServer({ engine, models: [model], model: 'gated' })
    const { session, run } = await startRun(server.url, { query: 'first' })
    await stopAfter(server, model, { run, said: 'half of ' })
    const next = await server.millrace.resume({ run })
    for (let n = 0; n < 5; n++) model.say(`${n}`)
    await stopAfter(server, model, { run: next.id, said: 'more' })
    // Filled with other events, until its first run is trimmed and its second is not.
    while ((await server.millrace.readSession(session))?.runs.length !== 1)
      await engine.append(session, [{ type: 'x', data: {} }])
    expect(await refusal(goOn(server.url, next.id, { session }))).toEqual(notContinuable('no longer kept'))
    await startRun(server.url, { query: 'later', session })
    await expect.poll(() => model.requests.at(-1)?.messages.map(({ text }) => text)).toEqual(['later'])
  })

  it('for a caller that may not start runs in its session, whether the session was named or not', async () => {
    const model = gatedModel()
    let isForbidden = false
    const server = await startServer({
      models: [model],
      model: 'gated',
      authorize: (_principal, action, { session: where }) => {
        if (isForbidden && action === 'run.start' && where === session) throw new MillraceError('forbidden')
      },
    })
    const { session, run } = await startRun(server.url, { query: 'first' })
    await stopAfter(server, model, { run, said: 'half' })
    isForbidden = true
    for (const body of [{}, { session }])
      expect(await refusal(goOn(server.url, run, body))).toMatchObject({ status: 403, code: 'forbidden' })
    const socket = await openSocket(server.url)
    socket.send({ type: 'continue', run })
    expect(await socket.next()).toMatchObject({ type: 'error', error: { code: 'forbidden' } })
    expect(model.requests).toHaveLength(1)
  })
})

describe('a repeated request with the same id', () => {
  it('returns the same run, also at the same moment and after its end', async () => {
    const { url, model, run, millrace, session } = await startStopped()
    const answers = await Promise.all(Array.from({ length: 5 }, () => goOn(url, run, { id: 'next' })))
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202])
    model.say('the rest')
    model.finish()
    await millrace.findRun('next')?.ended
    expect(await (await goOn(url, run, { id: 'next' })).json()).toMatchObject({ run: 'next' })
    expect((await millrace.readSession(session))?.runs).toHaveLength(2)
    expect(model.requests).toHaveLength(2)
  })

  it('and one with another id at the same moment start one run, and the other is rejected', async () => {
    const { run, millrace, session } = await startStopped()
    const asked = Array.from({ length: 5 }, (_, n) => millrace.resume({ run, id: `next-${n}` }))
    const outcomes = await Promise.allSettled(asked)
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', ...Array(4).fill('rejected')])
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'run_not_continuable' })
    expect((await millrace.readSession(session))?.runs).toHaveLength(2)
  })

  it('returns the same run after a restart, and any other request is rejected', async () => {
    const folder = makeFolder()
    const model = gatedModel()
    const first = await startServer({ engine: sqliteEngine({ folder }), models: [model], model: 'gated' })
    const { session, run } = await startRun(first.url, { query: 'first' })
    await stopAfter(first, model, { run, said: 'half' })
    model.finish()
    await (await first.millrace.resume({ run, id: 'next' })).ended
    await first.millrace.close()

    const { url, millrace } = await startServer({ engine: sqliteEngine({ folder }), models: [model], model: 'gated' })
    const isUsed = { code: 'run_conflict', message: expect.stringContaining('in the session already') }
    for (const named of [{ session }, {}])
      expect(await (await goOn(url, run, { ...named, id: 'next' })).json()).toMatchObject({ session, run: 'next' })
    expect(await refusal(postJson(`${url}/api/chat`, { query: 'first', session, id: 'next' }))).toMatchObject(isUsed)
    expect(await refusal(goOn(url, run, { session, id: 'other' }))).toEqual(notContinuable('continued by the run next'))
    expect((await millrace.readSession(session))?.runs).toHaveLength(2)
  })

  it('is rejected for the id of another run: the continued one, or one of a question', async () => {
    const { url, server, model, session, run } = await startStopped()
    const { run: other } = await startRun(url, { query: 'first', session, id: 'other' })
    await stopAfter(server, model, { run: other, said: 'something' })
    for (const id of [run, other]) expect(await refusal(goOn(url, run, { id }))).toMatchObject({ code: 'run_conflict' })
    await goOn(url, run, { id: 'next' })
    expect(await refusal(goOn(url, other, { id: 'next' }))).toMatchObject({ code: 'run_conflict' })
    const asked = postJson(`${url}/api/chat`, { query: 'first', session, id: 'next' })
    expect(await refusal(asked)).toMatchObject({ code: 'run_conflict' })
  })
})
