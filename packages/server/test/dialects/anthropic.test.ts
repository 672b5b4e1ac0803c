/** The unmodified client of Anthropic's Messages API against a server. */
import Anthropic, { APIError } from '@anthropic-ai/sdk'
import type { MillraceOptions } from 'millrace'
import { describe, expect, it } from 'vitest'
import { gatedModel } from '../support/gated-model.ts'
import { postJson, startServer } from '../support/server.ts'
import { secret, sign } from '../support/tokens.ts'
import { pay } from '../support/waiting.ts'
import { payer } from './support/payer.ts'

const adminKey = 'an-admin-key-of-a-test'
const wheel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const picture = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: wheel } } as const
const weather = { name: 'weather', description: 'The weather.', input_schema: { type: 'object' as const } }

async function connect(options: MillraceOptions = {}, client: ConstructorParameters<typeof Anthropic>[0] = {}) {
  const server = await startServer({ dialects: ['anthropic'], model: 'sim:count?n=3&tps=0', ...options })
  let requests = 0
  const counting: typeof fetch = (...args) => {
    requests += 1
    return fetch(...args)
  }
  const anthropic = new Anthropic({ baseURL: server.url, apiKey: 'none', fetch: counting, ...client })
  const runs = async () => {
    const { sessions } = await server.millrace.sessions.list({ limit: 10 })
    return (await Promise.all(sessions.map(({ id }) => server.millrace.readSession(id)))).flatMap(
      (session) => session?.runs ?? [],
    )
  }
  return { ...server, anthropic, runs, requests: () => requests }
}

function question(content: unknown = 'x', more: object = {}): Anthropic.MessageCreateParamsNonStreaming {
  const asked = { model: 'default', max_tokens: 100, messages: [{ role: 'user', content }], ...more }
  return asked as Anthropic.MessageCreateParamsNonStreaming
}

