/** Tools that only a request has: PROTOCOL.md#tools-of-a-request. */
import { limits } from '@millrace/protocol'
import { createMillrace, type Model, type ModelPart, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makeFolder } from './support/process.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { continued, refusal } from './support/waiting.ts'

type Tools = NonNullable<Parameters<Model['stream']>[0]['tools']>

const input = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const weather = { name: 'weather', description: 'The weather of a city.', input }

/** Calls the first tool that it gets, with a city that is none, then says what it got. */
function caller(given: unknown = { city: 7 }) {
  const got: Tools[] = []
  const model: Model = {
    name: 'm',
    async *stream({ messages, tools = [] }): AsyncGenerator<ModelPart> {
      got.push(tools)
      const last = messages.at(-1)
      if (last?.role === 'tool') yield last.text
      else if (tools[0] !== undefined) yield { toolCall: { id: 'c1', name: tools[0].name, arguments: given as never } }
      else yield 'nothing'
    },
  }
  return { model, got }
}

async function ended(millrace: Awaited<ReturnType<typeof startServer>>['millrace'], run: string) {
  return millrace.findRun(run)?.ended
}

describe('the tools of a request', () => {
  it('are what the model gets, and wait for the client, which checks what they are called with', async () => {
    const { model, got } = caller()
    const { url, millrace } = await startServer({ models: [model] })
    const { run, session } = await startRun(url, { query: 'x', model: 'm', tools: [weather, { name: 'plain' }] })
    expect(await ended(millrace, run)).toMatchObject({ status: 'waiting' })
    const plain = { name: 'plain', description: '', input: { type: 'object', properties: {} } }
    expect(got).toEqual([[weather, plain]])
    const record = (await millrace.readSession(session))?.runs[0]
    expect(record).toMatchObject({ tools: [weather, { name: 'plain' }] })
    expect(record?.lanes[0]?.parts).toMatchObject([{ call: 'c1', by: 'client', state: 'waiting', arguments: { city: 7 } }])
    const sent = await postJson(`${url}/api/runs/${run}/tool-results`, { results: [{ call: 'c1', value: 'Rain.' }] })
    const { id, end } = await continued(sent, { millrace })
    expect(end).toMatchObject({ status: 'completed' })
    expect((await millrace.readSession(session))?.runs.find((each) => each.run === id)?.lanes[0]?.text).toBe('Rain.')
    // The run that goes on has them too, and the next question has not.
    expect(got[1]).toEqual(got[0])
    const next = await startRun(url, { query: 'y', session, model: 'm' })
    await ended(millrace, next.run)
    expect(got[2]).toEqual([])
  })

  it('are there after a restart', async () => {
    const folder = makeFolder()
    const { model, got } = caller()
    const start = () => {
      const millrace = createMillrace({ models: [model], engine: sqliteEngine({ folder }) })
      onTestFinished(() => millrace.close())
      return millrace
    }
    const one = start()
    const run = await one.ask({ query: 'x', models: ['m'], tools: [weather] })
    await run.ended
    await one.close()
    const two = start()
    const { continuedBy = '' } = await two.decide({
      run: run.id,
      session: run.session,
      decisions: [{ call: 'c1', decision: 'result', value: 1 }],
    })
    expect(await ended(two, continuedBy)).toMatchObject({ status: 'completed' })
    expect(got[1]).toEqual([weather])
  })

  it('belong to the question: the same id with others is another run', async () => {
    const { url, millrace } = await startServer({ models: [caller().model] })
    const body = { query: 'x', model: 'm', id: 'one', tools: [weather] }
    await startRun(url, body)
    await startRun(url, body)
    await ended(millrace, 'one')
    expect(await refusal(await postJson(`${url}/api/chat`, { ...body, tools: [{ name: 'other' }] }))).toEqual([
      409,
      'run_conflict',
    ])
  })

  it('that are text and not an object are not called', async () => {
    const { url, millrace } = await startServer({ models: [caller('city').model] })
    const { run, session } = await startRun(url, { query: 'x', model: 'm', tools: [weather] })
    expect(await ended(millrace, run)).toMatchObject({ status: 'completed' })
    expect((await millrace.readSession(session))?.runs[0]?.lanes[0]?.parts[0]).toMatchObject({ state: 'failed' })
  })

  it.each([
    ['a name that a tool of the server has', [{ name: 'own' }]],
    ['two of one name', [weather, weather]],
    ['a name that no provider takes', [{ name: 'a b' }]],
    ['a member that is none', [{ name: 'a', parameters: {} }]],
    ['a schema of a text', [{ name: 'a', input: { type: 'string' } }]],
    ['a schema that is too deep', [{ name: 'a', input: JSON.parse(`${'{"a":'.repeat(80)}1${'}'.repeat(80)}`) }]],
    ['too many', Array.from({ length: limits.toolsMax + 1 }, (_, index) => ({ name: `t${index}` }))],
    ['too long', [{ name: 'a', description: 'x'.repeat(limits.toolsBytesMax) }]],
  ])('are rejected with %s', async (_what, tools) => {
    const own = { description: 'Own.', execute: () => 1 }
    const { url, millrace } = await startServer({ models: [caller().model], tools: { own } })
    expect(await refusal(await postJson(`${url}/api/chat`, { query: 'x', model: 'm', id: 'one', tools }))).toEqual([
      400,
      'invalid_request',
    ])
    expect(millrace.findRun('one')).toBeUndefined()
  })
})
