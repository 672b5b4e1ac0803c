/** Items that clients send by their ids: the AI SDK's own provider does so by default, from its second request on. */
import { createOpenAI } from '@ai-sdk/openai'
import { generateText, jsonSchema, type ModelMessage, streamText, tool } from 'ai'
import type { MillraceOptions, Model, ModelPart } from 'millrace'
import OpenAI from 'openai'
import type { Response as OpenAiResponse, ResponseInputItem } from 'openai/resources/responses/responses'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { postJson, startServer } from '../support/server.ts'
import { bearer, secret, sign } from '../support/tokens.ts'

const tools = { lookup: { description: 'Looks it up.', input: z.looseObject({}), execute: () => 'Warm.' } }

/** Thinks, speaks, and calls each tool that it has; once it has results, it says what it was sent. */
const model: Model = {
  name: 'm',
  async *stream({ messages, tools: given = [] }): AsyncGenerator<ModelPart> {
    if (messages.at(-1)?.role === 'tool' || given.length === 0) return yield sentTo(messages)
    yield { reasoning: 'hm ' }
    yield 'Wait. '
    for (const { name } of given) yield { toolCall: { id: `call_${name}`, name, arguments: { city: 'Wuxi' } } }
  },
}

const sentTo = (messages: readonly { readonly role: string; readonly text: string }[]) =>
  messages.map(({ role, text }) => `${role}:${text}`).join('|')

async function start(options: MillraceOptions = {}) {
  const server = await startServer({ dialects: ['openai'], models: [model], tools, ...options })
  const sent: { input: ResponseInputItem[] }[] = []
  const fetchNoting: typeof fetch = (url, init) => {
    sent.push(JSON.parse(init?.body as string))
    return fetch(url, init)
  }
  const baseURL = `${server.url}/v1`
  const provider = createOpenAI({ baseURL, apiKey: 'none', fetch: fetchNoting })
  return { ...server, sent, provider, client: new OpenAI({ baseURL, apiKey: 'none' }) }
}

const typesOf = ({ input }: { input: ResponseInputItem[] } = { input: [] }) => input.map((item) => item.type ?? 'message')
const say = 'sim:echo?show=messages&tps=0'
const refer = (all: readonly { id?: string | null | undefined }[]): ResponseInputItem[] =>
  all.map(({ id }) => ({ type: 'item_reference', id: id ?? '' }))

describe('the AI SDK with @ai-sdk/openai', () => {
  it('executes its own tool and goes on in a second turn, with references to what it got', async () => {
    const { provider, sent, millrace } = await start({ tools: {} })
    const weather = tool({
      inputSchema: jsonSchema<{ city: string }>({ type: 'object', properties: { city: { type: 'string' } } }),
      execute: ({ city }) => `Rain in ${city}.`,
    })
    const history: ModelMessage[] = [{ role: 'user', content: 'one' }]
    const ask = async () => {
      const isEnough = ({ steps }: { steps: unknown[] }) => steps.length === 2
      const result = streamText({ model: provider.responses('m'), messages: history, tools: { weather }, stopWhen: isEnough })
      const text = await result.text
      history.push(...(await result.responseMessages))
      return text
    }
    expect(await ask()).toBe('user:one|assistant:Wait. |tool:Rain in Wuxi.')
    history.push({ role: 'user', content: 'two' })
    expect(await ask()).toBe(
      'user:one|assistant:Wait. |tool:Rain in Wuxi.|assistant:user:one|assistant:Wait. |tool:Rain in Wuxi.|user:two|assistant:Wait. |tool:Rain in Wuxi.',
    )
    expect(sent.map(typesOf)).toEqual([
      ['message'],
      ['message', 'item_reference', 'item_reference', 'function_call', 'function_call_output'],
      ['message', 'item_reference', 'item_reference', 'function_call', 'function_call_output', 'item_reference', 'message'],
      expect.arrayContaining(['item_reference', 'function_call_output']),
    ])
    expect((await millrace.sessions.list({ limit: 10 })).sessions).toHaveLength(4)
  })

  it('follows the calls of tools that the server executes', async () => {
    const { provider, sent } = await start()
    const first = streamText({ model: provider.responses('sim:tool?tps=0'), prompt: 'x' })
    await first.consumeStream()
    const messages: ModelMessage[] = [{ role: 'user', content: 'x' }, ...(await first.responseMessages)]
    const next = streamText({ model: provider.responses(say), messages: [...messages, { role: 'user', content: 'y' }] })
    const roles = (JSON.parse(await next.text) as { role: string }[]).map(({ role }) => role)
    expect(roles).toEqual(['user', 'assistant', 'tool', 'assistant', 'user'])
    expect(typesOf(sent[1])).toEqual(['message', 'item_reference', 'item_reference', 'item_reference', 'message'])
  })

  it('decides about a call that waits for approval, and goes on', async () => {
    const { provider, sent } = await start()
    const asking = provider.responses('sim:tool?approve=1&tps=0')
    const history: ModelMessage[] = [{ role: 'user', content: 'x' }]
    const first = streamText({ model: asking, messages: history })
    const parts = await first.content
    const asked = parts.find((part) => part.type === 'tool-approval-request')
    history.push(...(await first.responseMessages))
    const approvalId = asked?.type === 'tool-approval-request' ? asked.approvalId : ''
    history.push({
      role: 'tool',
      content: [{ type: 'tool-approval-response', approvalId, approved: true, providerExecuted: true }],
    })
    const second = streamText({ model: asking, messages: history })
    expect(await second.text).toMatch(/^The weather says: /)
    history.push(...(await second.responseMessages), { role: 'user', content: 'y' })
    const third = streamText({ model: provider.responses(say), messages: history })
    const all = JSON.parse(await third.text) as { role: string; text: string }[]
    expect(all.at(0)).toMatchObject({ role: 'user', text: 'x' })
    expect(all.at(-1)).toMatchObject({ role: 'user', text: 'y' })
    expect(all.some(({ text }) => text.startsWith('The weather says: '))).toBe(true)
    expect(typesOf(sent[1]).slice(-2)).toEqual(['item_reference', 'mcp_approval_response'])
    expect(typesOf(sent[2])).toContain('mcp_approval_response')
  })
})