describe('a message', () => {
  it('is streamed, as raw events and with the helper, and is the same without a stream', async () => {
    const { anthropic } = await connect({ model: 'sim:think?think=2&n=3&tps=0' })
    const types: string[] = []
    for await (const { type } of await anthropic.messages.create({ ...question(), stream: true })) types.push(type)
    expect([types[0], types.at(-1)]).toEqual(['message_start', 'message_stop'])
    const streamed = await anthropic.messages.stream(question()).finalMessage()
    const whole = await anthropic.messages.create({ ...question(), stream: false })
    for (const { content, stop_reason, role, type } of [streamed, whole]) {
      expect({ role, type, stop_reason }).toEqual({ role: 'assistant', type: 'message', stop_reason: 'end_turn' })
      expect(content).toMatchObject([
        { type: 'thinking', thinking: '1 2 ' },
        { type: 'text', text: '1 2 3 ' },
      ])
    }
    expect(streamed.usage).toMatchObject({ input_tokens: 1, output_tokens: 5 })
    expect(whole.usage).toMatchObject({ input_tokens: 1, output_tokens: 5 })
  })

  it('is asked with the whole conversation, instructions and parameters', async () => {
    const { anthropic } = await connect()
    const messages: Anthropic.MessageParam[] = [
      { role: 'user', content: 'one' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'hm', signature: '' },
          { type: 'text', text: 'two' },
        ],
      },
      { role: 'user', content: [{ type: 'text', text: 'three' }] },
    ]
    const more = { system: [{ type: 'text', text: 'Be brief.' }], temperature: 0.5, top_p: 0.9, stop_sequences: ['.'] }
    const { content } = await anthropic.messages.create({
      ...question('', more),
      messages,
      model: 'sim:echo?show=request&tps=0',
      stream: false,
    })
    const given = JSON.parse((content[0] as Anthropic.TextBlock).text)
    expect(given.messages.map(({ role, text }: { role: string; text: string }) => [role, text])).toEqual([
      ['system', 'Be brief.'],
      ['user', 'one'],
      ['assistant', 'two'],
      ['user', 'three'],
    ])
    expect(given.params).toEqual({ maxOutputTokens: 100, temperature: 0.5, topP: 0.9, stop: ['.'] })
  })

  it('brings pictures and texts, which are kept in its session', async () => {
    const { anthropic, runs } = await connect({ model: 'sim:echo?tps=0' })
    const document = { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'A mill.' } } as const
    const { content } = await anthropic.messages.create(question([{ type: 'text', text: 'What is it?' }, document, picture]))
    expect(content).toMatchObject([{ text: expect.stringContaining('What is it?') }])
    const file = { type: 'file', mediaType: 'image/png', size: Buffer.from(wheel, 'base64').length }
    expect(await runs()).toMatchObject([{ messages: [{ content: [{ text: 'What is it?' }, { text: 'A mill.' }, file] }] }])
  })

  it('calls the tools of the request, and goes on with their results', async () => {
    const { anthropic } = await connect({ models: [payer('weather', { city: 'Hefei' })], model: 'm' })
    const stream = anthropic.messages.stream({ ...question('warm?'), tools: [weather] })
    const { content, stop_reason } = await stream.finalMessage()
    expect(stop_reason).toBe('tool_use')
    expect(content).toMatchObject([{ type: 'tool_use', id: 'c1', name: 'weather', input: { city: 'Hefei' } }])
    const whole = await anthropic.messages.create({ ...question('warm?'), tools: [weather], stream: false })
    expect([whole.stop_reason, whole.content]).toMatchObject(['tool_use', [{ type: 'tool_use', input: { city: 'Hefei' } }]])
    const after = await anthropic.messages.create({
      ...question(),
      stream: false,
      tools: [weather],
      messages: [
        { role: 'user', content: 'warm?' },
        { role: 'assistant', content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: '31 degrees' }] },
      ],
    })
    expect(after.content).toMatchObject([{ type: 'text', text: '31 degrees' }])
  })

  it('brings the pictures in results of tools, after them and named there', async () => {
    const { anthropic, runs } = await connect({ model: 'sim:echo?show=messages&tps=0' })
    const use = (id: string) => ({ type: 'tool_use', id, name: 'look', input: {} })
    const document = { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'A mill.' } }
    const result = (id: string, content: unknown) => ({ type: 'tool_result', tool_use_id: id, content })
    const results = [
      result('a', [{ type: 'text', text: 'Seen:' }, picture, document]),
      result('b', [picture]),
      { type: 'text', text: 'And?' },
    ]
    const messages = [
      { role: 'user', content: 'look' },
      { role: 'assistant', content: [use('a'), use('b')] },
      { role: 'user', content: results },
    ] as Anthropic.MessageParam[]
    await anthropic.messages.create({ ...question(), messages, stream: false })
    const file = { type: 'file', mediaType: 'image/png', size: Buffer.from(wheel, 'base64').length }
    const [, , given, said] = (await runs())[0]?.messages ?? []
    expect([given, said]).toMatchObject([
      {
        role: 'tool',
        content: [
          { call: 'a', value: 'Seen:\n\n[file 1]\n\nA mill.' },
          { call: 'b', value: '[file 2]' },
        ],
      },
      {
        role: 'user',
        content: [{ text: '[file 1]' }, file, { text: '[file 2]' }, file, { text: 'And?' }],
      },
    ])
  })

  it('does not have the tools that the server executes, and is paused where one waits for approval', async () => {
    const { anthropic } = await connect({ model: 'sim:tool?tps=0' })
    const { content, stop_reason } = await anthropic.messages.stream(question()).finalMessage()
    expect(content).toMatchObject([{ text: 'Let me look. ' }, { text: expect.stringContaining('The weather says') }])
    expect(stop_reason).toBe('end_turn')
    const { tool } = pay()
    const paying = await connect({ models: [payer()], model: 'm', tools: { pay: tool } })
    expect(await paying.anthropic.messages.stream(question()).finalMessage()).toMatchObject({
      content: [],
      stop_reason: 'pause_turn',
    })
  })

  it('ends with an error where its run fails', async () => {
    const { anthropic } = await connect({ model: 'sim:fail?after=2&tps=0' }, { maxRetries: 0 })
    await expect(anthropic.messages.stream(question()).finalMessage()).rejects.toThrow(/2 tokens/)
    await expect(anthropic.messages.create({ ...question(), stream: false })).rejects.toThrow(/502.*2 tokens/)
  })

  it('is asked once where the client sends its request again', async () => {
    const { url, runs } = await connect()
    let attempts = 0
    const losing: typeof fetch = async (...args) => {
      const response = await fetch(...args)
      attempts += 1
      // The request has arrived, and the response is lost.
      if (attempts === 1) throw new TypeError('fetch failed')
      return response
    }
    const anthropic = new Anthropic({ baseURL: url, apiKey: 'none', fetch: losing })
    expect(await anthropic.messages.stream(question()).finalText()).toBe('1 2 3 ')
    expect([attempts, await runs()]).toMatchObject([2, [{ query: 'x' }]])
    await anthropic.messages.create(question())
    expect(await runs()).toHaveLength(2)
  })

  it('ends where its run is stopped', async () => {
    const model = gatedModel('m')
    const { anthropic, millrace } = await connect({ models: [model], model: 'm' })
    const stream = anthropic.messages.stream(question())
    model.say('1 ')
    const { id } = await new Promise<Anthropic.Message>((resolve) =>
      stream.on('text', () => resolve(stream.currentMessage as Anthropic.Message)),
    )
    millrace.findRun(id.slice('msg_'.length))?.stop()
    expect(await stream.finalMessage()).toMatchObject({ content: [{ text: '1 ' }], stop_reason: 'end_turn' })
  })
})

