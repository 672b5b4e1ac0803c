/** What the packages of providers send to a real server on this machine, parameter by parameter. */
import { ChatDeepSeek } from '@langchain/deepseek'
import { ChatGroq } from '@langchain/groq'
import { ChatMistralAI } from '@langchain/mistralai'
import { ChatOpenAI, type ChatOpenAIFields } from '@langchain/openai'
import { ChatXAI } from '@langchain/xai'
import type { Params } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { startFakeOpenAi } from '../../../test/support/fake-openai.ts'
import type { ModelMessage } from '../model.ts'
import { fromLangChain, type LangChainModel } from './index.ts'
import { withParams } from './params.ts'

const script = [{ delta: { content: 'fine' } }, { finish: 'stop' }]
const responses = [
  { type: 'response.created', response: { id: 'r', output: [] } },
  { type: 'response.output_text.delta', delta: 'fine', item_id: 'i', output_index: 0, content_index: 0 },
  {
    type: 'response.completed',
    response: { id: 'r', status: 'completed', output: [], usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 } },
  },
].map((event) => ({ raw: `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n` }))

const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }
const shared: Params = {
  temperature: 0.5,
  topP: 0.9,
  maxOutputTokens: 10,
  reasoningEffort: 'high',
  toolChoice: { tool: 'weather' },
  provider: { top_k: 3 },
}
const all: Params = { ...shared, stop: ['END'], seed: 7, responseFormat: { type: 'json_schema', name: 'person', schema } }
const sent = {
  temperature: 0.5,
  top_p: 0.9,
  reasoning_effort: 'high',
  tool_choice: { type: 'function', function: { name: 'weather' } },
  top_k: 3,
}
const format = { type: 'json_schema', json_schema: { name: 'person', schema, strict: true } }

type Open = (url: string) => LangChainModel
const openAi =
  (fields: ChatOpenAIFields = {}): Open =>
  (url) =>
    new ChatOpenAI({ model: 'fake', apiKey: 'sk', maxRetries: 0, configuration: { baseURL: url }, ...fields })
const watched = { callbacks: [{ handleLLMNewToken() {} }] }
const key = { apiKey: 'sk', maxRetries: 0 }

const cases: [string, Open, Params, object][] = [
  ['openai', openAi(), all, { ...sent, max_tokens: 10, stop: ['END'], seed: 7, response_format: format }],
  [
    'openai, over its own',
    openAi({ temperature: 2, maxTokens: 99, ...watched }),
    all,
    { ...sent, max_tokens: 10, response_format: format },
  ],
  [
    'openai, a model that reasons',
    openAi({ model: 'o9', maxTokens: 99 }),
    { maxOutputTokens: 10, toolChoice: 'required' },
    { max_completion_tokens: 10, tool_choice: 'required' },
  ],
  ['openai, its own limit', openAi({ maxTokens: 99 }), { temperature: 0 }, { max_tokens: 99, temperature: 0 }],
  [
    'deepseek',
    (url) => new ChatDeepSeek({ ...key, model: 'fake', configuration: { baseURL: url } }),
    { ...shared, stop: ['END'], responseFormat: { type: 'json' } },
    { ...sent, max_tokens: 10, stop: ['END'], response_format: { type: 'json_object' } },
  ],
  [
    'groq',
    (url) => new ChatGroq({ ...key, model: 'fake', baseUrl: url.replace(/\/v1$/, '') }),
    all,
    { ...sent, max_completion_tokens: 10, stop: ['END'], seed: 7, response_format: format },
  ],
  [
    'mistralai',
    (url) => new ChatMistralAI({ ...key, model: 'fake', serverURL: url.replace(/\/v1$/, '') }),
    all,
    { ...sent, max_tokens: 10, stop: ['END'], random_seed: 7, response_format: format },
  ],
  [
    'xai',
    (url) => new ChatXAI({ ...key, model: 'fake', baseURL: url }),
    all,
    { ...sent, max_completion_tokens: 10, stop: ['END'], seed: 7, response_format: format },
  ],
]

