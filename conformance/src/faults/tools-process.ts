/** A server that asks a provider at an address, with a tool that it executes at once and one that waits for approval. */
import { ChatOpenAI } from '@langchain/openai'
import { createMillrace, sqliteEngine } from 'millrace'
import { redisEngine } from 'millrace/redis'

const [logs = '', provider = '', port = '0'] = process.argv.slice(2)
const millrace = createMillrace({
  engine: logs.startsWith('redis:') ? redisEngine({ url: logs }) : sqliteEngine({ folder: logs }),
  models: { model: new ChatOpenAI({ model: 'fake', apiKey: 'k', configuration: { baseURL: provider } }) },
  heartbeatMs: 60,
  leaseMs: 600,
  tools: {
    weather: {
      description: 'The weather in a city.',
      input: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      execute: ({ city }: { city: string }) => ({ city, celsius: 31, by: process.pid }),
    },
    pay: {
      description: 'Pays somebody.',
      input: { type: 'object', properties: { to: { type: 'string' }, amount: { type: 'number' } }, required: ['to', 'amount'] },
      needsApproval: true,
      execute: ({ to, amount }: { to: string; amount: number }) => ({ paid: amount, to, by: process.pid }),
    },
  },
})
const { url } = await millrace.listen({ port: Number(port) })
process.stdout.write(`${url}\n`)
