/** The unmodified client of AG-UI against a server. */
import { HttpAgent, type RunFinishedEvent } from '@ag-ui/client'
import type { MillraceOptions } from 'millrace'
import { describe, expect, it } from 'vitest'
import { postJson, startServer } from '../support/server.ts'
import { bearer, secret, sign } from '../support/tokens.ts'
import { pay } from '../support/waiting.ts'
import { payer } from './support/payer.ts'

const wheel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

function picture(type: string, value: string, mimeType = 'image/png') {
  return { id: 'p', role: 'user' as const, content: [{ type: 'image', source: { type, value, mimeType } }] }
}

const weather = { name: 'weather', description: 'The weather.', parameters: { type: 'object', properties: {} } }

async function connect(options: MillraceOptions = {}) {
  const server = await startServer({ dialects: ['ag-ui'], model: 'sim:count?n=3&tps=0', ...options })
  const agent = new HttpAgent({ url: `${server.url}/ag-ui` })
  const ask = (content: string) => agent.addMessage({ id: content, role: 'user', content })
  const runs = async () => (await server.millrace.readSession(agent.threadId))?.runs ?? []
  return { ...server, agent, ask, runs }
}

/** Runs the agent, and returns how the run finished, with every event. */
async function run(agent: HttpAgent, parameters: Parameters<HttpAgent['runAgent']>[0] = {}) {
  const seen: { type: string; [field: string]: unknown }[] = []
  const { newMessages } = await agent.runAgent(parameters, { onEvent: ({ event }) => void seen.push(event) })
  const finished = seen.find(({ type }) => type === 'RUN_FINISHED') as unknown as RunFinishedEvent | undefined
  return { seen, newMessages, outcome: finished?.outcome }
}

