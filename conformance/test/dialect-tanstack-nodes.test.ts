/** A run of TanStack AI that another server goes on with: a second node, and the next process over the same files. */
import { fetchServerSentEvents } from '@tanstack/ai-client'
import { createMillrace, type Engine, type Model, type ModelPart, sqliteEngine } from 'millrace'
import { redisEngine } from 'millrace/redis'
import { expect, it, onTestFinished } from 'vitest'
import { makeFolder, startFaultProxy, startRedis } from '../src/index.ts'

/** Says its second word when it is let. */
function pausing() {
  const allowed = Promise.withResolvers<void>()
  const model: Model = {
    name: 'talker',
    async *stream({ signal }): AsyncGenerator<ModelPart> {
      yield 'one '
      await Promise.race([allowed.promise, new Promise((resolve) => signal.addEventListener('abort', resolve))])
      yield 'two'
    },
  }
  return { model, goOn: () => allowed.resolve() }
}

async function open(engine: Engine, model: Model) {
  const millrace = createMillrace({ engine, models: [model], model: 'talker', dialects: ['tanstack'], onError: () => {} })
  onTestFinished(() => millrace.close())
  return { millrace, ...(await millrace.listen({ port: 0 })) }
}

const messages = [{ id: 'm', role: 'user' as const, parts: [{ type: 'text' as const, content: 'x' }] }]

it('goes on at another node after a cut, without a chunk twice', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const { model, goOn } = pausing()
  const first = await open(redisEngine({ url: redis.url }), model)
  const second = await open(redisEngine({ url: redis.url }), model)
  const proxy = await startFaultProxy(first.port)
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  const connection = fetchServerSentEvents(`${proxy.url}/tanstack`, { reconnect: { delayMs: 0 } })
  const types: string[] = []
  let text = ''
  for await (const chunk of connection.connect(messages as never, undefined, undefined, { threadId: 't', runId: 'r' })) {
    types.push(chunk.type)
    if (chunk.type !== 'TEXT_MESSAGE_CONTENT') continue
    text += chunk.delta
    if (text !== 'one ') continue
    proxy.redirect(second.port)
    proxy.cut()
    goOn()
  }
  expect(text).toBe('one two')
  expect(types).toEqual([
    'RUN_STARTED',
    'TEXT_MESSAGE_START',
    'TEXT_MESSAGE_CONTENT',
    'TEXT_MESSAGE_CONTENT',
    'TEXT_MESSAGE_END',
    'RUN_FINISHED',
  ])
  expect((await second.millrace.readSession('t'))?.runs).toMatchObject([{ run: 'r', status: 'completed' }])
})

it('ends with an error at the next process, where its own was closed in the middle', async () => {
  const folder = makeFolder()
  const first = await open(sqliteEngine({ folder }), pausing().model)
  const body = JSON.stringify({ threadId: 't', runId: 'r', messages: [{ id: 'm', role: 'user', content: 'x' }] })
  const post = (url: string, headers: Record<string, string> = {}) =>
    fetch(`${url}/tanstack`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
  let begun = ''
  for await (const bytes of (await post(first.url)).body ?? []) {
    begun += Buffer.from(bytes).toString()
    if (begun.includes('"delta":"one "')) break
  }
  await first.millrace.close()
  const second = await open(sqliteEngine({ folder }), pausing().model)
  const last = [...begun.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? ''
  const rest = await (await post(second.url, { 'last-event-id': last })).text()
  const frames = [...rest.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as { type: string; code?: string })
  expect(frames.map(({ type, code }) => code ?? type)).toEqual(['TEXT_MESSAGE_END', 'interrupted'])
  const joined = await (await fetch(`${second.url}/tanstack?offset=-1&runId=r`)).text()
  expect(joined.endsWith(rest.slice(rest.indexOf('id: ')))).toBe(true)
  expect(joined.startsWith(begun.slice(0, begun.lastIndexOf('id: ')))).toBe(true)
})
