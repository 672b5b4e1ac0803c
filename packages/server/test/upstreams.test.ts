/**
 * Other servers as models: one of the AI SDK, with its own package, and one of LangGraph's API. LangGraph's server cannot be
 * installed from npm, so its frames are written here, as its SDK reads them.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import {
  convertToModelMessages,
  createUIMessageStream,
  pipeUIMessageStreamToResponse,
  streamText,
  type UIMessage,
  type UIMessageStreamWriter,
  validateUIMessages,
} from 'ai'
import { convertArrayToReadableStream, MockLanguageModelV4 } from 'ai/test'
import { aiSdkUpstream, langGraphUpstream, type Model, type ModelMessage, type ModelPart } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startServer } from './support/server.ts'

interface Upstream {
  readonly url: string
  readonly requests: { readonly path: string | undefined; readonly headers: IncomingMessage['headers']; readonly body: never }[]
}

async function serve(handle: (response: ServerResponse, body: never) => unknown): Promise<Upstream> {
  const requests: Upstream['requests'] = []
  const server = createServer((request, response) => {
    void json(request).then(async (body) => {
      requests.push({ path: request.url, headers: request.headers, body: body as never })
      await handle(response, body as never)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

const question: ModelMessage[] = [{ role: 'user', text: 'Hello?' }]

async function read(model: Model, messages = question, signal = new AbortController().signal): Promise<ModelPart[]> {
  const parts: ModelPart[] = []
  for await (const part of model.stream({ messages, signal })) parts.push(part)
  return parts
}

const textOf = (parts: readonly ModelPart[]) =>
  parts.map((part) => (typeof part === 'string' ? part : 'text' in part ? part.text : '')).join('')

const aiSdk = (write: (writer: UIMessageStreamWriter) => void | Promise<void>) =>
  serve((response) =>
    pipeUIMessageStreamToResponse({ response, stream: createUIMessageStream({ execute: ({ writer }) => write(writer) }) }),
  )

describe('a server of the AI SDK', () => {
  it('answers with its own model, and gets the conversation as its package wants it', async () => {
    const usage = {
      inputTokens: { total: 3, noCache: 3, cacheRead: 0, cacheWrite: 0 },
      outputTokens: { total: 2, text: 2, reasoning: 0 },
    }
    const model = new MockLanguageModelV4({
      doStream: async () => ({
        stream: convertArrayToReadableStream([
          { type: 'stream-start', warnings: [] },
          { type: 'text-start', id: '1' },
          { type: 'text-delta', id: '1', delta: 'Hel' },
          { type: 'text-delta', id: '1', delta: 'lo.' },
          { type: 'text-end', id: '1' },
          { type: 'finish', finishReason: { unified: 'stop', raw: 'stop' }, usage },
        ]),
      }),
    })
    let prompt: unknown
    const { url, requests } = await serve(async (response, { messages }: { messages: UIMessage[] }) => {
      const valid = await validateUIMessages({ messages })
      prompt = await convertToModelMessages(valid)
      const result = streamText({ model, messages: await convertToModelMessages(valid) })
      await pipeUIMessageStreamToResponse({
        response,
        stream: result.toUIMessageStream({
          messageMetadata: ({ part }) => (part.type === 'finish' ? { usage: part.totalUsage } : undefined),
        }),
      })
    })
    const messages: ModelMessage[] = [
      { role: 'system', text: 'Be brief.' },
      { role: 'user', text: 'Depth?' },
      {
        role: 'assistant',
        text: 'I look.',
        parts: [
          { type: 'text', text: 'I look.' },
          { type: 'tool_call', id: 'c1', name: 'depth', arguments: { at: 'mill' } },
        ],
      },
      { role: 'tool', text: '3', parts: [{ type: 'tool_result', call: 'c1', value: 3 }] },
      { role: 'assistant', text: 'Three.' },
      { role: 'user', text: 'Sure?' },
    ]
    const upstream = aiSdkUpstream({ name: 'mine', url, headers: { authorization: 'Bearer k' }, body: { tenant: 'acme' } })
    const parts = await read(upstream, messages)
    expect(textOf(parts)).toBe('Hello.')
    expect(parts).toContainEqual({ usage: expect.objectContaining({ inputTokens: 3, outputTokens: 2, totalTokens: 5 }) })
    expect(parts.at(-1)).toEqual({ finishReason: 'stop' })
    expect(requests[0]).toMatchObject({
      headers: { authorization: 'Bearer k' },
      body: { tenant: 'acme', trigger: 'submit-message', instructions: 'Be brief.' },
    })
    expect(prompt).toMatchObject([
      { role: 'user' },
      { role: 'assistant' },
      { role: 'tool', content: [{ type: 'tool-result', toolCallId: 'c1', output: { value: 3 } }] },
      { role: 'assistant' },
      { role: 'user' },
    ])
  })

  it('can reason, call its own tools, and add data, sources and files', async () => {
    const { url } = await aiSdk((writer) => {
      writer.write({ type: 'start' })
      writer.write({ type: 'reasoning-start', id: 'r' })
      writer.write({ type: 'reasoning-delta', id: 'r', delta: 'Hm' })
      writer.write({ type: 'reasoning-end', id: 'r' })
      writer.write({ type: 'tool-input-start', toolCallId: 'c1', toolName: 'add' })
      writer.write({ type: 'tool-input-delta', toolCallId: 'c1', inputTextDelta: '{"a":1}' })
      writer.write({ type: 'tool-input-available', toolCallId: 'c1', toolName: 'add', input: { a: 1 } })
      writer.write({ type: 'tool-output-available', toolCallId: 'c1', output: { sum: 1 } })
      writer.write({ type: 'data-weather', data: { c: 20 } })
      writer.write({ type: 'source-url', sourceId: 's1', url: 'https://example.com', title: 'E' })
      writer.write({ type: 'file', mediaType: 'image/png', url: 'data:image/png;base64,iVBORw==' })
      writer.write({ type: 'text-start', id: 't' })
      writer.write({ type: 'text-delta', id: 't', delta: 'Done.' })
      writer.write({ type: 'text-end', id: 't' })
      writer.write({ type: 'finish', finishReason: 'length' })
    })
    const { millrace } = await startServer({ models: [aiSdkUpstream({ name: 'mine', url })] })
    const run = await millrace.ask({ query: 'q', models: ['mine'] })
    expect(await run.ended).toMatchObject({ status: 'completed', finishReason: 'length' })
    expect((await millrace.readSession(run.session))?.runs[0]?.lanes[0]).toMatchObject({
      text: 'Done.',
      reasoning: 'Hm',
      data: [{ name: 'weather', value: { c: 20 } }],
      files: [{ mediaType: 'image/png', size: 4 }],
      parts: [
        { type: 'reasoning' },
        { type: 'tool', call: 'c1', name: 'add', arguments: { a: 1 }, by: 'model', state: 'done', value: { sum: 1 } },
        { type: 'data' },
        { type: 'source', source: 's1', url: 'https://example.com' },
        { type: 'file' },
        { type: 'text' },
      ],
    })
  })

  it('that fails or is cut is no whole answer, and its text stays with the operator', async () => {
    const failing = await aiSdk((writer) => {
      writer.write({ type: 'text-start', id: 't' })
      writer.write({ type: 'text-delta', id: 't', delta: 'a' })
      writer.write({ type: 'error', errorText: 'key sk-1' })
    })
    await expect(read(aiSdkUpstream({ name: 'mine', url: failing.url }))).rejects.toMatchObject({
      code: 'model_failed',
      message: expect.not.stringContaining('sk-1'),
    })
    const cut = await serve((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end('data: {"type":"start"}\n\ndata: {"type":"text-delta","id":"t","delta":"a"}\n\n')
    })
    await expect(read(aiSdkUpstream({ name: 'mine', url: cut.url }))).rejects.toMatchObject({ code: 'model_failed' })
  })
})

const frames = (...all: readonly (readonly [event: string, data: unknown])[]) =>
  all.map(([event, data], index) => `id: ${index}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join('')

const chunk = (content: unknown, rest: object = {}) => [
  { id: 'm1', type: 'AIMessageChunk', content, additional_kwargs: {}, response_metadata: {}, tool_calls: [], ...rest },
  { langgraph_node: 'agent' },
]

const langGraph = (text: string) =>
  serve((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', location: '/threads/t/runs/r/stream' })
    response.end(text)
  })

describe('a server of LangGraph', () => {
  it('answers in the frames of its stream', async () => {
    const { url, requests } = await langGraph(
      frames(
        ['metadata', { run_id: 'r', attempt: 1 }],
        ['messages', chunk('', { additional_kwargs: { reasoning_content: 'Hm' } })],
        ['messages', chunk('', { tool_call_chunks: [{ index: 0, id: 'c1', name: 'add', args: '{"a"' }] })],
        ['messages', chunk('', { tool_call_chunks: [{ index: 0, args: ':1}' }] })],
        ['messages|tools:1', [{ id: 't1', type: 'tool', tool_call_id: 'c1', content: '{"sum":1}', status: 'success' }, {}]],
        ['custom', { name: 'step', value: 1 }],
        ['messages', chunk('Hel', { id: 'm2' })],
        ['messages', chunk([{ type: 'text', text: 'lo.' }], { id: 'm2' })],
        ['messages', chunk('', { id: 'm2', usage_metadata: { input_tokens: 3, output_tokens: 2, total_tokens: 5 } })],
        ['end', null],
      ),
    )
    const model = langGraphUpstream({ name: 'graph', url: `${url}/`, assistant: 'agent', headers: () => ({ 'x-api-key': 'k' }) })
    const { millrace } = await startServer({ models: [model] })
    const run = await millrace.ask({ query: 'Hello?', models: ['graph'], instructions: 'Be brief.' })
    expect(await run.ended).toMatchObject({ status: 'completed', usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 } })
    expect((await millrace.readSession(run.session))?.runs[0]?.lanes[0]).toMatchObject({
      text: 'Hello.',
      reasoning: 'Hm',
      parts: [
        { type: 'reasoning' },
        { type: 'tool', call: 'c1', name: 'add', arguments: { a: 1 }, by: 'model', value: { sum: 1 } },
        { type: 'data', name: 'step', value: 1 },
        { type: 'text' },
      ],
    })
    expect(requests).toMatchObject([
      {
        path: '/runs/stream',
        headers: { 'x-api-key': 'k' },
        body: {
          assistant_id: 'agent',
          input: {
            messages: [
              { role: 'system', content: 'Be brief.' },
              { role: 'user', content: 'Hello?' },
            ],
          },
          stream_mode: ['messages-tuple', 'custom'],
        },
      },
    ])
  })

  it.each([
    ['fails', frames(['messages', chunk('a')], ['error', { error: 'ValueError', message: 'key sk-1' }])],
    ['is cut', frames(['messages', chunk('a')])],
    ['sends what is no JSON', 'event: messages\ndata: [\n\n'],
    ['sends a value of its own that is no JSON', 'event: custom\ndata: sk-1\n\n'],
    ['sends no message', 'event: messages\ndata: {}\n\n'],
  ])('that %s is no whole answer', async (_what, text) => {
    const { url } = await langGraph(text)
    await expect(read(langGraphUpstream({ name: 'graph', url, assistant: 'a' }))).rejects.toMatchObject({
      code: 'model_failed',
      message: expect.not.stringContaining('sk-1'),
    })
  })
})

describe('an upstream', () => {
  it.each<[number, string]>([
    [401, 'model_unauthorized'],
    [404, 'model_rejected'],
    [422, 'model_rejected'],
    [429, 'model_rate_limited'],
    [503, 'model_failed'],
    [307, 'model_failed'],
  ])('that responds with %i is %s', async (status, code) => {
    const { url } = await serve((response) => response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end('key sk-1'))
    await expect(read(aiSdkUpstream({ name: 'mine', url }))).rejects.toMatchObject({
      code,
      message: expect.not.stringContaining('sk-1'),
    })
  })

  it('that answers with a page, cannot be reached, or does not begin is an error', async () => {
    const page = await serve((response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'))
    await expect(read(aiSdkUpstream({ name: 'mine', url: page.url }))).rejects.toMatchObject({ code: 'model_failed' })
    await expect(read(aiSdkUpstream({ name: 'mine', url: 'http://127.0.0.1:1' }))).rejects.toMatchObject({ code: 'model_failed' })
    const silent = await serve(() => {})
    await expect(read(aiSdkUpstream({ name: 'mine', url: silent.url, beginMsMax: 20 }))).rejects.toMatchObject({
      code: 'model_timeout',
    })
  })

  it('is left when the run is stopped, and its connection closes', async () => {
    const closed = Promise.withResolvers<void>()
    const { url } = await serve((response) => {
      response.on('close', () => closed.resolve())
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: {"type":"text-delta","id":"t","delta":"a"}\n\n')
    })
    const { millrace } = await startServer({ models: [aiSdkUpstream({ name: 'mine', url })] })
    const run = await millrace.ask({ query: 'q', models: ['mine'] })
    await expect.poll(async () => (await millrace.readSession(run.session))?.runs[0]?.lanes[0]?.text).toBe('a')
    run.stop()
    expect(await run.ended).toMatchObject({ status: 'stopped' })
    await closed.promise
  })
})