describe('the agent at /ag-ui', () => {
  it('answers in a session of the name of the thread, and goes on with the conversation of the server', async () => {
    const { agent, ask, runs, millrace } = await connect({ model: 'sim:echo?show=messages&tps=0' })
    ask('one')
    const first = await run(agent, { runId: 'run-1' })
    expect(first.newMessages).toMatchObject([{ role: 'assistant' }])
    ask('two')
    const second = await run(agent)
    const given = JSON.parse((second.newMessages[0] as { content: string }).content) as { text: string }[]
    expect(given.map(({ text }) => text)).toEqual(['one', expect.any(String), 'two'])
    expect((await runs()).map(({ run: id, query }) => [id, query])).toEqual([
      ['run-1', 'one'],
      [expect.any(String), 'two'],
    ])
    expect(millrace.findRun('run-1')?.session).toBe(agent.threadId)
  })

  it('gives the model what was said before in a thread that the server does not have, also where it is posted again', async () => {
    const { agent, ask, runs, url } = await connect({ model: 'sim:echo?show=messages&tps=0' })
    agent.messages = [
      { id: 's', role: 'system', content: '' },
      { id: 'w', role: 'assistant', content: 'Welcome!' },
      { id: 'q', role: 'user', content: 'one' },
      { id: 'a', role: 'assistant', content: 'first' },
    ]
    ask('two')
    const input = { threadId: agent.threadId, runId: 'run-1', messages: agent.messages }
    const first = await run(agent, { runId: 'run-1' })
    const given = ({ newMessages }: typeof first) =>
      (JSON.parse((newMessages[0] as { content: string }).content) as { text: string }[]).map(({ text }) => text)
    expect(given(first)).toEqual(['Welcome!', 'one', 'first', 'two'])
    ask('three')
    expect(given(await run(agent))).toEqual(['Welcome!', 'one', 'first', 'two', expect.any(String), 'three'])
    const again = await postJson(`${url}/ag-ui`, input)
    expect([again.status, await again.text()]).toEqual([200, expect.stringContaining('RUN_FINISHED')])
    expect((await runs()).map(({ query }) => query)).toEqual(['two', 'three'])
  })

  it('runs once where the same run is posted again', async () => {
    const { agent, ask, runs, url } = await connect()
    ask('x')
    await run(agent, { runId: 'run-1' })
    const input = { threadId: agent.threadId, runId: 'run-1', messages: [{ id: 'x', role: 'user', content: 'x' }] }
    const again = await (await postJson(`${url}/ag-ui`, input)).text()
    expect(again).toMatch(/"delta":"1 ".*"delta":"3 ".*RUN_FINISHED/s)
    expect(await runs()).toHaveLength(1)
    const other = { ...input, messages: [{ id: 'x', role: 'user', content: 'y' }] }
    expect((await postJson(`${url}/ag-ui`, other)).status).toBe(409)
  })

  it('answers a message again that another run is posted for, and each of these runs once', async () => {
    const { runs, agent, url } = await connect()
    const post = async (runId: string, content = 'x') => {
      const messages = [{ id: 'm', role: 'user', content }]
      const text = await (await postJson(`${url}/ag-ui`, { threadId: agent.threadId, runId, messages })).text()
      return /"type":"RUN_STARTED".*?"runId":"(.*?)"/.exec(text)?.[1]
    }
    for (const runId of ['a', 'b', 'b', 'a']) expect(await post(runId)).toBe(runId)
    // The message was edited.
    await post('c', 'y')
    const found = await runs()
    expect(found.map(({ run: id, query }) => [id, query])).toEqual([
      ['a', 'x'],
      ['b', 'x'],
      ['c', 'y'],
    ])
    expect(found.map(({ parent }) => parent ?? null)).toEqual([null, null, null])
  })

  it('gives the model instructions and context, the parameters, and the model that is asked for', async () => {
    const { agent, ask, runs } = await connect()
    agent.addMessage({ id: 's', role: 'system', content: 'Be brief.' })
    ask('x')
    const forwardedProps = { model: 'sim:echo?show=request&tps=0', params: { temperature: 0.5 } }
    const context = [{ description: 'The city', value: 'Hefei' }]
    const { newMessages } = await run(agent, { forwardedProps, context })
    const { messages, params } = JSON.parse((newMessages[0] as { content: string }).content)
    expect(messages).toMatchObject([
      { role: 'system', text: 'Be brief.\n\nThe city: Hefei' },
      { role: 'user', text: 'x' },
    ])
    expect(params).toEqual({ temperature: 0.5 })
    expect((await runs())[0]).toMatchObject({ instructions: 'Be brief.\n\nThe city: Hefei' })
  })

  it('keeps a picture of a question in its session, once', async () => {
    const { agent, runs, url } = await connect({ model: 'sim:echo?tps=0' })
    const { content: parts, ...message } = picture('data', wheel)
    const asked = { ...message, content: [{ type: 'text', text: 'What is it?' }, ...parts] }
    agent.messages = [asked as never]
    expect((await run(agent, { runId: 'r' })).outcome).toEqual({ type: 'success' })
    expect((await postJson(`${url}/ag-ui`, { threadId: agent.threadId, runId: 'r', messages: [asked] })).status).toBe(200)
    const file = { type: 'file', mediaType: 'image/png', size: Buffer.from(wheel, 'base64').length }
    expect(await runs()).toMatchObject([{ query: 'What is it?', messages: [{ content: [{ text: 'What is it?' }, file] }] }])
  })

  it('interrupts for an approval, and goes on with the decision', async () => {
    const { tool, paid } = pay()
    const model = payer()
    const { agent, ask, runs } = await connect({ models: [model], model: 'm', tools: { pay: tool } })
    ask('pay')
    const before = await run(agent)
    expect(before.outcome).toMatchObject({ type: 'interrupt', interrupts: [{ toolCallId: 'c1', metadata: { toolName: 'pay' } }] })
    const [interrupt] = agent.pendingInterrupts
    const resume = [{ interruptId: interrupt?.id ?? '', status: 'resolved' as const, payload: { approved: true } }]
    const after = await run(agent, { resume, runId: 'next' })
    expect(paid).toEqual([{ to: 'bob', amount: 5 }])
    expect(after.outcome).toEqual({ type: 'success' })
    expect(after.newMessages).toMatchObject([
      { role: 'tool', toolCallId: 'c1', content: 'paid 5 to bob' },
      { role: 'assistant', content: 'paid 5 to bob' },
    ])
    expect(after.seen[0]).toMatchObject({ type: 'RUN_STARTED', runId: 'next', threadId: agent.threadId })
    expect((await runs()).map(({ continues }) => continues)).toEqual([undefined, (await runs())[0]?.run])
  })

  it.each([
    ['rejects', { status: 'resolved', payload: { approved: false, reason: 'Too much.' } }, 'Too much.', []],
    ['cancels', { status: 'cancelled' }, 'The call was rejected.', []],
    [
      'changes',
      { status: 'resolved', payload: { approved: true, editedArgs: { to: 'eve', amount: 1 } } },
      'paid 1 to eve',
      [{ to: 'eve', amount: 1 }],
    ],
  ] as const)('%s a call', async (_how, answer, said, expected) => {
    const { tool, paid } = pay()
    const { agent, ask } = await connect({ models: [payer()], model: 'm', tools: { pay: tool } })
    ask('pay')
    await run(agent)
    const after = await run(agent, { resume: [{ interruptId: agent.pendingInterrupts[0]?.id ?? '', ...answer }] })
    expect(after.newMessages.at(-1)).toMatchObject({ role: 'assistant', content: said })
    expect(paid).toEqual(expected)
  })

  it('goes on without a call that nobody decided about in time, where the client cancels it', async () => {
    const { tool, paid } = pay()
    const limits = { approvalMsMax: 1 }
    const { agent, ask } = await connect({ models: [payer()], model: 'm', tools: { pay: tool }, limits })
    ask('pay')
    await run(agent)
    const [interrupt] = agent.pendingInterrupts
    await expect.poll(() => Date.now()).toBeGreaterThan(Date.parse(interrupt?.expiresAt ?? ''))
    const after = await run(agent, { resume: [{ interruptId: interrupt?.id ?? '', status: 'cancelled' }] })
    expect([after.outcome, paid]).toEqual([{ type: 'success' }, []])
    expect(after.newMessages.at(-1)).toMatchObject({ content: 'Nobody decided in time.' })
  })

  it('takes any names for the thread and the run, and keeps them', async () => {
    const { url, millrace } = await connect()
    const agent = new HttpAgent({ url: `${url}/ag-ui`, threadId: 'ada@example.com/42' })
    agent.addMessage({ id: 'x', role: 'user', content: 'x' })
    const { seen } = await run(agent, { runId: 'the first run' })
    const names = { threadId: 'ada@example.com/42', runId: 'the first run' }
    expect([seen[0], seen.at(-1)]).toMatchObject([names, names])
    const { metadata } = seen[0] as unknown as { metadata: { millrace: { run: string } } }
    expect(millrace.findRun(metadata.millrace.run)?.end?.status).toBe('completed')
  })

  it('lets the client execute its own tools, and goes on with the results', async () => {
    const { agent, ask } = await connect({ models: [payer('weather', {})], model: 'm' })
    ask('warm?')
    const before = await run(agent, { tools: [weather] })
    expect(before.outcome).toEqual({ type: 'success', pendingToolCallIds: ['c1'] })
    agent.addMessage({ id: 'r', role: 'tool', toolCallId: 'c1', content: '{"celsius":31}' })
    const after = await run(agent, { tools: [weather] })
    expect(after.outcome).toEqual({ type: 'success' })
    expect(after.newMessages.at(-1)).toMatchObject({ role: 'assistant', content: '{"celsius":31}' })
  })

  it('ends with an error that says what has failed', async () => {
    const { agent, ask } = await connect({ model: 'sim:fail?after=2&tps=0' })
    ask('x')
    const { seen, newMessages } = await run(agent)
    expect(seen.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'model_failed' })
    expect(newMessages).toMatchObject([{ content: '1 2 ' }])
  })

  it('ends as cancelled where the run is stopped, which its own abort does not do', async () => {
    const { agent, ask, url, millrace } = await connect({ model: 'sim:hang?after=1&tps=0' })
    ask('x')
    const ended = run(agent, { runId: 'run-1' })
    await expect.poll(() => agent.messages.at(-1)?.content).toBe('1 ')
    agent.abortRun()
    await ended
    expect(millrace.findRun('run-1')?.end).toBeUndefined()
    const second = new HttpAgent({
      url: `${url}/ag-ui`,
      threadId: agent.threadId,
      initialMessages: [{ id: 'x', role: 'user', content: 'x' }],
    })
    const again = run(second, { runId: 'run-1' })
    await expect.poll(() => second.messages.at(-1)?.content).toBe('1 ')
    expect((await postJson(`${url}/api/runs/run-1/stop`, {})).status).toBe(200)
    expect((await again).outcome).toEqual({ type: 'cancelled' })
  })
})

