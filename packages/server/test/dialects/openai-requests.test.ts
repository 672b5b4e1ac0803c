/** What OpenAI's clients send by themselves, and what they get for a request that is not right. */
import type { MillraceOptions, Model } from 'millrace'
import OpenAI, { APIError } from 'openai'
import { describe, expect, it } from 'vitest'
import { postJson, startServer, type TestServer } from '../support/server.ts'
import { secret, sign } from '../support/tokens.ts'

const count = 'sim:count?n=3&tps=0'
const messages = [{ role: 'user' as const, content: 'x' }]

/** `lose`: how many responses do not reach the client. */
async function start(options: MillraceOptions = {}, lose = 0, apiKey = 'none') {
  const server = await startServer({ dialects: ['openai'], ...options })
  const sent: Record<string, string | null>[] = []
  let lost = 0
  const client = new OpenAI({
    baseURL: `${server.url}/v1`,
    apiKey,
    fetch: async (url, init) => {
      sent.push({ retry: new Headers(init?.headers).get('x-stainless-retry-count') })
      const response = await fetch(url, init)
      if (lost++ >= lose) return response
      await response.arrayBuffer()
      throw new TypeError('fetch failed')
    },
  })
  return { ...server, client, sent }
}

async function runs({ millrace }: TestServer): Promise<number> {
  return (await millrace.sessions.list({ limit: 100 })).sessions.length
}

describe('a request that the client repeats', () => {
  it.each([
    ['streamed', true],
    ['as a whole', false],
  ])('because no response came is one run (%s)', async (_how, stream) => {
    const server = await start({}, 2)
    const { client, sent } = server
    const body = { model: count, messages }
    const text = stream
      ? await client.chat.completions.stream(body).finalContent()
      : (await client.chat.completions.create(body)).choices[0]?.message.content
    expect(text).toBe('1 2 3 ')
    expect(sent).toEqual([{ retry: '0' }, { retry: '1' }, { retry: '2' }])
    expect(await runs(server)).toBe(1)
    const response = await client.responses.create({ model: count, input: 'x' })
    expect(response.output_text).toBe('1 2 3 ')
    expect(await runs(server)).toBe(2)
  })

  it('on purpose is another run, and so is one whose run has failed', async () => {
    const server = await start()
    for (const model of [count, count, 'sim:fail?after=1&tps=0']) {
      const asking = server.client.chat.completions.create({ model, messages }, { maxRetries: 1 })
      if (model === count) await asking
      else await expect(asking).rejects.toMatchObject({ status: 502, code: 'model_failed' })
    }
    expect(server.sent).toHaveLength(4)
    expect(await runs(server)).toBe(4)
  })

  it('of two that were the same is each its own run', async () => {
    const server = await start({}, 2)
    const ask = () => server.client.chat.completions.create({ model: count, messages })
    const [one, two] = await Promise.all([ask(), ask()])
    expect(one.id).not.toBe(two.id)
    expect(await runs(server)).toBe(2)
  })

  it('with a key of its own is one run, also without a count, and a conflict with another body', async () => {
    const server = await start()
    const headers = { 'idempotency-key': 'one' }
    const ask = (model: string) => server.client.chat.completions.create({ model, messages }, { headers })
    expect((await ask(count)).id).toBe((await ask(count)).id)
    server.sent.length = 0
    await expect(ask('sim:echo')).rejects.toMatchObject({ status: 409, code: 'run_conflict' })
    // OpenAI's clients repeat a 409 unless they are not to.
    expect(server.sent).toHaveLength(1)
    const empty = () => server.client.chat.completions.create({ model: count, messages }, { headers: { 'idempotency-key': '' } })
    expect((await empty()).id).not.toBe((await empty()).id)
  })

  it('is the run of nobody else', async () => {
    const server = await start({ model: count, access: { tokens: { secret } } })
    const ask = async (sub: string, retry: string) => {
      const headers = { authorization: `Bearer ${await sign({ sub })}`, 'x-stainless-retry-count': retry }
      const response = await postJson(`${server.url}/v1/chat/completions`, { model: count, messages }, headers)
      return ((await response.json()) as { id: string }).id
    }
    const first = await ask('ada', '0')
    expect(await ask('bob', '1')).not.toBe(first)
    expect(await ask('ada', '1')).toBe(first)
  })
})