describe('the tokens of a request', () => {
  const count = (anthropic: Anthropic, more: object = {}) =>
    anthropic.messages.countTokens({ model: 'default', messages: [{ role: 'user', content: 'x'.repeat(400) }], ...more })

  it('are estimated as where a model does not report its usage, and nothing is started', async () => {
    const { anthropic, runs } = await connect({ models: [payer()], model: 'm' })
    expect(await count(anthropic)).toEqual({ input_tokens: 100, millrace: { estimated: true } })
    const tokens = async (more: object) => (await count(anthropic, more)).input_tokens
    expect(await tokens({ system: 'x'.repeat(40), max_tokens: 9 })).toBe(110)
    expect(await tokens({ tools: [{ ...weather, description: 'x'.repeat(400) }] })).toBeGreaterThan(200)
    const said = (...content: unknown[]) => ({ messages: [{ role: 'user', content }] })
    expect(await tokens(said({ type: 'text', text: 'x'.repeat(8) }, picture))).toBe(1602)
    const called = { type: 'tool_use', id: 'a', name: 'look', input: { at: 'x'.repeat(400) } }
    const result = { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'y'.repeat(400) }, picture] }
    const whole = [{ role: 'assistant', content: [called] }, ...said(result).messages]
    expect(await tokens({ messages: whole })).toBeGreaterThan(1800)
    expect(await runs()).toEqual([])
    // The rule of usage that is not reported.
    const { usage } = await anthropic.messages.create({ ...question('x'.repeat(400)), stream: false })
    expect(usage.input_tokens).toBe(100)
  })

  it('are for those who may ask the model', async () => {
    const { url, anthropic, millrace } = await connect({ access: { tokens: { secret }, adminKey } }, { maxRetries: 0 })
    const { key } = await millrace.keys.create({ name: 'reads', may: ['session.read'] })
    await expect(count(anthropic)).rejects.toMatchObject({ status: 401 })
    await expect(count(new Anthropic({ baseURL: url, apiKey: key }))).rejects.toMatchObject({ status: 403 })
    const asks = new Anthropic({ baseURL: url, apiKey: null, authToken: await sign() })
    expect((await count(asks)).input_tokens).toBe(100)
    await expect(count(asks, { model: 'none' })).rejects.toMatchObject({
      status: 404,
      error: { error: { type: 'not_found_error' } },
    })
    await expect(count(asks, { messages: [] })).rejects.toMatchObject({ status: 400 })
  })
})

