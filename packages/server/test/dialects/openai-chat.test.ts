/** OpenAI's own client against a server, with Chat Completions. */
import type { MillraceOptions, Model, ModelPart } from 'millrace'
import OpenAI from 'openai'
import type { ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import { describe, expect, it } from 'vitest'
import { startServer } from '../support/server.ts'

async function start(options: MillraceOptions = {}) {
  const server = await startServer({ dialects: ['openai'], ...options })
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none' })
  return { ...server, client }
}

const ask = (model = 'sim:count?n=3&tps=0', messages: ChatCompletionMessageParam[] = [{ role: 'user', content: 'x' }]) => ({
  model,
  messages,
})

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const each of stream) all.push(each)
  return all
}

/** Calls the first of its tools, then says what it got. */
const caller: Model = {
  name: 'caller',
  async *stream({ messages, tools = [] }): AsyncGenerator<ModelPart> {
    const last = messages.at(-1)
    if (last?.role === 'tool') return yield `It says: ${last.text}`
    yield 'Let me look. '
    yield { toolCallStart: { id: 'call_1', name: tools[0]?.name ?? 'none' } }
    yield { toolCallDelta: { id: 'call_1', arguments: '{"city":' } }
    yield { toolCallDelta: { id: 'call_1', arguments: '"Shanghai"}' } }
    yield { toolCall: { id: 'call_1', name: tools[0]?.name ?? 'none', arguments: { city: 'Shanghai' } } }
  },
}

