/** LangChain's models end to end: from the provider's bytes to the reader's events. */
import { spawnSync } from 'node:child_process'
import { AIMessageChunk } from '@langchain/core/messages'
import { FakeListChatModel, FakeStreamingChatModel } from '@langchain/core/utils/testing'
import { ChatOpenAI } from '@langchain/openai'
import { fromLangChain, type MillraceOptions } from 'millrace'
import { describe, expect, it } from 'vitest'
import { type FakeOpenAiOptions, type Step, startFakeOpenAi } from './support/fake-openai.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { data, openStream, textOf } from './support/stream.ts'

const say = (...words: string[]): Step[] => words.map((content) => ({ delta: { content } }))

async function startWithOpenAi(options: FakeOpenAiOptions, more: MillraceOptions = {}) {
  const provider = await startFakeOpenAi(options)
  const chatModel = new ChatOpenAI({ model: 'fake', apiKey: 'sk-123', maxRetries: 0, configuration: { baseURL: provider.url } })
  const server = await startServer({ models: { 'my model': chatModel }, model: 'my model', ...more })
  return { provider, ...server }
}

describe('a real @langchain/openai against an OpenAI-compatible server', () => {
  it('streams text, reasoning, usage and the finish reason through', async () => {
    const script: Step[] = [
      { delta: { role: 'assistant', content: '' } },
      { delta: { reasoning_content: 'Let me see.' } },
      ...say('你', '好', '！ 😀'),
      { finish: 'length' },
      { usage: { prompt_tokens: 7, completion_tokens: 5 } },
    ]
    const { url, provider } = await startWithOpenAi({ script })
    const events = await (await openStream(`${url}/api/chat?query=${encodeURIComponent('你好')}`)).rest()
    expect(events.slice(0, -1).map((event) => [event.event, data(event)])).toEqual([
      ['stream_start', expect.objectContaining({ model: 'my model' })],
      ['reasoning', { reasoning: 'Let me see.' }],
      ['message', { text: '你' }],
      ['message', { text: '好' }],
      ['message', { text: '！ 😀' }],
    ])
    expect(data(events.at(-1) as never)).toMatchObject({
      status: 'completed',
      finishReason: 'length',
      usage: { inputTokens: 7, outputTokens: 5, totalTokens: 12 },
    })
    expect(provider.requests[0]?.body.messages).toEqual([{ role: 'user', content: '你好' }])
  })

  it('sends the conversation so far', async () => {
    const { url, provider, millrace } = await startWithOpenAi({ script: [...say('yes'), { finish: 'stop' }] })
    const first = await startRun(url, { query: 'one', id: 'r1' })
    await millrace.findRun('r1')?.ended
    await (await openStream(`${url}/api/chat?query=two&session=${first.session}`)).rest()
    expect(provider.requests[1]?.body.messages).toEqual([
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'yes' },
      { role: 'user', content: 'two' },
    ])
  })

  it('delivers each token as it arrives', async () => {
    const gate = Promise.withResolvers<void>()
    const { url } = await startWithOpenAi({ script: [...say('one'), { gate: gate.promise }, ...say('two'), { finish: 'stop' }] })
    const stream = await openStream(`${url}/api/chat?query=x`)
    await stream.next()
    expect(data(await stream.next())).toEqual({ text: 'one' })
    gate.resolve()
    expect(data(await stream.next())).toEqual({ text: 'two' })
  })

  it('passes a stop on to the provider, whose request is closed', async () => {
    const { url, provider } = await startWithOpenAi({ script: [...say('begun'), 'hang'] })
    const stream = await openStream(`${url}/api/chat?query=x&id=r`)
    await stream.next()
    await stream.next()
    const answer = await (await postJson(`${url}/api/runs/r/stop`, {})).json()
    expect(answer).toMatchObject({ status: 'stopped', usage: { outputTokens: 1, estimated: true } })
    await provider.requests[0]?.closed
    expect(textOf(await stream.rest())).toBe('')
  })

  it('closes the request of a provider that hangs, after the idle timeout', async () => {
    const { url, provider } = await startWithOpenAi({ script: [...say('begun'), 'hang'] }, { limits: { idleMsMax: 100 } })
    const events = await (await openStream(`${url}/api/chat?query=x`)).rest()
    expect(data(events.at(-1) as never)).toMatchObject({ status: 'failed', error: { code: 'model_timeout' } })
    await provider.requests[0]?.closed
  })

  it.each<[string, Step[]]>([
    ['an error in the stream', [{ raw: 'data: {"error":{"message":"secret detail sk-123","code":500}}\n\n' }]],
    ['garbage', [{ raw: 'data: {"choices":[{"delta":\n\n' }]],
    ['a cut connection', ['cut']],
  ])('ends as failed on %s during the stream, keeps the partial text and leaks no details', async (_what, fault) => {
    const { url, millrace } = await startWithOpenAi({ script: [...say('so ', 'far'), ...fault] })
    const events = await (await openStream(`${url}/api/chat?query=x`)).rest()
    expect(textOf(events)).toBe('so far')
    expect(data(events.at(-1) as never)).toMatchObject({ status: 'failed', error: { code: 'model_failed', retryable: true } })
    expect(JSON.stringify(events)).not.toMatch(/sk-123|secret/)
    const session = String(data(events[0] as never).session)
    expect((await millrace.readSession(session))?.runs[0]).toMatchObject({ status: 'failed', lanes: [{ text: 'so far' }] })
  })

  it.each([
    [401, 'model_unauthorized', false, 'does not accept the key'],
    [404, 'model_rejected', false, 'does not know the model'],
    [429, 'model_rate_limited', true, 'limits the rate of requests'],
    [500, 'model_failed', true, 'answered with status 500'],
  ])('responds to %d with %s', async (status, code, retryable, message) => {
    const { url } = await startWithOpenAi({ status })
    const events = await (await openStream(`${url}/api/chat?query=x`)).rest()
    expect(data(events.at(-1) as never)).toMatchObject({
      status: 'failed',
      error: { code, retryable, message: expect.stringContaining(message) },
    })
    expect(JSON.stringify(events)).not.toMatch(/sk-123|secret/)
  })
})

