/** One lane of a run is stopped, and the others go on. */
import { describe, expect, it } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { rejection } from './support/given.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'

async function startLanes() {
  const [a, b] = [gatedModel('a'), gatedModel('b')] as const
  const server = await startServer({ models: [a, b] })
  const { session } = await startRun(server.url, { query: 'x', id: 'run', models: ['a', 'b'] })
  const textOf = async (lane: number) => (await server.millrace.readSession(session))?.runs[0]?.lanes[lane]?.text
  a.say('half')
  await expect.poll(() => textOf(0)).toBe('half')
  return { ...server, a, b, session }
}

describe('stopping one lane', () => {
  it('ends that lane with what it had said; the run ends with the others, as they do', async () => {
    const { url, millrace, a, b, session } = await startLanes()
    const answer = await postJson(`${url}/api/runs/run/stop`, { lane: 'a' })
    expect([answer.status, await answer.json()]).toMatchObject([200, { status: 'stopped', position: expect.any(String) }])
    await a.aborted
    expect((await millrace.readSession(session))?.runs[0]).toMatchObject({
      status: 'streaming',
      lanes: [{ status: 'stopped', text: 'half' }, { status: 'streaming' }],
    })
    b.say('all')
    b.finish()
    const end = await millrace.findRun('run')?.ended
    expect(end).toMatchObject({ status: 'completed', lanes: { a: { status: 'stopped' }, b: { status: 'completed' } } })
    // A lane that has ended keeps its end.
    expect(await (await postJson(`${url}/api/runs/run/stop`, { lane: 'b' })).json()).toMatchObject({ status: 'completed' })
    const next = await millrace.resume({ run: 'run', session })
    expect(next.lanes).toEqual([{ lane: 'a', model: 'a' }])
    next.stop()
  })

  it('lane by lane stops the run; over a WebSocket too', async () => {
    const { url, millrace } = await startLanes()
    const socket = await openSocket(url)
    for (const lane of ['b', 'a']) {
      socket.send({ type: 'stop', run: 'run', lane, ref: lane })
      expect(await socket.next()).toMatchObject({ type: 'ended', run: 'run', lane, ref: lane, end: { status: 'stopped' } })
    }
    expect(await millrace.findRun('run')?.ended).toMatchObject({ status: 'stopped' })
  })

  it('of a run with one lane is stopping the run; a lane that it has not is rejected', async () => {
    const a = gatedModel('a')
    const { url, millrace } = await startServer({ models: [a] })
    await startRun(url, { query: 'x', id: 'run', model: 'a' })
    expect(await rejection(postJson(`${url}/api/runs/run/stop`, { lane: 'no' }))).toEqual([400, 'invalid_request'])
    expect(await rejection(postJson(`${url}/api/runs/no/stop`, { lane: 'a' }))).toEqual([404, 'run_not_found'])
    expect(await (await postJson(`${url}/api/runs/run/stop`, { lane: 'a' })).json()).toMatchObject({ status: 'stopped' })
    expect(await millrace.findRun('run')?.ended).toMatchObject({ status: 'stopped' })
  })
})

it('a lane goes on by itself, also with another model, and the others after it', async () => {
  const { url, millrace, a, b, session } = await startLanes()
  b.say('part')
  await expect.poll(async () => (await millrace.readSession(session))?.runs[0]?.lanes[1]?.text).toBe('part')
  await postJson(`${url}/api/runs/run/stop`, {})
  const goOn = (run: string, body: object) => postJson(`${url}/api/runs/${run}/continue`, body, { accept: 'application/json' })
  expect((await goOn('run', { lane: 'a', model: 'b', id: 'first' })).status).toBe(202)
  b.say(' more')
  b.finish()
  expect(await millrace.findRun('first')?.ended).toMatchObject({ status: 'completed' })
  expect(
    b.requests
      .at(-1)
      ?.messages.map(({ text }) => text)
      .slice(0, 2),
  ).toEqual(['x', 'half'])
  expect(await rejection(goOn('run', { lane: 'b' }))).toEqual([409, 'run_not_continuable'])
  expect(await rejection(goOn('first', { lane: 'a' }))).toEqual([409, 'run_not_continuable'])
  expect(await rejection(goOn('first', { lane: 'b', model: 'no:model' }))).toEqual([404, 'model_not_found'])
  expect((await goOn('first', { lane: 'b', id: 'second' })).status).toBe(202)
  expect((await goOn('first', { lane: 'b', id: 'second' })).status).toBe(202)
  expect(await rejection(goOn('first', { lane: 'a', id: 'second' }))).toEqual([409, 'run_conflict'])
  b.finish()
  expect(await millrace.findRun('second')?.ended).toMatchObject({ status: 'completed' })
  expect(
    (await millrace.readSession(session))?.runs.map(({ lanes }) => lanes.map(({ lane, model }) => `${lane} ${model}`)),
  ).toEqual([['a a', 'b b'], ['a b'], ['b b']])
  expect(await rejection(goOn('second', {}))).toEqual([409, 'run_not_continuable'])
  a.finish()
})
