/** The AI SDK's WebSocket transport, unmodified. */
import { Chat } from '@ai-sdk/react'
import { DefaultChatTransport, type UIMessage, type UIMessageChunk, WebSocketChatTransport } from 'ai'
import { expect, it, onTestFinished } from 'vitest'
import { startWorld } from '../src/client/world.ts'

const textOf = ({ parts }: Pick<UIMessage, 'parts'>) => parts.map((part) => ('text' in part ? part.text : '')).join('')
const texts = ({ messages }: Chat<UIMessage>) => messages.map((message) => [message.role, textOf(message)])

async function setup() {
  // Often, in every test: a heartbeat that the transport does not know would end all its streams.
  const world = await startWorld({ dialects: ['ai-sdk'], heartbeatMs: 20 })
  const open = (id: string, transport = openTransport(), messages: UIMessage[] = []) => {
    const errors: Error[] = []
    return { chat: new Chat<UIMessage>({ id, messages, transport, onError: (error) => void errors.push(error) }), errors }
  }
  const openTransport = () => {
    const transport = new WebSocketChatTransport<UIMessage>({ url: `${world.proxy.url}/ai/ws` })
    onTestFinished(() => transport.close())
    return transport
  }
  return { ...world, url: world.proxy.url, open, openTransport }
}

it('asks, asks on, and fails with the text of the error, over one connection', async () => {
  const { counter, open, proxy } = await setup()
  counter.letTo(9)
  const { chat, errors } = open('chat1')
  await chat.sendMessage({ text: '3' })
  await chat.sendMessage({ text: '1' }, { body: { model: 'no:such-model' } })
  expect({ status: chat.status, message: errors[0]?.message }).toMatchObject({
    status: 'error',
    message: expect.stringContaining('no:such-model'),
  })
  await chat.sendMessage({ text: '2' }, { body: { models: ['counting', 'sim:echo'] } })
  expect(texts(chat)[1]).toEqual(['assistant', '1 2 3 '])
  expect(chat.lastMessage?.parts.filter(({ type }) => type === 'text').length).toBe(2)
  expect({ errors: errors.length, connections: proxy.accepted }).toEqual({ errors: 1, connections: 1 })
})

it('goes on from the beginning after its connection was lost; leaving does not stop', async () => {
  const { counter, open, openTransport, proxy, millrace, url } = await setup()
  counter.letTo(2)
  const { chat, errors } = open('chat2')
  const sending = chat.sendMessage({ text: '6' })
  await expect.poll(() => texts(chat).at(-1)).toEqual(['assistant', '1 2 '])
  proxy.cut()
  await sending
  expect(chat.status).toBe('error')
  expect(errors[0]).toBeInstanceOf(TypeError)
  const resuming = chat.resumeStream()
  counter.letTo(3)
  await expect.poll(() => texts(chat).at(-1)).toEqual(['assistant', '1 2 3 '])
  await chat.stop()
  await resuming
  expect((await millrace.readSession('chat2'))?.runs[0]?.status).toBe('streaming')
  // Two tabs, over two transports.
  const other = open('chat2', openTransport(), chat.messages.slice(0, 1))
  const third = new Chat<UIMessage>({
    id: 'chat2',
    messages: chat.messages.slice(0, 1),
    transport: new DefaultChatTransport({ api: `${url}/ai/chat` }),
  })
  const reading = [other.chat.resumeStream(), third.resumeStream()]
  await expect.poll(() => [texts(other.chat).at(-1), texts(third).at(-1)]).toEqual(Array(2).fill(['assistant', '1 2 3 ']))
  counter.letTo(6)
  await Promise.all(reading)
  expect(texts(other.chat)).toEqual([
    ['user', '6'],
    ['assistant', '1 2 3 4 5 6 '],
  ])
  expect(third.messages).toEqual(other.chat.messages)
  await other.chat.resumeStream()
  const never = open('never').chat
  await never.resumeStream()
  expect([other.chat.status, never.status, other.errors.length]).toEqual(['ready', 'ready', 0])
})

it('has a stop of its own', async () => {
  const { counter, openTransport, url } = await setup()
  counter.letTo(1)
  const stream = await openTransport().sendMessages({
    chatId: 'chat3',
    trigger: 'submit-message',
    messageId: undefined,
    messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text: '9' }] }],
    abortSignal: undefined,
  })
  const chunks: UIMessageChunk[] = []
  const reading = (async () => {
    for await (const chunk of stream) chunks.push(chunk)
  })()
  await expect.poll(() => chunks.at(-1)?.type).toBe('text-delta')
  expect((await fetch(`${url}/ai/chat/chat3/stop`, { method: 'POST' })).status).toBe(204)
  await reading
  expect(chunks.slice(-2).map(({ type }) => type)).toEqual(['abort', 'finish'])
})

it('closes the connection of a client that speaks otherwise', async () => {
  const { url } = await setup()
  for (const text of ['no JSON', '[]', '{"type":"send"}', '{"type":"else","requestId":"1","id":"a"}']) {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ai/ws`)
    await new Promise((resolve) => socket.addEventListener('open', resolve))
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve))
    socket.send(text)
    expect((await closed).code).toBe(4400)
  }
})