// What happened: a checkout was started with the condition `source`, which is also that of the TypeScript in Mistral's SDK.
it('loads the packages of providers beside our sources, as `npm start` does', () => {
  const code = "await import('@langchain/mistralai'); console.log(import.meta.resolve('millrace'))"
  const args = ['--conditions=millrace-source', '--input-type=module', '--eval', code]
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: import.meta.dirname })
  expect(stderr).not.toContain('Error')
  expect(stdout.trim()).toMatch(/packages\/server\/src\/index\.ts$/)
})

describe("LangChain's own fake models", () => {
  it('FakeStreamingChatModel streams through', async () => {
    const chunks = ['Hel', 'lo'].map((content) => new AIMessageChunk({ content }))
    const { url } = await startServer({ models: { fake: new FakeStreamingChatModel({ chunks, sleep: 0 }) }, model: 'fake' })
    const events = await (await openStream(`${url}/api/chat?query=x`)).rest()
    expect(textOf(events)).toBe('Hello')
    expect(data(events.at(-1) as never)).toMatchObject({ status: 'completed', usage: { outputTokens: 2, estimated: true } })
  })

  it('are found under their names, and run in parallel', async () => {
    const { url } = await startServer({
      models: [
        fromLangChain(new FakeListChatModel({ responses: ['from a'] }), 'a'),
        fromLangChain(new FakeListChatModel({ responses: ['from b'] }), 'b'),
      ],
    })
    const events = await (await openStream(`${url}/api/chat?query=x&models=a,b`)).rest()
    for (const lane of ['a', 'b']) expect(textOf(events.filter((event) => data(event).lane === lane))).toBe(`from ${lane}`)
  })
})
