/** OpenAI's own client against a server, with the Responses API. */
import type { MillraceOptions, Model, ModelPart } from 'millrace'
import OpenAI from 'openai'
import type { ResponseInputItem, ResponseStreamEvent } from 'openai/resources/responses/responses'
import { describe, expect, it } from 'vitest'
import { startServer } from '../support/server.ts'

async function start(options: MillraceOptions = {}) {
  const server = await startServer({ dialects: ['openai'], ...options })
  return { ...server, client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none' }) }
}

const think = 'sim:think?think=2&n=3&tps=0'

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const each of stream) all.push(each)
  return all
}

function bare(value: unknown): Record<string, unknown> {
  const ofClient = ['output_text', 'output_parsed', 'parsed', 'parsed_arguments']
  return JSON.parse(JSON.stringify(value, (key, each) => (ofClient.includes(key) ? undefined : each)))
}

/** Calls each of its tools, then says what it got. */
const caller: Model = {
  name: 'caller',
  async *stream({ messages, tools = [] }): AsyncGenerator<ModelPart> {
    const last = messages.at(-1)
    if (last?.role !== 'user' || tools.length === 0) return yield `They say: ${messages.map(({ text }) => text).join('|')}`
    for (const [index, { name }] of tools.entries())
      yield { toolCall: { id: `call_${index}`, name, arguments: { city: 'Wuxi' } } }
  },
}

const weather = { type: 'function' as const, name: 'weather', parameters: { type: 'object' }, strict: false }
const output = (call: string, said: string): ResponseInputItem => ({ type: 'function_call_output', call_id: call, output: said })

