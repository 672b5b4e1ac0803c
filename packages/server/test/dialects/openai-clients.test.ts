/** Other clients of OpenAI's API: those of the AI SDK and of LangChain. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { HumanMessage, ToolMessage } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { jsonSchema, streamText, tool } from 'ai'
import type { Model, ModelPart } from 'millrace'
import { describe, expect, it } from 'vitest'
import { startServer } from '../support/server.ts'

const caller: Model = {
  name: 'caller',
  async *stream({ messages, tools = [] }): AsyncGenerator<ModelPart> {
    const last = messages.at(-1)
    if (last?.role === 'tool') return yield `It says: ${last.text}`
    yield 'Let me look. '
    yield { toolCall: { id: 'call_1', name: tools[0]?.name ?? 'none', arguments: { city: 'Shanghai' } } }
  },
}

describe('the AI SDK with @ai-sdk/openai-compatible', () => {
  async function start() {
    const { url } = await startServer({ dialects: ['openai'], models: [caller] })
    return createOpenAICompatible({ name: 'millrace', baseURL: `${url}/v1`, includeUsage: true })
  }

  it('streams text, reasoning and usage', async () => {
    const provider = await start()
    const result = streamText({ model: provider('sim:think?think=2&n=3&tps=0'), prompt: 'x' })
    expect(await result.text).toBe('1 2 3 ')
    expect(await result.reasoningText).toBe('1 2 ')
    expect(await result.finishReason).toBe('stop')
    expect(await result.usage).toMatchObject({ inputTokens: 1, outputTokens: 5 })
  })

  it('executes its own tools, and goes on', async () => {
    const provider = await start()
    const asked: unknown[] = []
    const weather = tool({
      description: 'The weather.',
      inputSchema: jsonSchema<{ city: string }>({ type: 'object', properties: { city: { type: 'string' } } }),
      execute: (input) => {
        asked.push(input)
        return 'Rain.'
      },
    })
    const stopWhen = ({ steps }: { steps: unknown[] }) => steps.length === 3
    const result = streamText({ model: provider('caller'), prompt: 'x', tools: { weather }, stopWhen })
    expect(await result.text).toBe('It says: Rain.')
    expect(asked).toEqual([{ city: 'Shanghai' }])
  })

  it('gets the error of a model', async () => {
    const provider = await start()
    const errors: unknown[] = []
    const model = provider('sim:fail?after=1&tps=0')
    const result = streamText({ model, prompt: 'x', maxRetries: 0, onError: ({ error }) => void errors.push(error) })
    await result.consumeStream()
    expect(errors).toHaveLength(1)
    expect(JSON.stringify(errors[0])).toContain('model_failed')
  })
})

describe('LangChain with @langchain/openai', () => {
  async function start(model: string, more: object = {}) {
    const { url } = await startServer({ dialects: ['openai'], models: [caller] })
    return new ChatOpenAI({ model, apiKey: 'none', configuration: { baseURL: `${url}/v1` }, maxRetries: 0, ...more })
  }

  it('streams and invokes', async () => {
    const model = await start('sim:count?n=3&tps=0')
    let text = ''
    for await (const chunk of await model.stream('x')) text += chunk.text
    expect(text).toBe('1 2 3 ')
    const whole = await model.invoke('x')
    expect(whole.text).toBe('1 2 3 ')
    expect(whole.usage_metadata).toMatchObject({ input_tokens: 1, output_tokens: 3 })
  })

  it('calls tools and sends their results', async () => {
    const weather = { type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} } } }
    const model = (await start('caller')).bindTools([weather])
    const question = new HumanMessage('x')
    const called = await model.invoke([question])
    expect(called.tool_calls).toMatchObject([{ id: 'call_1', name: 'weather', args: { city: 'Shanghai' } }])
    const result = new ToolMessage({ tool_call_id: 'call_1', content: 'Rain.' })
    expect((await model.invoke([question, called, result])).text).toBe('It says: Rain.')
  })

  it('uses the Responses API too', async () => {
    const model = await start('sim:think?think=2&n=3&tps=0', { useResponsesApi: true })
    let text = ''
    for await (const chunk of await model.stream('x')) text += chunk.text
    expect(text).toBe('1 2 3 ')
    expect((await model.invoke('x')).text).toBe('1 2 3 ')
  })
})
