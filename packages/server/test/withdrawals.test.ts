/** A stop of a run that waits withdraws its calls: PROTOCOL.md#decisions. */
import { type Engine, memoryEngine } from 'millrace'
import { expect, it } from 'vitest'
import { makeFolder } from './support/process.ts'
import { postJson, startServer } from './support/server.ts'
import { openSqlite } from './support/sqlite.ts'
import { caller, pay, refusal, toBob, waiting } from './support/waiting.ts'

const approve = (call: string) => ({ call, decision: 'approve' })
const withdrawn = { state: 'rejected', decision: { decision: 'withdraw' } }

it('ends the run as stopped, for readers too, and a later decision is rejected', async () => {
  const context = await waiting({}, [toBob, { name: 'pay', arguments: { to: 'eve', amount: 9 } }])
  const { run, url, millrace } = context
  await context.decide(approve('c2'))
  const stopped = (await (await postJson(`${url}/api/runs/${run.id}/stop`, {})).json()) as { position: string }
  expect(stopped).toMatchObject({ status: 'stopped', usage: {}, timings: {} })
  const { events, position } = await millrace.engine.read(run.session, run.start)
  expect(events.slice(-2)).toMatchObject([
    { type: 'tool_decision', data: { call: 'c2', decision: 'approve' } },
    { type: 'tool_decision', data: { run: run.id, call: 'c1', decision: 'withdraw', approval: expect.any(String) } },
  ])
  const approval = (events.at(-1)?.data as { approval?: string } | undefined)?.approval
  expect(JSON.stringify(events.at(-1)?.data)).toBe(
    `{"run":"${run.id}","call":"c1","decision":"withdraw","approval":"${approval}","by":"anonymous"}`,
  )
  expect(stopped.position).toBe(`${run.session}:${position.epoch}-${position.offset}`)
  const [record] = await context.read()
  expect(record).toMatchObject({ status: 'stopped', lanes: [{ status: 'stopped', parts: [withdrawn, { state: 'called' }] }] })
  for (const call of ['c1', 'c2']) expect(await refusal(await context.decide(approve(call)))).toEqual([409, 'run_not_waiting'])
  expect(context.paid).toEqual([])
  // The same again changes nothing.
  expect(await (await postJson(`${url}/api/runs/${run.id}/stop`, {})).json()).toMatchObject({ status: 'stopped' })
  expect((await millrace.engine.read(run.session, run.start)).events).toHaveLength(events.length)
})

it('is what later models get as the result, also where the answer is continued', async () => {
  const context = await waiting()
  const { run, url, millrace } = context
  await postJson(`${url}/api/runs/${run.id}/stop`, {})
  await (await millrace.ask({ query: 'and?', models: ['m'], session: run.session })).ended
  const asked = ['user x', 'assistant ', 'tool The answer was stopped before anybody decided.']
  expect(context.asked[1]?.map(({ role, text }) => `${role} ${text}`)).toEqual([...asked, 'user and?'])
  await (await postJson(`${url}/api/runs/${run.id}/continue`, { id: 'next' })).text()
  await millrace.findRun('next')?.ended
  expect(context.asked[2]?.map(({ role, text }) => `${role} ${text}`)).toEqual(asked)
  expect(context.paid).toEqual([])
})

it('is known after a restart, where the run is named with its session', async () => {
  const folder = makeFolder()
  const first = await waiting({ engine: openSqlite(folder).engine })
  await first.millrace.close()
  const { model } = caller(toBob)
  const { tool, paid } = pay()
  const { millrace, url } = await startServer({ models: [model], tools: { pay: tool }, engine: openSqlite(folder).engine })
  const { id, session } = first.run
  expect(await (await postJson(`${url}/api/runs/${id}/stop`, { session })).json()).toMatchObject({ status: 'stopped' })
  expect(await refusal(await postJson(`${url}/api/runs/none/stop`, { session }))).toEqual([404, 'run_not_found'])
  expect(await refusal(await postJson(`${url}/api/runs/${id}/decisions`, { session, decisions: [approve('c1')] }))).toEqual([
    409,
    'run_not_waiting',
  ])
  // Opening the session starts nothing.
  await (await fetch(`${url}/api/stream?session=${session}&live=poll&wait=0`)).json()
  expect((await millrace.readSession(session))?.runs).toMatchObject([{ status: 'stopped' }])
  expect(paid).toEqual([])
})

