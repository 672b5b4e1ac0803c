/** A server that is killed in mid-answer: what an AI SDK client has of it is kept, ends, and goes on in the same message. */
import { Chat } from '@ai-sdk/react'
import { WorkflowChatTransport } from '@ai-sdk/workflow/client'
import { DefaultChatTransport, type UIMessage, type UIMessageChunk } from 'ai'
import { expect, it, vi } from 'vitest'
import { startMillrace } from '../src/faults/server-process.ts'
import { makeFolder } from '../src/index.ts'

const textOf = (message: UIMessage | undefined) =>
  (message?.parts ?? []).map((part) => (part.type === 'text' ? part.text : '')).join('')
const countTo = (end: number) => Array.from({ length: end }, (_, index) => `${index + 1} `).join('')

it('shows what was said, and goes on with it', async () => {
  const server = await startMillrace(['--data', makeFolder()])
  const api = `${server.url}/ai/chat`
  const errors: Error[] = []
  const transport = new DefaultChatTransport<UIMessage>({ api, body: { model: 'sim:count?n=120&tps=30' } })
  const chat = new Chat<UIMessage>({ id: 'killed', transport, onError: (error) => void errors.push(error) })
  const sending = chat.sendMessage({ text: 'count' })
  await expect.poll(() => textOf(chat.lastMessage).length).toBeGreaterThan(5)
  await server.end()
  await sending
  const seen = textOf(chat.lastMessage)
  // A cut is no end.
  expect([chat.status, errors.length]).toEqual(['error', 1])
  await server.restart()
  await chat.resumeStream()
  const { messages } = (await (await fetch(`${api}/killed`)).json()) as { messages: UIMessage[] }
  expect(messages.at(-1)).toMatchObject({ id: chat.lastMessage?.id, metadata: { status: 'interrupted' } })
  expect(textOf(messages.at(-1)).startsWith(seen)).toBe(true)
  chat.messages = messages
  await chat.sendMessage()
  expect({ status: chat.status, messages: chat.messages.length }).toEqual({ status: 'ready', messages: 2 })
  expect(textOf(chat.lastMessage)).toBe(countTo(120))
})

it('ends a stream that is counted with its last frame, in the place of the next one', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  const server = await startMillrace(['--data', makeFolder()])
  let back: Promise<void> | undefined
  const fetchWhenBack: typeof fetch = async (...args) => {
    await back
    return fetch(...args)
  }
  const transport = new WorkflowChatTransport<UIMessage>({ api: `${server.url}/ai/chat`, fetch: fetchWhenBack })
  const stream = await transport.sendMessages({
    trigger: 'submit-message',
    chatId: 'counted',
    messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text: 'count' }] }],
    body: { id: 'counted', model: 'sim:count?n=1000&tps=30' },
  })
  const chunks: UIMessageChunk[] = []
  for await (const chunk of stream) {
    chunks.push(chunk)
    if (chunks.length === 8) back = server.end().then(() => server.restart())
  }
  const text = chunks.map((chunk) => (chunk.type === 'text-delta' ? chunk.delta : '')).join('')
  expect(text).toBe(countTo(text.trim().split(' ').length))
  expect(chunks.filter(({ type }) => type === 'start').length).toBe(1)
  expect(chunks.at(-1)).toMatchObject({ type: 'finish', finishReason: 'interrupted' })
})
