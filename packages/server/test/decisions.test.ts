/** Decisions about calls of tools: which count, and whose. PROTOCOL.md#decisions. */
import type { Model } from 'millrace'
import { describe, expect, it } from 'vitest'
import { postJson, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { secret, sign } from './support/tokens.ts'
import { caller, continued, pay, refusal, toBob, waiting } from './support/waiting.ts'

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
    const decide = (value: number) =>
      context.millrace.decide({ run: context.run.id, decisions: [{ call: 'c1', decision: 'answer', value }] })
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => decide(index)))
    const accepted = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(accepted).toHaveLength(1)
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'call_decided' })
    await context.millrace.findRun(accepted[0]?.continuedBy ?? '')?.ended
    expect((await context.read()).map(({ run }) => run)).toEqual([context.run.id, accepted[0]?.continuedBy])
    const { events } = await context.millrace.engine.read(context.run.session, context.run.start)
    expect(events.filter(({ type }) => type === 'tool_decision')).toHaveLength(1)
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
