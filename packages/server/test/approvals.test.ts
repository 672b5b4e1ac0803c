/** Calls of tools that wait for a decision, or for a client's result: PROTOCOL.md#decisions. */
import { type MillraceOptions, type Model, type ModelMessage, type ModelPart, memoryEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { makeFolder } from './support/process.ts'
import { postJson, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { openSqlite } from './support/sqlite.ts'
import { secret, sign } from './support/tokens.ts'

/** Calls its tools once, then says what it got. */
function caller(...calls: { name: string; arguments: object }[]) {
  const asked: (readonly ModelMessage[])[] = []
  const model: Model = {
    name: 'm',
    async *stream({ messages }): AsyncGenerator<ModelPart> {
      asked.push(messages)
      const last = messages.at(-1)
      if (last?.role === 'tool') yield last.text
      else for (const [index, call] of calls.entries()) yield { toolCall: { id: `c${index + 1}`, ...call } as never }
    },
  }
  return { model, asked }
}

function pay(needsApproval: unknown = true) {
  const paid: unknown[] = []
  const tool = {
    description: 'Pays.',
    input: z.object({ to: z.string(), amount: z.number().positive() }),
    needsApproval: needsApproval as boolean,
    execute(input: { to: string; amount: number }) {
      paid.push(input)
      return `paid ${input.amount} to ${input.to}`
    },
  }
  return { tool, paid }
}

const toBob = { name: 'pay', arguments: { to: 'bob', amount: 5 } }

async function waiting(options: MillraceOptions = {}, calls = [toBob], needsApproval: unknown = true) {
  const { model, asked } = caller(...calls)
  const { tool, paid } = pay(needsApproval)
  const server = await startServer({ models: [model], tools: { pay: tool }, ...options })
  const run = await server.millrace.ask({ query: 'x', models: ['m'] })
  const end = await run.ended
  const decide = (...decisions: object[]) => postJson(`${server.url}/api/runs/${run.id}/decisions`, { decisions })
  const read = async () => (await server.millrace.readSession(run.session))?.runs ?? []
  return { ...server, run, end, decide, read, paid, asked, model, tool }
}

async function continued(response: Response, { millrace }: { millrace: Awaited<ReturnType<typeof startServer>>['millrace'] }) {
  const body = (await response.json()) as { continuedBy: string; waiting: string[] }
  expect(body).toMatchObject({ waiting: [], continuedBy: expect.any(String) })
  return { id: body.continuedBy, end: await millrace.findRun(body.continuedBy)?.ended }
}

async function refusal(response: Response) {
  const { error } = (await response.json()) as { error: { code: string } }
  return [response.status, error.code]
}

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

describe('a decision', () => {
  it('counts once: another one is rejected, and the same again is the same run', async () => {
    const context = await waiting()
    const { id } = await continued(await context.decide({ call: 'c1', decision: 'approve' }), context)
    expect(await (await context.decide({ call: 'c1', decision: 'approve' })).json()).toMatchObject({ continuedBy: id })
    expect(await refusal(await context.decide({ call: 'c1', decision: 'reject' }))).toEqual([409, 'call_decided'])
    expect(await refusal(await context.decide({ call: 'c1', decision: 'edit', arguments: { to: 'eve', amount: 5 } }))).toEqual([
      409,
      'call_decided',
    ])
    expect(context.paid).toHaveLength(1)
    expect(await context.read()).toHaveLength(2)
  })

  it('counts once of several at the same moment', async () => {
    const context = await waiting()
    const responses = await Promise.all(
      Array.from({ length: 8 }, (_, index) => context.decide({ call: 'c1', decision: 'answer', value: index })),
    )
    const accepted = responses.filter(({ status }) => status === 200)
    expect(accepted).toHaveLength(1)
    for (const response of responses) if (response.status !== 200) expect(await refusal(response)).toEqual([409, 'call_decided'])
    const { id } = await continued(accepted[0] as Response, context)
    expect((await context.read()).map(({ run }) => run)).toEqual([context.run.id, id])
  })

  it('can name the approval, and must name the one of the call', async () => {
    const context = await waiting()
    const part = (await context.read())[0]?.lanes[0]?.parts[0]
    const approval = part?.type === 'tool' ? part.approval : ''
    const wrong = { call: 'c1', approval: 'another', decision: 'approve' }
    expect(await refusal(await context.decide(wrong))).toEqual([404, 'call_not_found'])
    expect((await context.decide({ approval, decision: 'approve' })).status).toBe(200)
  })

  it.each<[string, object, [number, string]]>([
    ['about a call that does not exist', { call: 'c9', decision: 'approve' }, [404, 'call_not_found']],
    ['about no call', { decision: 'approve' }, [404, 'call_not_found']],
    ['that does not exist', { call: 'c1', decision: 'maybe' }, [400, 'invalid_request']],
    [
      'with arguments that nobody would see',
      { call: 'c1', decision: 'approve', arguments: { to: 'eve', amount: 1 } },
      [400, 'invalid_request'],
    ],
    ['to edit without arguments', { call: 'c1', decision: 'edit' }, [400, 'invalid_request']],
    ['to edit with arguments that do not match', { call: 'c1', decision: 'edit', arguments: 'all' }, [400, 'arguments_invalid']],
  ])('%s is rejected, and the call still waits', async (_what, decision, expected) => {
    const context = await waiting()
    expect(await refusal(await context.decide(decision))).toEqual(expected)
    expect((await context.read())[0]?.lanes[0]?.parts).toMatchObject([{ state: 'waiting' }])
    expect((await context.decide({ call: 'c1', decision: 'approve' })).status).toBe(200)
  })

  it('is rejected with all of its request where one of them is wrong, or decides twice', async () => {
    const context = await waiting({}, [toBob, toBob])
    const some = await context.decide({ call: 'c1', decision: 'approve' }, { call: 'c9', decision: 'approve' })
    expect(await refusal(some)).toEqual([404, 'call_not_found'])
    const twice = await context.decide({ call: 'c1', decision: 'approve' }, { call: 'c1', decision: 'reject' })
    expect(await refusal(twice)).toEqual([400, 'invalid_request'])
    expect((await context.read())[0]?.lanes[0]?.parts).toMatchObject([{ state: 'waiting' }, { state: 'waiting' }])
  })

  it('is rejected when its time is over; the answer can then be continued without the call', async () => {
    const context = await waiting({ limits: { approvalMsMax: 1 } })
    const part = (await context.read())[0]?.lanes[0]?.parts[0]
    while (part?.type === 'tool' && (part.expiresAt ?? 0) >= Date.now()) await new Promise(setImmediate)
    expect(await refusal(await context.decide({ call: 'c1', decision: 'approve' }))).toEqual([410, 'approval_expired'])
    const run = await context.millrace.resume({ run: context.run.id })
    expect(await run.ended).toMatchObject({ status: 'completed' })
    expect(context.paid).toEqual([])
    expect((await context.read())[1]?.lanes[0]?.text).toBe('Nobody decided in time.')
  })

  it('is what an answer that waits needs: it cannot be continued without', async () => {
    const { url, run } = await waiting()
    expect(await refusal(await postJson(`${url}/api/runs/${run.id}/continue`, {}))).toEqual([409, 'run_not_continuable'])
  })

  it('about a run that does not wait is rejected', async () => {
    const { millrace, url } = await startServer()
    const run = await millrace.run({
      query: 'x',
      source: ['a', { toolCall: { id: 'c1', name: 'n', arguments: {}, by: 'model' } }],
    })
    await run.ended
    const decisions = [{ call: 'c1', decision: 'approve' }]
    expect(await refusal(await postJson(`${url}/api/runs/${run.id}/decisions`, { decisions }))).toEqual([409, 'run_not_waiting'])
    expect(await refusal(await postJson(`${url}/api/runs/nothing/decisions`, { decisions }))).toEqual([404, 'run_not_found'])
  })

  it('about a call that has its result is rejected', async () => {
    const context = await waiting(
      {},
      [toBob, { name: 'pay', arguments: { to: 'eve', amount: 9 } }],
      ({ amount }: { amount: number }) => amount > 8,
    )
    expect(await refusal(await context.decide({ call: 'c1', decision: 'reject' }))).toEqual([409, 'call_not_waiting'])
  })

  it('still counts when the session went on meanwhile, whose models get no trace of the call', async () => {
    const context = await waiting()
    await (await context.millrace.ask({ query: 'and?', models: ['m'], session: context.run.session })).ended
    expect(context.asked[1]).toEqual([{ role: 'user', text: 'and?' }])
    const next = await continued(await context.decide({ call: 'c1', decision: 'approve' }), context)
    expect(next.end).toMatchObject({ status: 'completed' })
    expect(context.asked[2]?.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool'])
  })

  it('about a lane waits for the end of the run that has others', async () => {
    const context = await waiting()
    const gate = Promise.withResolvers<void>()
    const slow: Model = {
      name: 'slow',
      async *stream() {
        await gate.promise
        yield 'done'
      },
    }
    const { millrace, url } = await startServer({ models: [context.model, slow], tools: { pay: context.tool } })
    const run = await millrace.ask({ query: 'x', models: ['m', 'slow'] })
    const first = context.asked.length
    const deciding = postJson(`${url}/api/runs/${run.id}/decisions`, { decisions: [{ call: 'c1', decision: 'approve' }] })
    gate.resolve()
    const next = await continued(await deciding, { millrace })
    expect(await run.ended).toMatchObject({
      status: 'waiting',
      lanes: { m: { status: 'waiting' }, slow: { status: 'completed' } },
    })
    expect(next.end).toMatchObject({ status: 'completed' })
    expect(context.asked.length).toBeGreaterThan(first - 1)
    expect((await millrace.readSession(run.session))?.runs[1]?.lanes.map(({ lane }) => lane)).toEqual(['m'])
  })

  it('can come over a WebSocket', async () => {
    const context = await waiting()
    const socket = await openSocket(context.url)
    socket.send({ type: 'decide', ref: '1', run: context.run.id, decisions: [{ call: 'c9', decision: 'approve' }] })
    expect((await socket.until(({ ref }) => ref === '1')).at(-1)).toMatchObject({
      type: 'error',
      error: { code: 'call_not_found' },
    })
    socket.send({ type: 'decide', ref: '2', run: context.run.id, decisions: [{ call: 'c1', decision: 'approve' }] })
    const reply = (await socket.until(({ ref }) => ref === '2')).at(-1) as { continuedBy: string }
    expect(reply).toMatchObject({ type: 'decided', waiting: [], continuedBy: expect.any(String) })
    expect(await context.millrace.findRun(reply.continuedBy)?.ended).toMatchObject({ status: 'completed' })
  })
})

describe('who may decide', () => {
  const access = { tokens: { secret } }
  const bearer = async (sub: string, millrace?: object) => ({
    authorization: `Bearer ${await sign({ sub, ...(millrace && { millrace }) })}`,
  })

  async function owned() {
    const { model } = caller(toBob)
    const { tool, paid } = pay()
    const server = await startServer({ models: [model], tools: { pay: tool }, access })
    const run = await server.millrace.ask({ query: 'x', models: ['m'], owner: 'alice', principal: 'alice' })
    await run.ended
    const decide = (headers: Record<string, string>, more = {}) =>
      postJson(
        `${server.url}/api/runs/${run.id}/decisions`,
        { ...more, decisions: [{ call: 'c1', decision: 'approve' }] },
        headers,
      )
    return { ...server, run, decide, paid }
  }

  it('is the owner, from any of its devices; the decision says who', async () => {
    const { decide, millrace, run } = await owned()
    expect((await decide(await bearer('alice', { may: ['run.decide', 'model.use:m'] }))).status).toBe(200)
    expect((await millrace.readSession(run.session))?.runs[0]?.lanes[0]?.parts).toMatchObject([{ decision: { by: 'alice' } }])
  })

  it('is nobody else, for whom the run does not exist', async () => {
    const { decide, run, paid } = await owned()
    expect(await refusal(await decide(await bearer('eve')))).toEqual([404, 'run_not_found'])
    expect(await refusal(await decide(await bearer('eve'), { session: run.session }))).toEqual([404, 'session_not_found'])
    expect(paid).toEqual([])
  })

  it('is not who may only start, send results, or read', async () => {
    const { decide, millrace, run, url } = await owned()
    expect(await refusal(await decide(await bearer('alice', { may: ['run.start', 'run.result', 'session.*'] })))).toEqual([
      403,
      'forbidden',
    ])
    const results = { results: [{ call: 'c1', value: 1 }] }
    const sent = postJson(`${url}/api/runs/${run.id}/tool-results`, results, await bearer('alice', { may: ['run.decide'] }))
    expect(await refusal(await sent)).toEqual([403, 'forbidden'])
    const { token } = await millrace.sessions.shares.create(run.session)
    expect(await refusal(await decide({ authorization: `Bearer ${token}` }))).toEqual([403, 'forbidden'])
  })
})

describe('a tool that a client executes', () => {
  const page = { description: 'What the page shows.', input: z.object({ of: z.string() }) }

  async function called(options: MillraceOptions = {}, given: object = { of: 'cart' }) {
    const { model, asked } = caller({ name: 'page', arguments: given })
    const server = await startServer({ models: [model], tools: { page }, ...options })
    const run = await server.millrace.ask({ query: 'x', models: ['m'] })
    const end = await run.ended
    const send = (...results: object[]) => postJson(`${server.url}/api/runs/${run.id}/tool-results`, { results })
    const parts = async (index: number) => (await server.millrace.readSession(run.session))?.runs[index]?.lanes[0]?.parts
    return { ...server, run, end, send, asked, parts }
  }

  it('ends the run until a client sends the result, which counts once', async () => {
    const context = await called()
    expect(context.end).toMatchObject({ status: 'waiting' })
    expect(await context.parts(0)).toMatchObject([{ call: 'c1', by: 'client', state: 'waiting' }])
    const { id, end } = await continued(await context.send({ call: 'c1', value: { items: 2 } }), context)
    expect(end).toMatchObject({ status: 'completed' })
    expect(await context.parts(0)).toMatchObject([{ state: 'done', value: { items: 2 }, decision: { decision: 'result' } }])
    expect(await context.parts(1)).toMatchObject([{ by: 'client', state: 'done', value: { items: 2 } }, { text: '{"items":2}' }])
    expect(await (await context.send({ call: 'c1', value: { items: 2 } })).json()).toMatchObject({ continuedBy: id })
    expect(await refusal(await context.send({ call: 'c1', value: { items: 3 } }))).toEqual([409, 'call_decided'])
  })

  it('can fail, which the model gets', async () => {
    const context = await called()
    await continued(await context.send({ call: 'c1', value: 'No page.', isError: true }), context)
    expect(context.asked[1]?.at(-1)?.parts).toMatchObject([{ value: 'No page.', isError: true }])
    expect(await context.parts(1)).toMatchObject([{ state: 'failed' }, {}])
  })

  it('is not called with arguments that do not match', async () => {
    const { end, parts } = await called({}, { of: 7 })
    expect(end).toMatchObject({ status: 'completed' })
    expect(await parts(0)).toMatchObject([{ state: 'failed' }, {}, {}])
  })

  it('waits for a result and no decision, and a call that waits for a decision for no result', async () => {
    const context = await called()
    const decisions = [{ call: 'c1', decision: 'approve' }]
    expect(await refusal(await postJson(`${context.url}/api/runs/${context.run.id}/decisions`, { decisions }))).toEqual([
      400,
      'invalid_request',
    ])
    const other = await waiting()
    const results = [{ call: 'c1', value: 1 }]
    expect(await refusal(await postJson(`${other.url}/api/runs/${other.run.id}/tool-results`, { results }))).toEqual([
      400,
      'invalid_request',
    ])
    expect(await refusal(await context.send({ call: 'c9', value: 1 }))).toEqual([404, 'call_not_found'])
    expect(await refusal(await context.send({ call: 'c1' }))).toEqual([400, 'invalid_request'])
  })

  it('can send its result over a WebSocket', async () => {
    const context = await called()
    const socket = await openSocket(context.url)
    socket.send({ type: 'tool_results', ref: '1', run: context.run.id, results: [{ call: 'c1', value: 1 }] })
    expect((await socket.until(({ ref }) => ref === '1')).at(-1)).toMatchObject({ type: 'decided', waiting: [] })
  })

  it('cannot be called for ever: the steps of all runs count', async () => {
    const model: Model = {
      name: 'm',
      async *stream() {
        yield { toolCall: { id: 'c', name: 'page', arguments: { of: 'cart' } } }
      },
    }
    const { millrace } = await called({ models: [model], limits: { stepsMax: 3 } })
    let run = await millrace.ask({ query: 'x', models: ['m'] })
    let runs = 1
    while ((await run.ended).status === 'waiting') {
      const record = (await millrace.readSession(run.session))?.runs.at(-1)
      const part = record?.lanes[0]?.parts.findLast(({ type }) => type === 'tool')
      const call = part?.type === 'tool' ? part.call : ''
      const { continuedBy = '' } = await millrace.decide({ run: run.id, decisions: [{ call, decision: 'result', value: 1 }] })
      run = millrace.findRun(continuedBy) ?? run
      runs += 1
    }
    expect(runs).toBe(3)
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
