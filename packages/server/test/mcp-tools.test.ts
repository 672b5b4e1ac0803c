/** Tools of a server of the Model Context Protocol, through LangChain's adapter. */
import { fileURLToPath } from 'node:url'
import { MultiServerMCPClient } from '@langchain/mcp-adapters'
import type { Model } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { startServer } from './support/server.ts'

it('are called like any other, with their schema and their errors', async () => {
  const script = fileURLToPath(new URL('./support/mcp-server.ts', import.meta.url))
  const client = new MultiServerMCPClient({ weather: { transport: 'stdio', command: process.execPath, args: [script] } })
  onTestFinished(() => client.close())
  let given: unknown
  const model: Model = {
    name: 'm',
    async *stream({ messages, tools }) {
      given = tools
      const call = (id: string, city: unknown) => ({ toolCall: { id, name: 'weather', arguments: { city } as object as never } })
      if (messages.at(-1)?.role === 'tool') yield 'done'
      else yield* [call('c1', 'Hefei'), call('c2', 'Atlantis'), call('c3', 7)]
    },
  }
  const { millrace } = await startServer({ models: [model], tools: await client.getTools() })
  const run = await millrace.ask({ query: 'x', models: ['m'] })
  expect(await run.ended).toMatchObject({ status: 'completed' })
  expect(given).toMatchObject([{ name: 'weather', input: { type: 'object', properties: { city: { type: 'string' } } } }])
  expect((await millrace.readSession(run.session))?.runs[0]?.lanes[0]?.parts).toMatchObject([
    { call: 'c1', state: 'done', value: '31 in Hefei' },
    { call: 'c2', state: 'failed', value: expect.stringContaining('There is no such city.') },
    { call: 'c3', state: 'failed', value: expect.stringContaining('do not match its schema') },
    { type: 'step' },
    { text: 'done' },
  ])
})
