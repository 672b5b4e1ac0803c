/** Tools that clients execute: PROTOCOL.md#decisions. */
import type { MillraceOptions, Model } from 'millrace'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { postJson, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { caller, continued, refusal, waiting } from './support/waiting.ts'

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
