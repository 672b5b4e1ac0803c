/**
 * Transports of chats that keep their answers in durable streams, as they are published: an application of its own asks a model,
 * writes into a stream of Millrace, and its pages read there.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createDurableChatTransport, toDurableStreamResponse } from '@durable-streams/aisdk-transport'
import {
  durableStreamConnection,
  ensureDurableChatSessionStream,
  toDurableChatSessionResponse,
} from '@durable-streams/tanstack-ai-transport'
import { createMillrace } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'

const words = Array.from({ length: 20 }, (_, n) => `${n} `)

async function serve(): Promise<string> {
  const millrace = createMillrace({ model: 'sim:count', dialects: ['durable-streams'] })
  onTestFinished(() => millrace.close())
  return `${(await millrace.listen({ port: 0 })).url}/ds/streams`
}

it("keeps answers for the AI SDK's transport, in a stream for each", async () => {
  const streams = await serve()
  async function* answer() {
    yield { type: 'start', messageId: 'm' }
    yield { type: 'text-start', id: '1' }
    for (const delta of words) {
      yield { type: 'text-delta', id: '1', delta }
      await new Promise(setImmediate)
    }
    yield { type: 'text-end', id: '1' }
    yield { type: 'finish' }
  }
  const application = createServer((request, response) => {
    request.resume()
    const isAsking = request.method === 'POST'
    const started = isAsking
      ? toDurableStreamResponse({ source: answer(), stream: { writeUrl: `${streams}/chat/c` } })
      : Promise.resolve(new Response(null, { status: 200, headers: { location: `${streams}/chat/c` } }))
    void started.then(async ({ status, headers, body }) => {
      response.writeHead(status, Object.fromEntries(headers))
      response.end(body === null ? '' : await new Response(body).text())
    })
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void application.close())
  await once(application, 'listening')
  const transport = createDurableChatTransport({ api: `http://127.0.0.1:${(application.address() as AddressInfo).port}/chat` })
  const textOf = async (chunks: AsyncIterable<object> | null) => {
    const all: { readonly type?: string; readonly delta?: string }[] = []
    for await (const chunk of chunks ?? []) all.push(chunk)
    return [all.map(({ delta }) => delta ?? '').join(''), all.at(-1)?.type]
  }
  const sent = { trigger: 'submit-message', chatId: 'c', messageId: undefined, messages: [], abortSignal: undefined } as const
  expect(await textOf((await transport.sendMessages({ ...sent, messages: [] })) as unknown as AsyncIterable<object>)).toEqual([
    words.join(''),
    'finish',
  ])
  expect(await textOf((await transport.reconnectToStream({ chatId: 'c' })) as unknown as AsyncIterable<object>)).toEqual([
    words.join(''),
    'finish',
  ])
})

it("keeps a conversation for TanStack AI's transport, in one stream that stays open", async () => {
  const stream = { writeUrl: `${await serve()}/chat/t` }
  async function* answer() {
    yield { type: 'RUN_STARTED', runId: 'r', threadId: 't' }
    yield { type: 'TEXT_MESSAGE_START', messageId: 'm', role: 'assistant' }
    for (const delta of words) yield { type: 'TEXT_MESSAGE_CONTENT', messageId: 'm', delta }
    yield { type: 'TEXT_MESSAGE_END', messageId: 'm' }
    yield { type: 'RUN_FINISHED', runId: 'r', threadId: 't' }
  }
  await ensureDurableChatSessionStream(stream)
  const connection = durableStreamConnection({ sendUrl: stream.writeUrl, readUrl: stream.writeUrl, initialOffset: '-1' })
  const leaving = new AbortController()
  onTestFinished(() => leaving.abort())
  const read = async () => {
    let text = ''
    for await (const chunk of connection.subscribe(leaving.signal) as AsyncIterable<{ type: string; delta?: string }>) {
      text += chunk.delta ?? ''
      if (chunk.type === 'RUN_FINISHED') break
    }
    return text
  }
  const reading = read()
  const newMessages = [{ id: 'u', role: 'user', parts: [{ type: 'text', content: 'hi, ' }] }]
  await toDurableChatSessionResponse({ stream, newMessages, responseStream: answer(), mode: 'await' } as unknown as Parameters<
    typeof toDurableChatSessionResponse
  >[0])
  expect(await reading).toBe(`hi, ${words.join('')}`)
})