describe('responses of OpenAI', () => {
  it('are events that the strict helper accepts, and the same as a whole', async () => {
    const { client } = await start()
    const helper = client.responses.stream({ model: think, input: 'x', instructions: 'Be short.' })
    const events = await collect(helper)
    const final = await helper.finalResponse()
    expect(final.output.map(({ type }) => type)).toEqual(['reasoning', 'message'])
    expect(final.output_text).toBe('1 2 3 ')
    expect(final.usage).toMatchObject({ input_tokens: 3, output_tokens: 5, output_tokens_details: { reasoning_tokens: 2 } })
    expect(final).toMatchObject({ status: 'completed', instructions: 'Be short.', previous_response_id: null })
    expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, index) => index))
    expect(bare(await client.responses.retrieve(final.id))).toEqual(bare(final))
    const whole = await client.responses.create({ model: think, input: 'x' })
    expect(whole.output_text).toBe('1 2 3 ')
    const raw = await collect(await client.responses.create({ model: think, input: 'x', stream: true }))
    expect(raw.map(({ type }) => type)).toEqual(events.map(({ type }) => type))
  })

  it('go on after any event, for the raw iterator and for the helper', async () => {
    const { client } = await start()
    const { id } = await client.responses.create({ model: think, input: 'x' })
    const all = await collect(await client.responses.retrieve(id, { stream: true }))
    for (const [index, { sequence_number: after }] of all.entries()) {
      const rest = await collect(await client.responses.retrieve(id, { stream: true, starting_after: after }))
      expect(rest).toEqual(all.slice(index + 1))
      const helper = client.responses.stream({ response_id: id, starting_after: after })
      const shown = await collect(helper as AsyncIterable<ResponseStreamEvent>)
      expect(shown.map(({ sequence_number: number }) => number)).toEqual(rest.map(({ sequence_number: number }) => number))
      expect((await helper.finalResponse()).output_text).toBe('1 2 3 ')
    }
  })

  it('have the same numbers for a reader that is far behind, whose deltas are not merged', async () => {
    const { client } = await start()
    const live = await collect(await client.responses.create({ model: 'sim:count?n=300&tps=0', input: 'x', stream: true }))
    const [created] = live
    const id = created?.type === 'response.created' ? created.response.id : ''
    expect(live.length).toBeGreaterThan(300)
    expect(await collect(await client.responses.retrieve(id, { stream: true }))).toEqual(live)
    expect(await collect(await client.responses.retrieve(id, { stream: true, starting_after: 9 }))).toEqual(live.slice(10))
  })

  it('in the background are there at once, and can be read while they are written', async () => {
    const { client, millrace } = await start()
    const begun = await client.responses.create({ model: 'sim:hang?after=2&tps=0', input: 'x', background: true })
    expect(begun).toMatchObject({ status: 'in_progress', usage: null })
    let text = ''
    for await (const event of await client.responses.retrieve(begun.id, { stream: true })) {
      if (event.type === 'response.output_text.delta') text += event.delta
      if (text === '1 2 ') break
    }
    expect(await client.responses.retrieve(begun.id)).toMatchObject({
      status: 'in_progress',
      output: [{ status: 'in_progress' }],
    })
    const cancelled = await client.responses.cancel(begun.id)
    expect(cancelled).toMatchObject({ status: 'cancelled', output: [{ status: 'incomplete', content: [{ text: '1 2 ' }] }] })
    expect(await client.responses.cancel(begun.id)).toEqual(cancelled)
    expect((await millrace.readSession(sessionOf(begun.id)))?.runs[0]?.status).toBe('stopped')
    // Its readers get an end.
    const helper = client.responses.stream({ response_id: begun.id })
    expect(await helper.finalResponse()).toMatchObject({ status: 'cancelled' })
  })

  it('follow the one that the request names, also another than the last', async () => {
    const { client } = await start()
    const say = 'sim:echo?show=messages&tps=0'
    const one = await client.responses.create({ model: 'sim:count?n=2&tps=0', input: 'one' })
    const two = await client.responses.create({ model: 'sim:count?n=1&tps=0', input: 'two', previous_response_id: one.id })
    expect(two.previous_response_id).toBe(one.id)
    const branch = await client.responses.create({ model: say, input: 'three', previous_response_id: one.id })
    expect(JSON.parse(branch.output_text).map(({ text }: { text: string }) => text)).toEqual(['one', '1 2 ', 'three'])
    expect(sessionOf(branch.id)).toBe(sessionOf(one.id))
    const conversation = one.conversation?.id ?? ''
    const next = await client.responses.create({ model: say, input: 'four', conversation })
    expect(JSON.parse(next.output_text).map(({ text }: { text: string }) => text)).toEqual([
      'one',
      '1 2 ',
      'three',
      branch.output_text,
      'four',
    ])
    await expect(client.responses.create({ input: 'x', previous_response_id: `${one.id}x` })).rejects.toMatchObject({
      status: 404,
      code: 'parent_not_found',
    })
  })

  it('call the tools of the request, and go on with their results', async () => {
    const { client } = await start({ models: [caller] })
    const tools = [weather, { ...weather, name: 'time' }]
    const helper = client.responses.stream({ model: 'caller', input: 'x', tools })
    const first = await helper.finalResponse()
    expect(first.output).toMatchObject([
      { type: 'function_call', call_id: 'call_0', name: 'weather', arguments: '{"city":"Wuxi"}', status: 'completed' },
      { type: 'function_call', call_id: 'call_1', name: 'time' },
    ])
    const results = [output('call_0', 'Rain.'), output('call_1', 'Noon.')]
    const next = await client.responses.create({ model: 'caller', input: results, tools, previous_response_id: first.id })
    expect(next.output_text).toBe('They say: x||Rain.Noon.')
    // The same answer in another branch, with only one result and a question, as OpenAI allows it.
    const question = { role: 'user' as const, content: 'And?' }
    const other = await client.responses.create({
      model: 'caller',
      input: [results[0], question] as never,
      previous_response_id: first.id,
    })
    expect(other.output_text).toBe('They say: x||Rain.|And?')
    // Without a response before: the client has kept everything itself.
    const items = [{ role: 'user', content: 'x' }, ...first.output, ...results] as ResponseInputItem[]
    expect((await client.responses.create({ model: 'caller', input: items, tools })).output_text).toBe('They say: x||Rain.Noon.')
    const wrong = client.responses.create({ input: [output('call_9', 'x')], previous_response_id: first.id })
    await expect(wrong).rejects.toMatchObject({ status: 400, code: 'tool_result_unexpected' })
  })

  it('call only the tools that the choice allows', async () => {
    const { client } = await start({ models: [caller] })
    const tools = [weather, { ...weather, name: 'time' }]
    const allowed = { type: 'allowed_tools' as const, mode: 'auto' as const, tools: [{ type: 'function', name: 'time' }] }
    const response = await client.responses.create({ model: 'caller', input: 'x', tools, tool_choice: allowed })
    expect(response.output).toMatchObject([{ type: 'function_call', name: 'time' }])
    const functions = tools.map(({ type, name }) => ({ type, function: { name } }))
    const inner = { mode: 'auto' as const, tools: [{ type: 'function', function: { name: 'weather' } }] }
    const { choices } = await client.chat.completions.create({
      model: 'caller',
      messages: [{ role: 'user', content: 'x' }],
      tools: functions,
      tool_choice: { type: 'allowed_tools', allowed_tools: inner },
    })
    expect(choices[0]?.message.tool_calls).toMatchObject([{ function: { name: 'weather' } }])
  })

  it('go on with results in several steps, each of which follows the one before', async () => {
    const steps: Model = {
      name: 'steps',
      async *stream({ messages }): AsyncGenerator<ModelPart> {
        const results = messages.filter(({ role }) => role === 'tool')
        // The same id each time, as some models give it.
        if (results.length < 3) yield { toolCall: { id: 'call', name: 'weather', arguments: { step: results.length } } }
        else yield messages.map(({ role, text }) => `${role}:${text}`).join('|')
      },
    }
    const { client } = await start({ models: [steps] })
    const ask = { model: 'steps', tools: [weather], instructions: 'Be short.' }
    let response = await client.responses.create({ ...ask, input: 'x' })
    for (let step = 0; step < 3; step++) {
      const [call] = response.output
      expect(call).toMatchObject({ type: 'function_call', arguments: `{"step":${step}}` })
      const input = [output(call?.type === 'function_call' ? call.call_id : '', `${step}`)]
      response = await client.responses.create({ ...ask, input, previous_response_id: response.id })
    }
    expect(response.output_text).toBe('system:Be short.|user:x|assistant:|tool:0|assistant:|tool:1|assistant:|tool:2')
  })

  it('show the calls of tools that the server executes', async () => {
    const { client } = await start()
    const helper = client.responses.stream({ model: 'sim:tool?tps=0', input: 'x' })
    const { output: items } = await helper.finalResponse()
    expect(items.map(({ type }) => type)).toEqual(['message', 'mcp_call', 'message'])
    expect(items[1]).toMatchObject({ name: 'weather', status: 'completed', output: expect.stringContaining('celsius') })
    const next = await client.responses.create({
      model: 'sim:echo?show=messages&tps=0',
      input: [...(items as []), { role: 'user', content: 'y' }],
    })
    expect(JSON.parse(next.output_text).map(({ role }: { role: string }) => role)).toEqual([
      'assistant',
      'tool',
      'assistant',
      'user',
    ])
  })

  it('ask whether a tool may be called, and go on when somebody has decided', async () => {
    const { client } = await start()
    const model = 'sim:tool?approve=1&calls=2&tps=0'
    const helper = client.responses.stream({ model, input: 'x' })
    const first = await helper.finalResponse()
    expect(bare(await client.responses.retrieve(first.id))).toEqual(bare(first))
    expect(first.output.map(({ type }) => type)).toEqual([
      'message',
      'mcp_call',
      'mcp_call',
      'mcp_approval_request',
      'mcp_approval_request',
    ])
    const [one, two] = first.output.filter(({ type }) => type === 'mcp_approval_request')
    const decide = (of: typeof one, approve: boolean, reason?: string): ResponseInputItem => ({
      type: 'mcp_approval_response',
      approval_request_id: of?.id ?? '',
      approve,
      ...(reason && { reason }),
    })
    const answer = (input: ResponseInputItem[]) => ({ model, input, previous_response_id: first.id })
    const half = client.responses.create(answer([decide(one, true)]))
    await expect(half).rejects.toMatchObject({ status: 400, code: 'tool_result_missing' })
    const next = client.responses.stream(answer([decide(one, true), decide(two, false, 'Too far.')]))
    const final = await next.finalResponse()
    expect(final.output.map(({ type }) => type)).toEqual(['mcp_call', 'mcp_call', 'message'])
    expect(final.output).toMatchObject([{ status: 'completed' }, { status: 'failed', error: 'Too far.' }, {}])
    expect(final.output_text).toMatch(/^The weather says: /)
    expect(final.previous_response_id).toBe(first.id)
    expect(bare(await client.responses.retrieve(final.id))).toEqual(bare(final))
    // Sent again, it is the same response; what is decided cannot be changed.
    const again = await client.responses.create(answer([decide(one, true), decide(two, false, 'Too far.')]))
    expect(again.id).toBe(final.id)
    await expect(client.responses.create(answer([decide(one, false)]))).rejects.toMatchObject({
      status: 409,
      code: 'call_decided',
    })
    expect(bare(await client.responses.retrieve(first.id))).toEqual(bare(first))
  })

  it('end as failed with the error of the model, streamed and as a whole', async () => {
    const { client } = await start()
    const model = 'sim:fail?after=2&tps=0'
    const helper = client.responses.stream({ model, input: 'x' })
    const failed = { status: 'failed', error: { code: 'server_error', message: expect.stringContaining('failed') } }
    expect(await helper.finalResponse()).toMatchObject({ ...failed, output: [{ status: 'incomplete' }] })
    expect(await client.responses.create({ model, input: 'x' })).toMatchObject(failed)
  })

  it('are deleted with their session, where they are alone in it', async () => {
    const { client } = await start()
    const one = await client.responses.create({ model: think, input: 'x' })
    const two = await client.responses.create({ model: think, input: 'y', previous_response_id: one.id })
    await expect(client.responses.delete(one.id)).rejects.toMatchObject({ status: 409, code: 'run_conflict' })
    expect((await client.responses.retrieve(two.id)).status).toBe('completed')
    const alone = await client.responses.create({ model: think, input: 'x' })
    await client.responses.delete(alone.id)
    await expect(client.responses.retrieve(alone.id)).rejects.toMatchObject({ status: 404 })
  })
})

function sessionOf(id: string): string {
  return /^resp_([^.]+)\./.exec(id)?.[1] ?? ''
}
