/** Calls of tools by LangChain's models, agents and graphs, and tools of LangChain. */
import { tool } from '@langchain/core/tools'
import { ChatOpenAI } from '@langchain/openai'
import { createAgent } from 'langchain'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { type FakeOpenAi, type Step, startFakeOpenAi } from '../../../test/support/fake-openai.ts'
import type { Model, ModelMessage, ModelPart } from '../model.ts'
import { fromLangChainGraph, isLangChainGraph } from './graph.ts'
import { fromLangChain } from './index.ts'

const calls = (...pieces: object[]): Step => ({ delta: { tool_calls: pieces } })
const begin = (index: number, id: string, name: string) => ({ index, id, type: 'function', function: { name, arguments: '' } })
const more = (index: number, text: string) => ({ index, function: { arguments: text } })
const twoCalls: Step[] = [
  { delta: { role: 'assistant', content: 'Let me. ' } },
  calls(begin(0, 'c1', 'weather')),
  calls(more(0, '{"city":')),
  calls(begin(1, 'c2', 'clock')),
  calls(more(0, '"Hefei"}')),
  calls(more(1, '{bad')),
  { finish: 'tool_calls' },
  { usage: { prompt_tokens: 3, completion_tokens: 4 } },
]
const definitions = [
  { name: 'weather', description: 'The weather', input: { type: 'object', properties: { city: { type: 'string' } } } },
]

function chatModel({ url }: FakeOpenAi, fields = {}) {
  return new ChatOpenAI({ model: 'fake', apiKey: 'k', configuration: { baseURL: url }, ...fields })
}

async function ask(model: Model, messages: readonly ModelMessage[] = [{ role: 'user', text: 'x' }]): Promise<ModelPart[]> {
  const parts: ModelPart[] = []
  for await (const part of model.stream({ messages, tools: definitions, signal: new AbortController().signal })) parts.push(part)
  return parts
}

const watched = { callbacks: [{ handleLLMNewToken() {} }] }

describe.each([
  ['by events', {}],
  ['by chunks, for its callbacks', watched],
])('a model read %s', (_how, fields) => {
  it('gets the tools, and gives its calls as they arrive and whole, also with arguments that are no JSON', async () => {
    const fake = await startFakeOpenAi({ script: twoCalls })
    expect(await ask(fromLangChain(chatModel(fake, fields)))).toEqual([
      'Let me. ',
      { toolCallStart: { id: 'c1', name: 'weather' } },
      { toolCallDelta: { id: 'c1', arguments: '{"city":' } },
      { toolCallStart: { id: 'c2', name: 'clock' } },
      { toolCallDelta: { id: 'c1', arguments: '"Hefei"}' } },
      { toolCallDelta: { id: 'c2', arguments: '{bad' } },
      { toolCall: { id: 'c1', name: 'weather', arguments: { city: 'Hefei' } } },
      { toolCall: { id: 'c2', name: 'clock', arguments: '{bad' } },
      { usage: { inputTokens: 3, outputTokens: 4, totalTokens: 7 } },
      { finishReason: 'tool_calls' },
    ])
    expect(fake.requests[0]?.body).toMatchObject({
      tools: [{ type: 'function', function: { name: 'weather', description: 'The weather', parameters: definitions[0]?.input } }],
    })
  })

  it('gets calls and results of the steps before as messages', async () => {
    const fake = await startFakeOpenAi({ script: [{ delta: { role: 'assistant', content: 'ok' } }, { finish: 'stop' }] })
    await ask(fromLangChain(chatModel(fake, fields)), [
      { role: 'user', text: 'x' },
      {
        role: 'assistant',
        text: 'Let me.',
        parts: [
          { type: 'text', text: 'Let me.' },
          { type: 'tool_call', id: 'c1', name: 'weather', arguments: { city: 'Hefei' } },
        ],
      },
      { role: 'tool', text: '31', parts: [{ type: 'tool_result', call: 'c1', value: 31 }] },
    ])
    expect(fake.requests[0]?.body.messages).toMatchObject([
      { role: 'user' },
      {
        role: 'assistant',
        content: 'Let me.',
        tool_calls: [{ id: 'c1', function: { name: 'weather', arguments: '{"city":"Hefei"}' } }],
      },
      { role: 'tool', content: '31', tool_call_id: 'c1' },
    ])
  })
})

it('makes one model with the tools of a server, and not another for each run', async () => {
  const fake = await startFakeOpenAi({ script: [{ delta: { role: 'assistant', content: 'ok' } }, { finish: 'stop' }] })
  const model = chatModel(fake)
  const bind = vi.spyOn(model, 'bindTools')
  for (let run = 0; run < 2; run++) await ask(fromLangChain(model))
  expect(bind).toHaveBeenCalledTimes(1)
})

it('gives calls that arrive whole and have the same index, by chunks', async () => {
  const whole = (id: string) => calls({ index: 0, id, type: 'function', function: { name: 'weather', arguments: '{}' } })
  const fake = await startFakeOpenAi({
    script: [{ delta: { role: 'assistant', content: '' } }, whole('c1'), whole('c2'), { finish: 'tool_calls' }],
  })
  const parts = await ask(fromLangChain(chatModel(fake, watched)))
  expect(parts.filter((part) => typeof part === 'object' && 'toolCall' in part)).toEqual([
    { toolCall: { id: 'c1', name: 'weather', arguments: {} } },
    { toolCall: { id: 'c2', name: 'weather', arguments: {} } },
  ])
})

describe('an agent', () => {
  it('executes its tools itself, and its calls and results come through', async () => {
    const answer: Step[] = [
      { delta: { role: 'assistant', content: 'It is ' } },
      { delta: { content: '31.' } },
      { finish: 'stop' },
    ]
    const script: Step[] = [
      { delta: { role: 'assistant', content: 'Let me. ' } },
      calls(begin(0, 'c1', 'weather'), more(0, '{"city":"Hefei"}')),
      { finish: 'tool_calls' },
    ]
    const fake = await startFakeOpenAi({ scripts: [script, answer] })
    const weather = tool(({ city }: { city: string }) => ({ city, celsius: 31 }), {
      name: 'weather',
      description: 'The weather',
      schema: z.object({ city: z.string() }),
    })
    const agent = createAgent({ model: chatModel(fake), tools: [weather] })
    expect(isLangChainGraph(agent)).toBe(true)
    const parts = await ask(fromLangChainGraph(agent, 'agent'))
    expect(parts).toEqual([
      'Let me. ',
      { toolCallStart: { id: 'c1', name: 'weather' } },
      { toolCallDelta: { id: 'c1', arguments: '{"city":"Hefei"}' } },
      { toolCall: { id: 'c1', name: 'weather', arguments: { city: 'Hefei' }, by: 'model' } },
      { toolResult: { call: 'c1', value: { city: 'Hefei', celsius: 31 } } },
      'It is ',
      '31.',
      { finishReason: 'stop' },
    ])
  })
})
