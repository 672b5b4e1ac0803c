/** Calls of tools that wait for approval, and runs that wait for them: PROTOCOL.md#decisions. */
import { type Model, memoryEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { makeFolder } from './support/process.ts'
import { postJson, startServer } from './support/server.ts'
import { openSqlite } from './support/sqlite.ts'
import { caller, continued, pay, refusal, toBob, waiting } from './support/waiting.ts'

describe('a call that needs approval', () => {
  it('ends the run, and is in the conversation with its approval', async () => {
    const { end, read, paid, millrace, run } = await waiting()
    expect(end).toMatchObject({ status: 'waiting' })
    const [record] = await read()
    expect(record).toMatchObject({ status: 'waiting' })
    expect(record?.lanes[0]?.parts).toEqual([
      {
        type: 'tool',
        call: 'c1',
        name: 'pay',
        arguments: toBob.arguments,
        by: 'server',
        state: 'waiting',
        approval: expect.stringMatching(/^[\w-]{36}$/),
        expiresAt: expect.any(Number),
      },
    ])
    expect(paid).toEqual([])
    const { events } = await millrace.engine.read(run.session, run.start)
    expect(events.slice(-2).map(({ type }) => type)).toEqual(['approval_request', 'stream_end'])
  })

  it('is executed once it is approved, with the arguments of the server, and the model goes on', async () => {
    const context = await waiting()
    const next = await continued(await context.decide({ call: 'c1', decision: 'approve' }), context)
    expect(next.end).toMatchObject({ status: 'completed' })
    expect(context.paid).toEqual([toBob.arguments])
    const [first, second] = await context.read()
    expect(first?.lanes[0]?.parts).toMatchObject([{ state: 'called', decision: { decision: 'approve' } }])
    expect(second).toMatchObject({ run: next.id, continues: context.run.id, lanes: [{ text: 'paid 5 to bob' }] })
    expect(second?.lanes[0]?.parts).toMatchObject([
      { call: 'c1', state: 'done', value: 'paid 5 to bob' },
      { type: 'text', text: 'paid 5 to bob' },
    ])
    expect(context.asked[1]?.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool'])
    // Later models see one call with its result.
    await (await context.millrace.ask({ query: 'and?', models: ['m'], session: context.run.session })).ended
    expect(context.asked[2]).toMatchObject([
      { role: 'user' },
      { role: 'assistant', parts: [{ type: 'tool_call', id: 'c1' }] },
      { role: 'tool', parts: [{ type: 'tool_result', call: 'c1', value: 'paid 5 to bob' }] },
      { role: 'assistant', text: 'paid 5 to bob' },
      { role: 'user', text: 'and?' },
    ])
  })

  it('is not executed when it is rejected; the model gets the reason', async () => {
    const context = await waiting()
    await continued(await context.decide({ call: 'c1', decision: 'reject', reason: 'Too much.' }), context)
    expect(context.paid).toEqual([])
    const [first, second] = await context.read()
    expect(first?.lanes[0]?.parts).toMatchObject([{ state: 'rejected', decision: { decision: 'reject', reason: 'Too much.' } }])
    expect(second?.lanes[0]).toMatchObject({ text: 'Too much.', parts: [{ state: 'rejected', value: 'Too much.' }, {}] })
    expect(context.asked[1]?.at(-1)?.parts).toMatchObject([{ call: 'c1', value: 'Too much.', isError: true }])
  })

  it('is executed with edited arguments, which its schema checks', async () => {
    const context = await waiting()
    const wrong = await context.decide({ call: 'c1', decision: 'edit', arguments: { to: 'bob', amount: -1 } })
    expect(await refusal(wrong)).toEqual([400, 'arguments_invalid'])
    expect((await context.read())[0]?.lanes[0]?.parts).toMatchObject([{ state: 'waiting' }])
    await continued(await context.decide({ call: 'c1', decision: 'edit', arguments: { to: 'bob', amount: 2 } }), context)
    expect(context.paid).toEqual([{ to: 'bob', amount: 2 }])
    expect((await context.read())[1]?.lanes[0]?.parts[0]).toMatchObject({ arguments: { to: 'bob', amount: 2 } })
  })

  it('can be answered in its place', async () => {
    const context = await waiting()
    await continued(await context.decide({ call: 'c1', decision: 'answer', value: { done: 'by hand' } }), context)
    expect(context.paid).toEqual([])
    expect((await context.read())[1]?.lanes[0]?.text).toBe('{"done":"by hand"}')
  })

  it('waits for the others of its run, and goes on with the last decision; several can come at once', async () => {
    const toEve = { name: 'pay', arguments: { to: 'eve', amount: 9 } }
    const context = await waiting({}, [toBob, toEve, { name: 'pay', arguments: { to: 'dan', amount: 1 } }])
    const first = await context.decide({ call: 'c2', decision: 'reject' })
    expect(await first.json()).toEqual({ session: context.run.session, run: context.run.id, waiting: ['c1', 'c3'] })
    expect(context.asked).toHaveLength(1)
    await continued(await context.decide({ call: 'c1', decision: 'approve' }, { call: 'c3', decision: 'approve' }), context)
    expect(context.paid).toEqual([toBob.arguments, { to: 'dan', amount: 1 }])
    expect(context.asked[1]?.at(-1)?.parts).toMatchObject([{ call: 'c1' }, { call: 'c2', isError: true }, { call: 'c3' }])
  })

  it('is the only one that waits: the others of its step are executed at once, and only once', async () => {
    const isLarge = ({ amount }: { amount: number }) => amount > 8
    const context = await waiting({}, [toBob, { name: 'pay', arguments: { to: 'eve', amount: 9 } }], isLarge)
    expect(context.paid).toEqual([toBob.arguments])
    expect((await context.read())[0]?.lanes[0]?.parts).toMatchObject([{ state: 'done' }, { state: 'waiting' }])
    await continued(await context.decide({ call: 'c2', decision: 'approve' }), context)
    expect(context.paid).toEqual([toBob.arguments, { to: 'eve', amount: 9 }])
    expect(context.asked[1]?.flatMap(({ parts = [] }) => parts)).toMatchObject([
      { type: 'tool_call', id: 'c1' },
      { type: 'tool_call', id: 'c2' },
      { call: 'c1', value: 'paid 5 to bob' },
      { call: 'c2', value: 'paid 9 to eve' },
    ])
  })

  it('is not asked about where the arguments are wrong, or where asking fails', async () => {
    const context = await waiting({ onError() {} }, [{ name: 'pay', arguments: { to: 'bob', amount: -1 } }, toBob], () => {
      throw new Error('broken rule')
    })
    expect(context.end).toMatchObject({ status: 'completed' })
    expect(context.paid).toEqual([])
    expect((await context.read())[0]?.lanes[0]?.parts).toMatchObject([{ state: 'failed' }, { state: 'failed' }, {}, {}])
  })

  it('can ask again in the run that goes on', async () => {
    let steps = 0
    const model: Model = {
      name: 'm',
      async *stream() {
        steps += 1
        yield steps < 3 ? { toolCall: { id: 'c', ...toBob } } : 'done'
      },
    }
    const context = await waiting({ models: [model] })
    const second = await continued(await context.decide({ call: 'c', decision: 'approve' }), context)
    expect(second.end).toMatchObject({ status: 'waiting' })
    const again = await postJson(`${context.url}/api/runs/${second.id}/decisions`, {
      decisions: [{ call: 'c#2', decision: 'approve' }],
    })
    expect((await continued(again, context)).end).toMatchObject({ status: 'completed' })
    expect(context.paid).toHaveLength(2)
  })
})

describe('a run that waits', () => {
  it('goes on in another process, after a restart, and its calls are known there', async () => {
    const folder = makeFolder()
    const first = await waiting({ engine: openSqlite(folder).engine })
    await first.millrace.close()
    const { model } = caller(toBob)
    const { tool, paid } = pay()
    const { millrace, url } = await startServer({ models: [model], tools: { pay: tool }, engine: openSqlite(folder).engine })
    expect((await millrace.readSession(first.run.session))?.runs[0]?.lanes[0]?.parts).toMatchObject([{ state: 'waiting' }])
    const decisions = [{ call: 'c1', decision: 'approve' }]
    const next = await continued(await postJson(`${url}/api/runs/${first.run.id}/decisions`, { decisions }), { millrace })
    expect(next.end).toMatchObject({ status: 'completed' })
    expect(paid).toEqual([toBob.arguments])
    expect(first.paid).toEqual([])
  })

  it('goes on when its session is opened, where the process died between the decision and the start', async () => {
    const folder = makeFolder()
    const first = await waiting({ engine: openSqlite(folder).engine })
    const { session, id } = first.run
    // All that the process did before it died.
    const decision = { run: id, call: 'c1', decision: 'approve', by: 'alice' }
    await first.millrace.engine.append(session, [{ type: 'tool_decision', data: decision }], { key: `decision ${id} c1` })
    await first.millrace.close()
    const { model } = caller(toBob)
    const { tool, paid } = pay()
    const { millrace, url } = await startServer({ models: [model], tools: { pay: tool }, engine: openSqlite(folder).engine })
    const response = await fetch(`${url}/api/stream?session=${session}`)
    let text = ''
    for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      text += chunk
      if (text.split('event: stream_end').length > 2) break
    }
    expect(paid).toEqual([toBob.arguments])
    const [, second, ...more] = (await millrace.readSession(session))?.runs ?? []
    expect(second).toMatchObject({ continues: id, status: 'completed' })
    expect(more).toEqual([])
  })

  it('goes on with an error where its tool is gone', async () => {
    const folder = makeFolder()
    const first = await waiting({ engine: openSqlite(folder).engine })
    await first.millrace.close()
    const { model } = caller(toBob)
    const { millrace, url } = await startServer({ models: [model], engine: openSqlite(folder).engine })
    const edit = { decisions: [{ call: 'c1', decision: 'edit', arguments: { to: 'x', amount: 1 } }] }
    expect(await refusal(await postJson(`${url}/api/runs/${first.run.id}/decisions`, edit))).toEqual([400, 'arguments_invalid'])
    const decisions = [{ call: 'c1', decision: 'approve' }]
    const next = await continued(await postJson(`${url}/api/runs/${first.run.id}/decisions`, { decisions }), { millrace })
    expect(next.end).toMatchObject({ status: 'completed' })
    expect((await millrace.readSession(first.run.session))?.runs[1]?.lanes[0]?.text).toBe('There is no tool pay any more.')
  })

  it('holds no place: as many may wait as there are sessions', async () => {
    const context = await waiting({ limits: { runsPerNode: 1 }, engine: memoryEngine() })
    const second = await context.millrace.ask({ query: 'x', models: ['m'] })
    expect(await second.ended).toMatchObject({ status: 'waiting' })
  })

  it('is the one of sim:tool?approve=1, and of client=1', async () => {
    const { millrace } = await startServer()
    for (const [option, decision] of [
      ['approve=1', { decision: 'approve' }],
      ['client=1', { decision: 'result', value: { celsius: 3 } }],
    ] as const) {
      const run = await millrace.ask({ query: 'x', models: [`sim:tool?tps=0&name=weather&${option}`] })
      expect(await run.ended).toMatchObject({ status: 'waiting' })
      const { continuedBy = '' } = await millrace.decide({ run: run.id, decisions: [{ call: 'call_1', ...decision }] })
      expect(await millrace.findRun(continuedBy)?.ended).toMatchObject({ status: 'completed' })
      expect((await millrace.readSession(run.session))?.runs[1]?.lanes[0]?.text).toMatch(/^The weather says: /)
    }
  })
})