async function ask(chatModel: LangChainModel, params: Params, messages: ModelMessage[] = [{ role: 'user', text: 'x' }]) {
  const parts = []
  for await (const part of fromLangChain(chatModel).stream({ messages, params, signal: new AbortController().signal }))
    parts.push(part)
  return parts
}

describe.each(cases)('%s', (_name, open, params, expected) => {
  it('sends each parameter under the name that its API has', async () => {
    const { url, requests } = await startFakeOpenAi({ script })
    const chatModel = open(url)
    expect(await ask(chatModel, params)).toContain('fine')
    expect(requests).toHaveLength(1)
    expect(requests[0]?.body).toMatchObject(expected)
    const limits = Object.keys(requests[0]?.body ?? {}).filter((name) => name.startsWith('max_'))
    expect(limits).toHaveLength(1)
  })

  it('takes what it sends, and sends as before without parameters', async () => {
    const { url, requests } = await startFakeOpenAi({ script })
    const chatModel = open(url)
    const asked = [
      ...Object.keys(params),
      ...(params.responseFormat?.type === 'json_schema' ? ['responseFormat.json_schema'] : []),
    ]
    expect(fromLangChain(chatModel).takes).toEqual(expect.arrayContaining(asked))
    await ask(chatModel, params)
    await ask(chatModel, {})
    await ask(open(url), {})
    expect(requests[1]?.body).toEqual(requests[2]?.body)
  })

  it('sends the instructions, and calls of tools with their results', async () => {
    const { url, requests } = await startFakeOpenAi({ script })
    await ask(open(url), params, [
      { role: 'system', text: 'Be brief.' },
      { role: 'user', text: 'weather?' },
      {
        role: 'assistant',
        text: 'Let me see.',
        parts: [{ type: 'tool_call', id: 'callone01', name: 'weather', arguments: { city: 'x' } }],
      },
      { role: 'tool', text: '20', parts: [{ type: 'tool_result', call: 'callone01', value: 20 }] },
    ])
    const [system, user, assistant, tool] = requests[0]?.body.messages ?? []
    expect(system).toMatchObject({ role: expect.stringMatching(/^(system|developer)$/), content: 'Be brief.' })
    expect(user).toMatchObject({ role: 'user', content: 'weather?' })
    expect(assistant).toMatchObject({
      role: 'assistant',
      tool_calls: [{ id: 'callone01', function: { name: 'weather', arguments: '{"city":"x"}' } }],
    })
    expect(tool).toMatchObject({ role: 'tool', tool_call_id: 'callone01', content: '20' })
  })
})

describe("OpenAI's Responses", () => {
  it('get the parameters that they have', async () => {
    const { url, requests } = await startFakeOpenAi({ script: responses })
    const chatModel = openAi({ useResponsesApi: true, maxTokens: 99, verbosity: 'low' })(url)
    expect(fromLangChain(chatModel).takes).not.toContain('stop')
    await ask(chatModel, { ...shared, responseFormat: { type: 'json_schema', schema, strict: false } })
    expect(requests[0]?.body).toMatchObject({
      temperature: 0.5,
      top_p: 0.9,
      max_output_tokens: 10,
      reasoning: { effort: 'high' },
      tool_choice: { type: 'function', name: 'weather' },
      text: { format: { type: 'json_schema', name: 'answer', schema, strict: false } },
      top_k: 3,
    })
    expect(requests[0]?.body).not.toHaveProperty('reasoning_effort')
  })
})

it('uses the new name of the limit at OpenAI itself', () => {
  const url = new URL('https://api.openai.com/v1/chat/completions')
  const body = withParams({ max_tokens: 99 }, { maxOutputTokens: 10 }, { url, family: 'openai' })
  expect(body).toEqual({ max_completion_tokens: 10 })
})

it('takes none for a model whose requests it cannot change', async () => {
  const other: LangChainModel = {
    _llmType: () => 'other',
    async stream() {
      return (async function* () {
        yield { content: 'fine' }
      })()
    },
  }
  expect(fromLangChain(other).takes).toEqual([])
  // One that says it is OpenAI's, and has a client of its own.
  await expect(ask({ ...other, _llmType: () => 'openai' }, { seed: 1 })).rejects.toMatchObject({ code: 'param_not_supported' })
})