const weather = {
  type: 'function' as const,
  function: {
    name: 'weather',
    description: 'The weather.',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
}

describe('chat completions of OpenAI', () => {
  it('are the text of the model, streamed to the raw iterator and to the helper', async () => {
    const { client } = await start()
    const chunks = await collect(await client.chat.completions.create({ ...ask(), stream: true }))
    expect(chunks.map(({ choices }) => choices[0]?.delta.content)).toEqual(['', '1 ', '2 ', '3 ', undefined])
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop')
    const helper = client.chat.completions.stream({ ...ask(), stream_options: { include_usage: true } })
    expect(await helper.finalContent()).toBe('1 2 3 ')
    expect(await helper.totalUsage()).toMatchObject({ prompt_tokens: 1, completion_tokens: 3, total_tokens: 4 })
  })

  it('are the same as a whole, and later by their id', async () => {
    const { client } = await start()
    const whole = await client.chat.completions.create(ask())
    expect(whole).toMatchObject({
      object: 'chat.completion',
      model: 'sim:count?n=3&tps=0',
      choices: [{ index: 0, message: { role: 'assistant', content: '1 2 3 ' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1, completion_tokens: 3, total_tokens: 4 },
    })
    expect(await client.chat.completions.retrieve(whole.id)).toEqual(bare(whole))
    const chunks = await fetch(`${client.baseURL}/chat/completions/${whole.id}?stream=true`)
    expect((await chunks.text()).match(/"content":"\d /g)).toHaveLength(3)
  })

  it('have a choice for each of n and of several models', async () => {
    const { client } = await start()
    const helper = client.chat.completions.stream({ ...ask(), n: 2, stream_options: { include_usage: true } })
    const { choices, usage } = await helper.finalChatCompletion()
    expect(choices.map(({ index, message }) => [index, message.content])).toEqual([
      [0, '1 2 3 '],
      [1, '1 2 3 '],
    ])
    expect(usage).toMatchObject({ completion_tokens: 6 })
    const models = ['sim:count?n=1&tps=0', 'sim:echo?tps=0']
    const { choices: two } = await client.chat.completions.create({ ...ask(), models } as never as ReturnType<typeof ask>)
    expect(two.map(({ message }) => message.content)).toEqual(['1 ', 'x'])
  })

  it('carry reasoning', async () => {
    const { client } = await start()
    const given = ask('sim:think?think=2&n=1&tps=0')
    const deltas = (await collect(await client.chat.completions.create({ ...given, stream: true }))).map(
      ({ choices }) => choices[0]?.delta as { reasoning_content?: string },
    )
    expect(deltas.flatMap(({ reasoning_content: said }) => said ?? [])).toEqual(['1 ', '2 '])
    const { choices } = await client.chat.completions.create(given)
    expect(choices[0]?.message).toMatchObject({ content: '1 ', reasoning_content: '1 2 ' })
  })

  it('call the tools of the request, and go on with what the client posts', async () => {
    const { client } = await start({ models: [caller] })
    const tools = [weather]
    const messages: ChatCompletionMessageParam[] = [
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'Is it warm?' },
    ]
    const helper = client.chat.completions.stream({ ...ask('caller', messages), tools })
    const pieces: string[] = []
    helper.on('tool_calls.function.arguments.delta', ({ arguments_delta: piece }) => pieces.push(piece))
    const { choices } = await helper.finalChatCompletion()
    const [{ message, finish_reason: reason } = {} as never] = choices
    expect(reason).toBe('tool_calls')
    expect(pieces.join('')).toBe('{"city":"Shanghai"}')
    const [call] = message.tool_calls ?? []
    expect(call).toMatchObject({ id: 'call_1', function: { name: 'weather', arguments: '{"city":"Shanghai"}' } })
    const next = [...messages, message, { role: 'tool' as const, tool_call_id: 'call_1', content: 'Rain.' }]
    const whole = await client.chat.completions.create({ ...ask('caller', next), tools })
    expect(whole.choices[0]).toMatchObject({ message: { content: 'It says: Rain.' }, finish_reason: 'stop' })
    // The same id in a later answer, as some models give it.
    const later = [...next, { role: 'user' as const, content: 'And now?' }, ...next.slice(2)]
    const { choices: last } = await client.chat.completions.create({ ...ask('caller', later), tools })
    expect(last[0]?.message.content).toBe('It says: Rain.')
  })

  it('run the tools with the loop of the helper', async () => {
    const { client } = await start({ models: [caller] })
    const asked: string[] = []
    const tool = {
      type: 'function' as const,
      function: {
        ...weather.function,
        parse: JSON.parse,
        function: ({ city }: { city: string }) => {
          asked.push(city)
          return 'Sun.'
        },
      },
    }
    const runner = client.chat.completions.runTools({ ...ask('caller'), stream: true, tools: [tool] })
    expect(await runner.finalContent()).toBe('It says: Sun.')
    expect(asked).toEqual(['Shanghai'])
  })

  it('show nothing of tools that the server executes but what is said', async () => {
    const { client } = await start()
    const { choices } = await client.chat.completions.create(ask('sim:tool?tps=0'))
    expect(choices[0]?.finish_reason).toBe('stop')
    expect(choices[0]?.message.tool_calls).toBeUndefined()
    expect(choices[0]?.message.content).toMatch(/^Let me look\. The weather says: /)
  })

  it('pass the parameters on under their names here', async () => {
    const { client } = await start()
    const { choices } = await client.chat.completions.create({
      ...ask('sim:echo?show=request&tps=0', [
        { role: 'developer', content: 'Be short.' },
        { role: 'user', content: [{ type: 'text', text: 'x' }] },
      ]),
      temperature: 0.5,
      top_p: 0.9,
      max_completion_tokens: 7,
      stop: 'end',
      seed: 3,
      reasoning_effort: 'low',
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' }, strict: false } },
    })
    const format = { type: 'json_schema', name: 'a', schema: { type: 'object' }, strict: false }
    expect(JSON.parse(choices[0]?.message.content ?? '')).toEqual({
      messages: [
        { role: 'system', text: 'Be short.' },
        { role: 'user', text: 'x' },
      ],
      params: {
        temperature: 0.5,
        topP: 0.9,
        maxOutputTokens: 7,
        stop: ['end'],
        seed: 3,
        reasoningEffort: 'low',
        responseFormat: format,
      },
    })
  })

  it('are kept in a session of their own, or in the one that the metadata name', async () => {
    const { client, millrace } = await start()
    const own = await client.chat.completions.create(ask())
    const session = sessionOf(own.id)
    const metadata = { millrace_session: session, tenant: 'acme' }
    const history: ChatCompletionMessageParam[] = [
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'two' },
      { role: 'user', content: 'three' },
    ]
    const second = await client.chat.completions.create({ ...ask('sim:echo?show=messages&tps=0', history), metadata })
    expect(sessionOf(second.id)).toBe(session)
    // Only what the client posts: the session's own history would be there twice.
    expect(JSON.parse(second.choices[0]?.message.content ?? '').map(({ text }: { text: string }) => text)).toEqual([
      'one',
      'two',
      'three',
    ])
    const record = (await millrace.readSession(session))?.runs[1]
    expect(record).toMatchObject({ parent: null, metadata: { tenant: 'acme' } })
  })

  it('are listed by model', async () => {
    const { client } = await start()
    const models = await collect(client.models.list())
    expect(models.map(({ id }) => id)).toContain('sim:count')
    expect(await client.models.retrieve('sim:count?n=3&tps=0')).toMatchObject({ id: 'sim:count?n=3&tps=0', object: 'model' })
    await expect(client.models.retrieve('sim:nothing')).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
  })
})

function sessionOf(id: string): string {
  return /^chatcmpl_([^.]+)\./.exec(id)?.[1] ?? ''
}

function bare<T extends object>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}