it('a failed response has its message for the AI SDK, streamed or not', async () => {
  const { provider } = await start()
  const asked = { model: provider.responses('sim:fail?after=2&tps=0'), prompt: 'x', maxRetries: 0 }
  await expect(generateText(asked)).rejects.toThrow(/failed after 2 tokens/)
  const errors: unknown[] = []
  await streamText({ ...asked, onError: ({ error }) => void errors.push(error) }).consumeStream()
  expect(errors).toMatchObject([{ message: expect.stringMatching(/failed after 2 tokens/) }])
})

/** A run of every kind of item, and one that goes on with what was decided. */
async function showAll(client: OpenAI): Promise<readonly OpenAiResponse[]> {
  const weather = { type: 'function' as const, name: 'weather', parameters: { type: 'object' }, strict: false }
  const first = await client.responses.create({ model: 'm', input: 'x', tools: [weather], instructions: 'Be short.' })
  const result = { type: 'function_call_output' as const, call_id: 'call_weather', output: 'Rain.' }
  const second = await client.responses.create({ model: 'm', input: [result], previous_response_id: first.id })
  const waiting = await client.responses.create({ model: 'sim:tool?approve=1&tps=0', input: 'x' })
  const approval = waiting.output.find(({ type }) => type === 'mcp_approval_request')?.id ?? ''
  const approve = { type: 'mcp_approval_response' as const, approval_request_id: approval, approve: true }
  // The approval says of which response it is.
  const decided = await client.responses.create({ model: 'sim:tool?approve=1&tps=0', input: [approve] })
  expect(decided.previous_response_id).toBe(waiting.id)
  return [first, second, waiting, decided]
}