describe('credentials', () => {
  it('are accepted as the key or as the token of the client', async () => {
    const { url, anthropic, millrace } = await connect({ access: { tokens: { secret }, adminKey } }, { maxRetries: 0 })
    const { key } = await millrace.keys.create({ name: 'app' })
    for (const given of [{ apiKey: key }, { apiKey: null, authToken: key }, { apiKey: null, authToken: await sign() }]) {
      const client = new Anthropic({ baseURL: url, ...given })
      expect(await client.messages.create({ ...question(), stream: false })).toMatchObject({ content: [{ text: '1 2 3 ' }] })
    }
    // As programs without a client of their own, and earlier versions of this one, send it.
    const statusOf = async (given: string) => (await postJson(`${url}/v1/messages`, question(), { 'x-api-key': given })).status
    expect([await statusOf(key), await statusOf('mr_none'), await statusOf('')]).toEqual([200, 401, 401])
    const refused = await anthropic.messages.create({ ...question(), stream: false }).catch((error: unknown) => error)
    expect(refused).toMatchObject({ status: 401, error: { error: { type: 'authentication_error' } } })
  })
})

describe('what is rejected at /v1/messages', () => {
  const image = { type: 'image', source: { type: 'url', url: 'https://example.com/x.png' } }
  it.each([
    ['a picture of another server', question([image]), 400, 'invalid_request_error'],
    ['a picture for a model that takes none', question([picture]), 400, 'invalid_request_error'],
    [
      'a file of a type that is not taken',
      question([{ ...picture, source: { ...picture.source, media_type: 'application/x-msdownload' } }]),
      415,
      'invalid_request_error',
    ],
    ['no messages', { ...question(), messages: [] }, 400, 'invalid_request_error'],
    ['no limit', { ...question(), max_tokens: undefined }, 400, 'invalid_request_error'],
    ['an answer that begins', { ...question(), messages: [{ role: 'assistant', content: 'x' }] }, 400, 'invalid_request_error'],
    ['a result of no call', question([{ type: 'tool_result', tool_use_id: 'c', content: 'x' }]), 400, 'invalid_request_error'],
    ['a call that must be made', question('x', { tools: [weather], tool_choice: { type: 'any' } }), 400, 'invalid_request_error'],
    [
      "a tool of Anthropic's",
      question('x', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }),
      400,
      'invalid_request_error',
    ],
    ['a parameter that the model does not take', question('x', { temperature: 1 }), 400, 'invalid_request_error'],
  ] as const)('%s, once', async (_what, body, status, type) => {
    const { anthropic, requests, runs } = await connect()
    const error = await anthropic.messages
      .create(body as Anthropic.MessageCreateParamsNonStreaming)
      .catch((each: unknown) => each)
    expect(error).toBeInstanceOf(APIError)
    expect(error).toMatchObject({ status, error: { type: 'error', error: { type, message: expect.any(String) } } })
    expect([requests(), await runs()]).toEqual([1, []])
  })

  it('beside OpenAI, whose errors have another form, and counts each request once', async () => {
    const limits = { requestsPerSecond: 1 }
    const access = { tokens: { secret } }
    const { url } = await connect({ dialects: ['openai', 'anthropic'], access, limits })
    const headers = { authorization: `Bearer ${await sign()}` }
    const [ours, theirs] = [await fetch(`${url}/v1/messages`), await fetch(`${url}/v1/models`)]
    expect([await ours.json(), await theirs.json()]).toMatchObject([{ type: 'error' }, { error: { param: null } }])
    const statuses: number[] = []
    for (let sent = 0; sent < 10; sent++) statuses.push((await postJson(`${url}/v1/messages`, question(), headers)).status)
    expect(new Set(statuses)).toEqual(new Set([200]))
  })

  it('what is no message at all, in the same form', async () => {
    const { url } = await connect()
    for (const response of [
      await postJson(`${url}/v1/messages`, []),
      await fetch(`${url}/v1/messages`),
      await fetch(`${url}/v1/messages/x`),
    ])
      expect([response.status, await response.json()]).toMatchObject([expect.any(Number), { type: 'error' }])
  })
})