describe('errors', () => {
  it('are not there for the key of a server', async () => {
    const { millrace, client } = await start({ model: count, access: { tokens: { secret } } })
    const { key } = await millrace.keys.create({ name: 'shop', may: ['run.start', 'session.read'] })
    const { choices } = await client.withOptions({ apiKey: key }).chat.completions.create({ model: count, messages })
    expect(choices[0]?.message.content).toBe('1 2 3 ')
    const system = [{ role: 'system' as const, content: 'Be short.' }, ...messages]
    const asking = client.withOptions({ apiKey: key }).chat.completions.create({ model: count, messages: system })
    await expect(asking).rejects.toMatchObject({ status: 403, type: 'permission_error', code: 'forbidden' })
  })

  it('of a run in progress end the stream', async () => {
    const { client } = await start()
    const body = { model: 'sim:fail?after=2&tps=0', messages, stream: true } as const
    const said: string[] = []
    const read = async () => {
      for await (const { choices } of await client.chat.completions.create(body)) said.push(choices[0]?.delta.content ?? '')
    }
    const error = await read().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(APIError)
    expect(error).toMatchObject({ code: 'model_failed', type: 'server_error' })
    expect(said.join('')).toBe('1 2 ')
    await expect(client.chat.completions.stream(body).finalContent()).rejects.toMatchObject({ code: 'model_failed' })
  })

  it('do not end the run of a client that has left', async () => {
    const model: Model = {
      name: 'slow',
      async *stream({ signal }) {
        yield 'one '
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      },
    }
    const server = await start({ models: [model] })
    const helper = server.client.chat.completions.stream({ model: 'slow', messages })
    helper.on('content', () => helper.abort())
    await expect(helper.done()).rejects.toThrow()
    const [session] = (await server.millrace.sessions.list({ limit: 1 })).sessions
    const transcript = await server.millrace.readSession(session?.id ?? '')
    expect(transcript?.runs[0]?.status).toBe('streaming')
  })

  const chat = (more: object) => ['/v1/chat/completions', { model: count, messages, ...more }] as const
  const respond = (more: object) => ['/v1/responses', { model: count, input: 'x', ...more }] as const

  it.each([
    ['no messages', ...chat({ messages: [] }), 400, 'invalid_request', 'messages'],
    ['messages that are none', ...chat({ messages: 'x' }), 400, 'invalid_request', 'messages'],
    ['a role that is none', ...chat({ messages: [{ role: 'x', content: 'x' }] }), 400, 'invalid_request', 'messages.0.role'],
    ['an empty question', ...chat({ messages: [{ role: 'user', content: '' }] }), 400, 'invalid_request', 'messages.0.content'],
    [
      'an answer at the end',
      ...chat({ messages: [...messages, { role: 'assistant', content: 'y' }] }),
      400,
      'messages_invalid',
      'messages.1',
    ],
    [
      'a result without a call',
      ...chat({ messages: [{ role: 'tool', tool_call_id: 'c', content: 'x' }] }),
      400,
      'tool_result_unexpected',
      'messages.0',
    ],
    [
      'a result of nothing',
      ...chat({ messages: [{ role: 'tool', content: 'x' }] }),
      400,
      'invalid_request',
      'messages.0.tool_call_id',
    ],
    [
      'a picture',
      ...chat({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] }),
      400,
      'file_not_supported',
      'messages.0.content.0',
    ],
    ['a temperature that is too high', ...chat({ temperature: 3 }), 400, 'invalid_request', 'temperature'],
    ['a temperature that the model does not take', ...chat({ temperature: 1 }), 400, 'param_not_supported', null],
    ['too many choices', ...chat({ n: 9 }), 400, 'invalid_request', 'n'],
    ['too many choices of several models', ...chat({ n: 5, models: [count, count] }), 400, 'invalid_request', 'n'],
    [
      'a choice of tools that is none',
      ...chat({ tools: [{ type: 'function', function: { name: 'a' } }], tool_choice: { type: 'custom' } }),
      400,
      'param_not_supported',
      'tool_choice',
    ],
    [
      'tools of one name',
      ...chat({ tools: [1, 2].map(() => ({ type: 'function', function: { name: 'a' } })) }),
      400,
      'invalid_request',
      'tools',
    ],
    ['functions of old', ...chat({ functions: [{ name: 'a' }] }), 400, 'param_not_supported', 'functions'],
    ['probabilities', ...chat({ logprobs: true }), 400, 'param_not_supported', 'logprobs'],
    ['a session that is none', ...chat({ metadata: { millrace_session: 'none' } }), 404, 'session_not_found', null],
    ['no input', ...respond({ input: undefined }), 400, 'invalid_request', 'input'],
    ['input that is none', ...respond({ input: [{ type: 'x' }] }), 400, 'invalid_request', 'input.0'],
    ['nothing to answer', ...respond({ input: [{ type: 'reasoning' }] }), 400, 'invalid_request', 'input'],
    ['a tool that OpenAI executes', ...respond({ tools: [{ type: 'web_search' }] }), 400, 'param_not_supported', 'tools.0.type'],
    [
      'a response before that is none',
      ...respond({ previous_response_id: 'resp_1' }),
      404,
      'parent_not_found',
      'previous_response_id',
    ],
    [
      'two conversations',
      ...respond({ previous_response_id: 'resp_a.b', conversation: 'conv_a' }),
      400,
      'invalid_request',
      'previous_response_id',
    ],
    [
      'an approval of nothing',
      ...respond({ input: [{ type: 'mcp_approval_response', approval_request_id: 'a', approve: true }] }),
      400,
      'invalid_request',
      'input.0',
    ],
    ['a conversation that is none', ...respond({ conversation: 'conv_none' }), 404, 'session_not_found', null],
  ])('say what is wrong with %s', async (_what, path, body, status, code, param) => {
    const server = await startServer({ dialects: ['openai'] })
    const response = await postJson(server.url + path, body)
    const { error } = (await response.json()) as { error: { message: string; type: string; param: string | null; code: string } }
    expect([response.status, error.code, error.param]).toEqual([status, code, param])
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(await runs(server)).toBe(0)
    expect(server.errors).toEqual([])
  })

  it.each([
    '/v1/chat/completions/chatcmpl_a.b',
    '/v1/chat/completions/x',
    '/v1/responses/resp_a.b',
    '/v1/responses/resp_a.b.c',
    '/v1/responses/resp_a.b?stream=true&starting_after=3',
    '/v1/nothing',
  ])('answer %s, which does not exist', async (path) => {
    const { url } = await startServer({ dialects: ['openai'] })
    const response = await fetch(url + path)
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ error: { type: 'not_found_error', param: null } })
  })

  it('answer a body that is too deep, also in a field that is not read', async () => {
    const { url, errors } = await startServer({ dialects: ['openai'] })
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    const headers = { 'content-type': 'application/json' }
    for (const field of ['other', 'tools', 'metadata', 'input', 'messages']) {
      const body = `{"model":"sim:count","input":"x","messages":[{"role":"user","content":"x"}],"${field}":${deep}}`
      for (const path of ['chat/completions', 'responses']) {
        const response = await fetch(`${url}/v1/${path}`, { method: 'POST', headers, body })
        if (response.status !== 200) expect([path, field, response.status]).toEqual([path, field, 400])
        await response.body?.cancel()
      }
    }
    expect(errors).toEqual([])
  })

  it('answer a method that there is not', async () => {
    const { url } = await startServer({ dialects: ['openai'] })
    const wrong = await fetch(`${url}/v1/responses`, { method: 'GET' })
    expect([wrong.status, await wrong.json()]).toMatchObject([405, { error: { code: 'method_not_allowed' } }])
  })
})