it('stops one lane of several, and the others go on when they are decided', async () => {
  const { millrace, url } = await startServer({ model: 'sim:tool?tps=0&approve=1' })
  const [a, b] = ['sim:tool?tps=0&approve=1', 'sim:tool?tps=0&approve=1&name=mail']
  const run = await millrace.ask({ query: 'x', models: [a, b] })
  const end = await run.ended
  expect(end).toMatchObject({ status: 'waiting' })
  const { lanes = [] } = (await millrace.readSession(run.session))?.runs[0] ?? {}
  const [first, second] = lanes.map(({ parts }) => parts.find((part) => part.type === 'tool')?.call)
  await postJson(`${url}/api/runs/${run.id}/decisions`, { decisions: [approve(second ?? '')] })
  expect(await (await postJson(`${url}/api/runs/${run.id}/stop`, { lane: a })).json()).toMatchObject({
    status: 'stopped',
    model: a,
  })
  await expect.poll(async () => (await millrace.readSession(run.session))?.runs[1]?.status).toBe('completed')
  expect((await millrace.readSession(run.session))?.runs).toMatchObject([
    { status: 'waiting', lanes: [{ status: 'stopped', parts: [{}, { ...withdrawn, call: first }] }, { status: 'waiting' }] },
    { continues: run.id, lanes: [{ lane: b, status: 'completed' }] },
  ])
})

it('comes with a question that steers; the queue waits where somebody stopped', async () => {
  const context = await waiting()
  const { run, millrace, url } = context
  const { session } = run
  await millrace.queue.add({ session, query: 'later', models: ['sim:count?n=1&tps=0'], id: 'later' })
  await postJson(`${url}/api/runs/${run.id}/stop`, {})
  expect((await millrace.readSession(session))?.queue).toMatchObject([{ entry: 'later' }])
  const again = await millrace.ask({ query: 'x', models: ['m'], session })
  await again.ended
  await millrace.queue.add({ session, query: 'now', models: ['sim:count?n=1&tps=0'], id: 'now', steer: true })
  await expect
    .poll(async () => (await context.read()).map(({ run: id, status }) => `${id} ${status}`))
    .toEqual([`${run.id} stopped`, `${again.id} stopped`, 'now completed', 'later completed'])
})

it('loses to a decision that is recorded before it, and wins over one that comes after it', async () => {
  for (const first of ['approve', 'withdraw'] as const) {
    let isMeeting = true
    const engine = memoryEngine()
    const append = engine.append.bind(engine)
    // The other one is sent between the reading and the recording of this one.
    const meet: Engine['append'] = async (log, events, options) => {
      const other = (events[0]?.data as { decision?: string } | undefined)?.decision === 'withdraw' ? 'approve' : 'withdraw'
      if (events[0]?.type !== 'tool_decision' || !isMeeting || other !== first) return append(log, events, options)
      isMeeting = false
      await (first === 'approve' ? context.decide(approve('c1')) : postJson(stop, {}))
      return append(log, events, options)
    }
    const context = await waiting({ engine: Object.assign(engine, { append: meet }) })
    const stop = `${context.url}/api/runs/${context.run.id}/stop`
    if (first === 'approve') {
      expect(await (await postJson(stop, {})).json()).toMatchObject({ status: 'waiting' })
      await expect.poll(async () => (await context.read()).map(({ status }) => status)).toEqual(['waiting', 'completed'])
      expect(context.paid).toEqual([toBob.arguments])
    } else {
      expect(await refusal(await context.decide(approve('c1')))).toEqual([409, 'run_not_waiting'])
      expect((await context.read()).map(({ status }) => status)).toEqual(['stopped'])
      expect(context.paid).toEqual([])
    }
  }
})
