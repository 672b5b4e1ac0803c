/** A graph of LangGraph as a model: its text, tools, sources and what its nodes write, end to end. */
import { AIMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { END, type LangGraphRunnableConfig, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph'
import { ToolNode } from '@langchain/langgraph/prebuilt'
import { ChatOpenAI } from '@langchain/openai'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { type Step, startFakeOpenAi } from './support/fake-openai.ts'
import { startServer } from './support/server.ts'

const calls: Step[] = [
  { delta: { role: 'assistant', content: 'Let me. ' } },
  {
    delta: {
      tool_calls: [
        { index: 0, id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"city":' } },
        { index: 1, id: 'c2', type: 'function', function: { name: 'weather', arguments: '{"city":"Oz"}' } },
      ],
    },
  },
  { delta: { tool_calls: [{ index: 0, function: { arguments: '"Hefei"}' } }] } },
  { finish: 'tool_calls' },
  { usage: { prompt_tokens: 3, completion_tokens: 4 } },
]
const answer: Step[] = [
  { delta: { role: 'assistant', content: 'It is ' } },
  { delta: { content: '31. ' } },
  { finish: 'stop' },
  { usage: { prompt_tokens: 5, completion_tokens: 6 } },
]
const cited = {
  type: 'text',
  text: 'See there.',
  annotations: [{ type: 'citation', url: 'https://weather.example/', title: 'Weather' }],
}

/** Looks something up, asks its model, executes the tools that it calls until it calls none, and adds a citation. */
async function startGraph(scripts: Step[][]) {
  const provider = await startFakeOpenAi({ scripts })
  const weather = tool(
    ({ city }: { city: string }, config: LangGraphRunnableConfig) => {
      config.writer?.({ name: 'progress', value: city })
      if (city === 'Oz') throw new Error('There is no Oz.')
      return { city, celsius: 31 }
    },
    { name: 'weather', description: 'The weather', schema: z.object({ city: z.string() }) },
  )
  const model = new ChatOpenAI({ model: 'fake', apiKey: 'k', maxRetries: 0, configuration: { baseURL: provider.url } })
  const withTools = model.bindTools([weather])
  const graph = new StateGraph(MessagesAnnotation)
    .addNode('look', (_state, config) => {
      config.writer?.({ found: 2 })
      return { messages: [] }
    })
    .addNode('ask', async ({ messages }) => ({ messages: [await withTools.invoke(messages)] }))
    .addNode('tools', new ToolNode([weather]))
    .addNode('cite', () => ({ messages: [new AIMessage({ id: 'cite', contentBlocks: [cited] as never })] }))
    .addEdge(START, 'look')
    .addEdge('look', 'ask')
    .addConditionalEdges('ask', ({ messages }) => ((messages.at(-1) as AIMessage).tool_calls?.length ? 'tools' : 'cite'))
    .addEdge('tools', 'ask')
    .addEdge('cite', END)
    .compile()
  const { millrace } = await startServer({ models: { graph }, model: 'graph' })
  return { provider, millrace }
}

it('gives its text, the calls and results of its tools, its sources, and what its nodes write', async () => {
  const { provider, millrace } = await startGraph([calls, answer])
  const run = await millrace.ask({ query: 'How warm is it?' })
  expect(await run.ended).toMatchObject({ status: 'completed', usage: { inputTokens: 8, outputTokens: 10, totalTokens: 18 } })
  const parts = (await millrace.readSession(run.session))?.runs[0]?.lanes[0]?.parts ?? []
  // The tools run side by side.
  const sorted = [...parts].sort((a, b) => Number(b.type === 'data') - Number(a.type === 'data'))
  expect(sorted).toMatchObject([
    { type: 'data', name: 'custom', value: { found: 2 } },
    { type: 'data', name: 'progress', value: 'Hefei' },
    { type: 'data', name: 'progress', value: 'Oz' },
    { type: 'text', text: 'Let me. ' },
    {
      type: 'tool',
      call: 'c1',
      name: 'weather',
      by: 'model',
      state: 'done',
      arguments: { city: 'Hefei' },
      value: { city: 'Hefei', celsius: 31 },
    },
    { type: 'tool', call: 'c2', by: 'model', state: 'failed', value: expect.stringContaining('There is no Oz.') },
    { type: 'text', text: 'It is 31. See there.' },
    { type: 'source', source: 'https://weather.example/', url: 'https://weather.example/', title: 'Weather' },
  ])
  const { events } = await millrace.engine.read(run.session, run.start)
  expect(events.filter(({ type }) => type === 'tool_call_delta').map(({ data }) => data)).toMatchObject([
    { call: 'c1', arguments: '{"city":' },
    { call: 'c2', arguments: '{"city":"Oz"}' },
    { call: 'c1', arguments: '"Hefei"}' },
  ])
  await (await millrace.ask({ query: 'And now?', session: run.session })).ended
  expect(provider.requests.at(-1)?.body.messages.map(({ role }) => role)).toEqual([
    'user',
    'assistant',
    'tool',
    'tool',
    'assistant',
    'user',
  ])
})

it('ends as failed where its model does, with what there was', async () => {
  const { millrace } = await startGraph([[{ delta: { role: 'assistant', content: 'so far' } }, 'cut']])
  const run = await millrace.ask({ query: 'x' })
  expect(await run.ended).toMatchObject({ status: 'failed', error: { code: 'model_failed' } })
  expect((await millrace.readSession(run.session))?.runs[0]?.lanes[0]?.text).toBe('so far')
})

it('ends the request of its model when the run is stopped', async () => {
  const { provider, millrace } = await startGraph([[{ delta: { role: 'assistant', content: 'so far' } }, 'hang']])
  const run = await millrace.ask({ query: 'x' })
  await expect.poll(async () => (await millrace.readSession(run.session))?.runs[0]?.lanes[0]?.text).toBe('so far')
  run.stop()
  expect(await run.ended).toMatchObject({ status: 'stopped' })
  await provider.requests[0]?.closed
})