describe('what is rejected at /ag-ui', () => {
  const user = { id: 'u', role: 'user', content: 'x' }
  const good = { threadId: 't', runId: 'r', messages: [user] }
  it.each([
    ['no thread', { ...good, threadId: undefined }, 400, 'invalid_id'],
    ['a thread without a name', { ...good, threadId: '' }, 400, 'invalid_id'],
    ['a run with too long a name', { ...good, runId: 'x'.repeat(513) }, 400, 'invalid_id'],
    ['no messages', { ...good, messages: undefined }, 400, 'invalid_request'],
    ['no question', { ...good, messages: [user, { id: 'a', role: 'assistant', content: 'y' }] }, 400, 'query_missing'],
    [
      'a picture of another server',
      { ...good, messages: [picture('url', 'https://example.com/x.png')] },
      400,
      'file_not_supported',
    ],
    ['a picture for a model that takes none', { ...good, messages: [picture('data', wheel)] }, 400, 'file_not_supported'],
    [
      'a file of a type that is not taken',
      { ...good, messages: [picture('data', wheel, 'application/x-msdownload')] },
      415,
      'file_type_not_allowed',
    ],
    ['a picture that is none', { ...good, messages: [picture('data', 'AAAA')] }, 415, 'file_type_mismatch'],
    ['a message that is none', { ...good, messages: [null] }, 400, 'invalid_request'],
    ['wrong parameters', { ...good, forwardedProps: { params: { temperature: 9 } } }, 400, 'invalid_request'],
    ['two tools of one name', { ...good, tools: [weather, weather] }, 400, 'invalid_request'],
    [
      'a decision about nothing',
      { ...good, messages: [], resume: [{ interruptId: 'i', status: 'resolved' }] },
      404,
      'call_not_found',
    ],
    ['a decision and a question', { ...good, resume: [{ interruptId: 'i', status: 'resolved' }] }, 400, 'invalid_request'],
  ])('%s, before anything is started', async (_what, body, status, code) => {
    const { url, millrace } = await connect()
    const response = await postJson(`${url}/ag-ui`, body)
    expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([status, code])
    expect(millrace.findRun('r')).toBeUndefined()
  })

  it('a result where another call of the run waits too, and a call that does not wait', async () => {
    const model = payer('weather', {}, {})
    const { url } = await connect({ models: [model], model: 'm' })
    const post = async (runId: string, messages: object[]) => {
      const response = await postJson(`${url}/ag-ui`, { ...good, runId, messages, tools: [weather] })
      return [response.status, await response.text()] as const
    }
    expect((await post('r', [user]))[1]).toContain('"pendingToolCallIds":["c1","c2"]')
    const assistant = { id: 'a', role: 'assistant', content: '' }
    const [status, text] = await post('r2', [user, assistant, { id: 'm', role: 'tool', toolCallId: 'c1', content: '1' }])
    expect([status, text]).toEqual([400, expect.stringContaining('c2 waits too')])
    expect((await post('r3', [assistant, { id: 'm', role: 'tool', toolCallId: 'c9', content: '1' }]))[0]).toBe(404)
  })

  it('threads of others', async () => {
    const { url, millrace } = await connect({ access: { tokens: { secret } } })
    const ann = new HttpAgent({ url: `${url}/ag-ui`, threadId: 't', headers: bearer(await sign({ sub: 'ann' })) })
    ann.addMessage({ id: 'x', role: 'user', content: 'x' })
    expect((await run(ann)).outcome).toEqual({ type: 'success' })
    const headers = bearer(await sign({ sub: 'eve' }))
    expect((await postJson(`${url}/ag-ui`, { ...good, runId: 'other' }, headers)).status).toBe(404)
    const resume = [{ interruptId: 'i', status: 'resolved' }]
    expect((await postJson(`${url}/ag-ui`, { ...good, messages: [], resume }, headers)).status).toBe(404)
    expect((await millrace.readSession('t'))?.runs).toHaveLength(1)
  })
})
