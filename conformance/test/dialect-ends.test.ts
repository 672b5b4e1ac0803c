/** How a stream in the dialect of others ends where its run goes on: a client must not take that for the end of the answer. */
import { createMillrace, type Engine, type MillraceOptions, memoryEngine } from 'millrace'
import { redisEngine } from 'millrace/redis'
import { expect, it, onTestFinished } from 'vitest'
import { startRedis } from '../src/servers/redis.ts'

const adminKey = 'an-admin-key-of-a-test'
const authenticate: NonNullable<MillraceOptions['authenticate']> = ({ headers }) =>
  headers.has('authorization') ? undefined : { id: 'ada' }

async function start(engine: Engine = memoryEngine()) {
  const model = 'sim:count?n=100000&tps=50'
  const options = { engine, authenticate, access: { adminKey }, modelsByName: { 'sim:*': 'users' } } as const
  const millrace = createMillrace({ ...options, model, dialects: ['openai'] })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const body = JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'count' }] })
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body })
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader()
  /** Rejects where the stream is cut. */
  const readAll = async () => {
    for (let text = ''; ; ) {
      const { done, value } = await reader.read()
      if (done) return text
      text += value
    }
  }
  return { millrace, url, readAll }
}

it('a server that is drained cuts the stream', async () => {
  const { url: redis, close } = await startRedis()
  onTestFinished(close)
  const { url, readAll } = await start(redisEngine({ url: redis }))
  const headers = { authorization: `Bearer ${adminKey}` }
  const { nodes } = (await (await fetch(`${url}/api/admin/nodes`, { headers })).json()) as { nodes: { node: string }[] }
  const drained = await fetch(`${url}/api/admin/nodes/${nodes[0]?.node}/drain`, { method: 'POST', headers })
  expect(drained.status).toBe(200)
  await expect(readAll()).rejects.toThrow()
})

it('a client that may not read any more gets the error of its dialect', async () => {
  const { millrace, readAll } = await start()
  millrace.closeConnections({ principal: 'ada' }, 'token_revoked')
  const text = await readAll()
  expect(text).toMatch(/"code":"token_revoked"}}\n\ndata: \[DONE\]\n\n$/)
})