describe('references to items', () => {
  it('are to every item that a response shows, streamed or not, and mean the same as the items', async () => {
    const { client, millrace } = await start()
    const shown = await showAll(client)
    const ids = new Set<string>()
    for (const { id, output } of shown) {
      for await (const event of await client.responses.retrieve(id, { stream: true }))
        if ('item' in event && 'id' in event.item) ids.add(event.item.id ?? '')
      for (const item of output) expect(ids).toContain(item.id)
    }
    expect(new Set([...ids].map((id) => id.split('_')[0]))).toEqual(new Set(['rs', 'msg', 'fc', 'mcp', 'mcpr']))
    const question = { role: 'user' as const, content: 'And?' }
    const result = { type: 'function_call_output' as const, call_id: 'call_weather', output: 'Rain.' }
    for (const { output } of shown) {
      const called = output.some((item) => item.type === 'function_call')
      const ask = async (items: ResponseInputItem[]) =>
        (await client.responses.create({ model: say, input: [...items, ...(called ? [result] : []), question] })).output_text
      const given = await ask(output as ResponseInputItem[])
      expect(await ask(refer(output))).toBe(given)
      expect(await ask(output.map(({ id }) => ({ id: id ?? '' })))).toBe(given)
    }
    for (const id of ids) {
      const items = id.startsWith('fc_') ? [...refer([{ id }]), result] : refer([{ id }])
      await client.responses.create({ model: say, input: [...items, question] })
    }
    expect((await millrace.sessions.list({ limit: 100 })).sessions.length).toBeGreaterThan(ids.size)
  })

  it('follow a response as its items do', async () => {
    const { client } = await start()
    const one = await client.responses.create({ model: 'sim:count?n=2&tps=0', input: 'one' })
    const two = await client.responses.create({ model: 'sim:count?n=1&tps=0', input: 'two' })
    const input = [...refer(one.output), { role: 'user' as const, content: 'three' }]
    const three = await client.responses.create({ model: say, input, previous_response_id: two.id })
    expect(JSON.parse(three.output_text).map(({ text }: { text: string }) => text)).toEqual(['two', '1 ', '1 2 ', 'three'])
  })

  it('are also to the items of an input, which are listed page by page', async () => {
    const { client } = await start()
    const call = { type: 'function_call' as const, call_id: 'c', name: 'f', arguments: '{"a":1}' }
    const input: ResponseInputItem[] = [
      { role: 'developer', content: 'Be short.' },
      { role: 'user', content: [{ type: 'input_text', text: 'one' }] },
      call,
      { type: 'function_call_output', call_id: 'c', output: 'Rain.' },
      { role: 'assistant', content: 'two' },
      { role: 'user', content: 'three' },
    ]
    const { id, output_text: given } = await client.responses.create({ model: say, input })
    const items = (await client.responses.inputItems.list(id, { order: 'asc', limit: 100 })).data
    expect(items).toMatchObject([
      { type: 'message', role: 'system', content: [{ type: 'input_text', text: 'Be short.' }] },
      { type: 'message', role: 'user', status: 'completed', content: [{ type: 'input_text', text: 'one' }] },
      call,
      { type: 'function_call_output', call_id: 'c', output: 'Rain.' },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'two' }] },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'three' }] },
    ])
    expect((await client.responses.create({ model: say, input: refer(items) })).output_text).toBe(given)
    for (const limit of [5, 6])
      expect(await client.responses.inputItems.list(id, { limit })).toMatchObject({ has_more: limit === 5 })
    for (const order of ['asc', 'desc'] as const)
      for (const limit of [1, 4, 6]) {
        const paged: unknown[] = []
        for await (const item of client.responses.inputItems.list(id, { order, limit })) paged.push(item)
        expect(paged).toEqual(order === 'asc' ? items : items.toReversed())
      }
    const plain = await client.responses.create({ model: say, input: 'x' })
    const list: { data: { id: string }[] } = await client.get(`/responses/${plain.id}/input_items`)
    expect(list.data).toMatchObject([{ role: 'user', content: [{ type: 'input_text', text: 'x' }] }])
    expect(list).toMatchObject({ object: 'list', first_id: list.data[0]?.id, last_id: list.data[0]?.id, has_more: false })
    const wrong = client.responses.inputItems.list(id, { after: 'x' })
    await expect(wrong).rejects.toMatchObject({ status: 400, code: 'invalid_request', param: 'after' })
  })

  it('to what does not exist and to what is somebody else’s get the same answer, and start nothing', async () => {
    const { url, millrace } = await startServer({
      dialects: ['openai'],
      model: 'sim:tool?approve=1&tps=0',
      access: { tokens: { secret } },
    })
    const [ada, bob] = await Promise.all(['ada', 'bob'].map(async (sub) => bearer(await sign({ sub }))))
    const ask = async (who: Record<string, string> | undefined, body: object) => {
      const response = await postJson(`${url}/v1/responses`, body, who)
      return { status: response.status, body: (await response.json()) as { id: string; output: { id: string }[] } }
    }
    const { body: of } = await ask(ada, { input: 'x' })
    const id = of.output[0]?.id ?? ''
    const refers = (given: string) => ({
      input: [{ role: 'user', content: 'x' }, ...refer([{ id: given }]), { role: 'user', content: 'y' }],
    })
    const error = {
      message: '`input.1` refers to no item that is kept; send the item itself.',
      type: 'not_found_error',
      param: 'input.1',
      code: 'run_not_found',
    }
    const before = (await millrace.sessions.list({ limit: 10 })).sessions.length
    for (const [who, given] of [
      [bob, id],
      [bob, 'msg_none.none.0.0'],
      [ada, id.replace(/0$/, '1')],
      [ada, id.replace(/\.[^.]+\./, '.none.')],
      [ada, id.replace('msg_', 'rs_')],
      [ada, 'msg_1'],
      [ada, of.id],
      [ada, ''],
    ] as const)
      expect([given, await ask(who, refers(given))]).toEqual([given, { status: 404, body: { error } }])
    expect((await millrace.sessions.list({ limit: 10 })).sessions).toHaveLength(before)
    expect((await ask(ada, refers(id))).status).toBe(200)
    const { body: waiting } = await ask(ada, { input: 'x' })
    const asked = waiting.output.find((item) => item.id.startsWith('mcpr_'))?.id ?? ''
    const approve = (approval: string) => ({
      input: [{ type: 'mcp_approval_response', approval_request_id: approval, approve: true }],
    })
    for (const approval of [asked, 'mcpr_none.none.none']) {
      const code = 'session_not_found'
      expect(await ask(bob, approve(approval))).toMatchObject({ status: 404, body: { error: { code } } })
    }
    expect((await ask(ada, approve(asked))).status).toBe(200)
    expect((await ask(bearer(await sign({ sub: 'ada', millrace: { may: ['run.start'] } })), refers(id))).status).toBe(403)
  })
})
