/** Which tool a model must call, in the words of each dialect; and that it is asked for in the first step alone. */
import type { Params } from '@millrace/protocol'
import type { Model } from 'millrace'
import { describe, expect, it } from 'vitest'
import { postJson, startRun, startServer } from '../support/server.ts'
import { openStream } from '../support/stream.ts'

const parameters = { type: 'object', properties: {} }
const messages = [{ role: 'user', content: 'x' }]
const named = { tool: 'weather' }
const weather = { type: 'function', function: { name: 'weather' } }

/** Requests with the tool `weather`, by their address. */
const requests = {
  '/v1/chat/completions': (choice: unknown) => ({
    messages,
    tools: [{ type: 'function', function: { name: 'weather', parameters } }],
    tool_choice: choice,
  }),
  '/v1/responses': (choice: unknown) => ({
    input: 'x',
    tools: [{ type: 'function', name: 'weather', parameters }],
    tool_choice: choice,
  }),
  '/v1/messages': (choice: unknown) => ({
    model: 'default',
    max_tokens: 9,
    messages,
    tools: [{ name: 'weather', input_schema: parameters }],
    tool_choice: choice,
  }),
  '/ag-ui': (toolChoice: unknown) => ({
    threadId: 't',
    runId: 'r',
    messages: [{ id: 'u', role: 'user', content: 'x' }],
    tools: [{ name: 'weather', description: '', parameters }],
    forwardedProps: { params: { toolChoice } },
  }),
} as const
type Path = keyof typeof requests

/** Calls the tool once, and notes with what choice it was asked. */
async function start(takes: Model['takes'] = ['toolChoice'], tools = {}) {
  const choices: (Params['toolChoice'] | 'no tools')[] = []
  const model: Model = {
    name: 'm',
    takes,
    async *stream({ params, tools: given, messages: all }) {
      choices.push(given === undefined ? 'no tools' : params?.toolChoice)
      if (given === undefined || all.at(-1)?.role === 'tool') yield 'fine'
      else yield { toolCall: { id: 'c', name: 'weather', arguments: {} } }
    },
  }
  const server = await startServer({ dialects: ['openai', 'anthropic', 'ag-ui'], models: [model], model: 'm', tools })
  const post = (path: Path, choice: unknown) => postJson(server.url + path, requests[path](choice))
  return { ...server, choices, post }
}

describe('the choice of a tool', () => {
  it.each<[Path, unknown, Params['toolChoice'] | 'no tools']>([
    ['/v1/chat/completions', undefined, undefined],
    ['/v1/chat/completions', 'auto', undefined],
    ['/v1/chat/completions', 'none', 'no tools'],
    ['/v1/chat/completions', 'required', 'required'],
    ['/v1/chat/completions', { type: 'function', function: { name: 'weather' } }, named],
    ['/v1/responses', 'none', 'no tools'],
    ['/v1/responses', 'required', 'required'],
    ['/v1/responses', { type: 'function', name: 'weather' }, named],
    ['/v1/chat/completions', { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [weather] } }, 'required'],
    ['/v1/responses', { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'weather' }] }, undefined],
    ['/v1/messages', { type: 'auto' }, undefined],
    ['/v1/messages', { type: 'none' }, 'no tools'],
    ['/v1/messages', { type: 'any', disable_parallel_tool_use: true }, 'required'],
    ['/v1/messages', { type: 'tool', name: 'weather' }, named],
    ['/ag-ui', 'required', 'required'],
    ['/ag-ui', named, named],
  ])('at %s of %j reaches the model', async (path, given, expected) => {
    const { post, choices } = await start()
    const response = await post(path, given)
    expect(response.status).toBe(200)
    const text = await response.text()
    const shown = expected === undefined || expected === 'no tools' ? 'auto' : given
    if (path === '/v1/responses') expect(JSON.parse(text)).toMatchObject({ tool_choice: shown })
    expect(choices).toEqual([expected])
  })

  it.each<[Path, unknown]>([
    ['/v1/chat/completions', 'required'],
    ['/v1/responses', { type: 'function', name: 'weather' }],
    ['/v1/messages', { type: 'any' }],
    ['/ag-ui', 'required'],
  ])('at %s is rejected where the model does not take it, and nothing is started', async (path, choice) => {
    const { post, choices, millrace } = await start([])
    const response = await post(path, choice)
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('"code":"param_not_supported"')])
    expect([choices, (await millrace.sessions.list({ limit: 1 })).sessions]).toEqual([[], []])
  })

  it.each<[Path, unknown, string]>([
    ['/v1/chat/completions', { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } }, 'param_not_supported'],
    ['/v1/responses', { type: 'allowed_tools', mode: 'none', tools: [weather] }, 'param_not_supported'],
    ['/v1/responses', { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'mcp' }] }, 'param_not_supported'],
    ['/v1/responses', { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'x' }] }, 'invalid_request'],
    ['/v1/chat/completions', { type: 'function', function: { name: 'other' } }, 'invalid_request'],
    ['/v1/chat/completions', 7, 'param_not_supported'],
    ['/v1/responses', { type: 'web_search' }, 'param_not_supported'],
    ['/v1/responses', { type: 'function', name: 'other' }, 'invalid_request'],
    ['/v1/messages', { type: 'tool', name: 'other' }, 'invalid_request'],
    ['/v1/messages', { type: 'tool' }, 'invalid_request'],
    ['/v1/messages', { type: 'x' }, 'invalid_request'],
    ['/ag-ui', 'any', 'invalid_request'],
    ['/ag-ui', { tool: 'other' }, 'invalid_request'],
  ])('at %s of %j is rejected', async (path, choice, code) => {
    const { post, choices, millrace } = await start()
    const response = await post(path, choice)
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(`"code":"${code}"`)])
    expect([choices, (await millrace.sessions.list({ limit: 1 })).sessions]).toEqual([[], []])
  })

  it('is for the first step: the model that has the result decides again', async () => {
    const weather = { description: 'The weather.', execute: () => 31 }
    const { url, choices, millrace } = await start(['toolChoice'], { weather })
    const { session, run } = await startRun(url, { query: 'x', params: { toolChoice: 'required' } })
    await millrace.findRun(run)?.ended
    expect(choices).toEqual(['required', undefined])
    const [record] = (await millrace.readSession(session))?.runs ?? []
    expect(record).toMatchObject({ params: { toolChoice: 'required' }, lanes: [{ text: 'fine' }] })
  })

  it('is over once a client has the call: the run that goes on with its result decides again', async () => {
    const { url, choices, millrace } = await start()
    const tools = [{ name: 'weather' }]
    const { session, run } = await startRun(url, { query: 'x', tools, params: { toolChoice: named } })
    expect((await millrace.findRun(run)?.ended)?.status).toBe('waiting')
    const stream = await openStream(`${url}/api/stream?session=${session}&from=now`)
    const decided = await postJson(`${url}/api/runs/${run}/tool-results`, { session, results: [{ call: 'c', value: 31 }] })
    expect(decided.status).toBe(200)
    await stream.until('stream_end')
    expect(choices).toEqual([named, undefined])
  })

  it('needs tools', async () => {
    const { url, choices } = await start()
    const response = await postJson(`${url}/api/chat`, { query: 'x', params: { toolChoice: 'required' } })
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('needs tools')])
    expect(choices).toEqual([])
  })
})
