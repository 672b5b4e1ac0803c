/** The AI SDK's own transports and its chat class, unmodified, over a real server. */
import { Chat } from '@ai-sdk/react'
import {
  DefaultChatTransport,
  lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls,
  TextStreamChatTransport,
  type UIMessage,
} from 'ai'
import { createMillrace, type Engine, type Model, type ModelPart, memoryEngine } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { startWorld, type World } from '../src/client/world.ts'

type Chats = Chat<UIMessage>

const textOf = ({ parts }: Pick<UIMessage, 'parts'>) => parts.map((part) => ('text' in part ? part.text : '')).join('')
const texts = ({ messages }: Chats) => messages.map((message) => [message.role, textOf(message)])

function openChat(url: string, id: string, options: Partial<ConstructorParameters<typeof Chat<UIMessage>>[0]> = {}) {
  const errors: Error[] = []
  const transport = new DefaultChatTransport({ api: `${url}/ai/chat` })
  const chat = new Chat<UIMessage>({ id, transport, onError: (error) => void errors.push(error), ...options })
  return { chat, errors }
}

async function setup(openEngine = () => memoryEngine()) {
  const world = await startWorld({ openEngine, dialects: ['ai-sdk'] })
  return { ...world, url: world.proxy.url }
}

async function runsOf({ millrace }: Pick<World, 'millrace'>, session: string) {
  return (await millrace.readSession(session))?.runs ?? []
}

async function readMessages(url: string, id: string) {
  const response = await fetch(`${url}/ai/chat/${encodeURIComponent(id)}`)
  return ((await response.json()) as { messages: UIMessage[] }).messages
}

const post = (url: string, body: object) =>
  fetch(`${url}/ai/chat`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

it('asks, and asks on in the same session; the same message is asked once', async () => {
  const { url, counter, ...world } = await setup()
  counter.letTo(9)
  const { chat, errors } = openChat(url, 'chat1')
  await chat.sendMessage({ text: '3' })
  await chat.sendMessage({ text: '2' })
  const said = [
    ['user', '3'],
    ['assistant', '1 2 3 '],
    ['user', '2'],
    ['assistant', '1 2 '],
  ]
  expect({ texts: texts(chat), errors, status: chat.status }).toEqual({ texts: said, errors: [], status: 'ready' })
  expect(chat.lastMessage?.metadata).toMatchObject({ session: 'chat1', model: 'counting', status: 'completed' })
  const again = await post(url, { id: 'chat1', trigger: 'submit-message', messages: chat.messages.slice(0, 3) })
  expect(await again.text()).toContain(`"messageId":"${chat.lastMessage?.id}"`)
  const runs = await runsOf(world, 'chat1')
  expect(runs).toMatchObject([
    { query: '3', status: 'completed', parent: null },
    { query: '2', status: 'completed', parent: runs[0]?.run, metadata: { messageId: chat.messages[2]?.id } },
  ])
})

it('goes on from the beginning in another tab and after a reload, and does not where nothing runs', async () => {
  const { url, counter } = await setup()
  counter.letTo(2)
  const { chat } = openChat(url, 'chat 2/ü')
  const sending = chat.sendMessage({ text: '4' })
  await expect.poll(() => texts(chat).at(-1)).toEqual(['assistant', '1 2 '])
  const { chat: other, errors } = openChat(url, 'chat 2/ü', { messages: chat.messages.slice(0, 1) })
  const resuming = other.resumeStream()
  await expect.poll(() => texts(other).at(-1)).toEqual(['assistant', '1 2 '])
  counter.letTo(4)
  await Promise.all([sending, resuming])
  expect(other.messages).toEqual(chat.messages)
  const shown = chat.messages.map(({ id, role, parts }) => ({ id, role, parts }))
  expect(await readMessages(url, 'chat 2/ü')).toMatchObject(JSON.parse(JSON.stringify(shown)) as object[])
  expect({ texts: texts(other), errors }).toEqual({
    texts: [
      ['user', '4'],
      ['assistant', '1 2 3 4 '],
    ],
    errors: [],
  })
  const empty = openChat(url, 'never').chat
  await Promise.all([other.resumeStream(), empty.resumeStream()])
  expect([other.status, empty.status, texts(other).length]).toEqual(['ready', 'ready', 2])
})

it('leaves on stop, goes on, and has a stop of its own', async () => {
  const { url, counter, ...world } = await setup()
  counter.letTo(2)
  const { chat } = openChat(url, 'chat3')
  const sending = chat.sendMessage({ text: '9' })
  await expect.poll(() => texts(chat).at(-1)).toEqual(['assistant', '1 2 '])
  await chat.stop()
  await sending
  expect((await runsOf(world, 'chat3'))[0]?.status).toBe('streaming')
  const resuming = chat.resumeStream()
  await expect.poll(() => chat.status).toBe('streaming')
  const stopped = await fetch(`${url}/ai/chat/chat3/stop`, { method: 'POST' })
  await resuming
  expect([stopped.status, chat.status, chat.messages.length]).toEqual([204, 'ready', 2])
  expect(chat.lastMessage?.metadata).toMatchObject({ status: 'stopped' })
  expect((await runsOf(world, 'chat3'))[0]?.status).toBe('stopped')
  expect((await fetch(`${url}/ai/chat/never/stop`, { method: 'POST' })).status).toBe(404)
})

it('asks on while an answer that was left goes on', async () => {
  const { url, counter } = await setup()
  counter.letTo(1)
  const { chat, errors } = openChat(url, 'chat4')
  const sending = chat.sendMessage({ text: '9' })
  await expect.poll(() => texts(chat).at(-1)).toEqual(['assistant', '1 '])
  await chat.stop()
  await sending
  await chat.sendMessage({ text: '1' })
  expect({ last: texts(chat).at(-1), errors }).toEqual({ last: ['assistant', '1 '], errors: [] })
})

it('regenerates and edits beside what there was', async () => {
  const { url, counter, ...world } = await setup()
  counter.letTo(9)
  const { chat, errors } = openChat(url, 'chat5')
  await chat.sendMessage({ text: '2' })
  const [, before] = chat.messages
  await chat.regenerate()
  expect(texts(chat)).toEqual([
    ['user', '2'],
    ['assistant', '1 2 '],
  ])
  expect(chat.messages[1]?.id).not.toBe(before?.id)
  await chat.sendMessage({ text: '3', messageId: chat.messages[0]?.id as string })
  await chat.regenerate()
  await chat.sendMessage({ text: '1' })
  expect({ texts: texts(chat), errors }).toEqual({
    texts: [
      ['user', '3'],
      ['assistant', '1 2 3 '],
      ['user', '1'],
      ['assistant', '1 '],
    ],
    errors: [],
  })
  const runs = await runsOf(world, 'chat5')
  expect(runs.map(({ query, parent }) => [query, parent])).toEqual([
    ['2', null],
    ['2', null],
    ['3', null],
    ['3', null],
    ['1', runs[3]?.run],
  ])
})

/** Appends late, so that requests at the same moment find nothing of each other. */
function lateEngine(): Engine {
  const engine = memoryEngine()
  const append: Engine['append'] = async (...args) => {
    await new Promise((resolve) => setTimeout(resolve, 30))
    return engine.append(...args)
  }
  return new Proxy(engine, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown
      if (name === 'append') return append
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

it('is asked once by requests at the same moment', async () => {
  const { url, counter, ...world } = await setup(lateEngine)
  counter.letTo(9)
  const messages = [{ id: 'm', role: 'user', parts: [{ type: 'text', text: '3' }] }]
  const responses = await Promise.all(Array.from({ length: 4 }, () => post(url, { id: 'once', messages })))
  const streams = await Promise.all(responses.map((response) => response.text()))
  expect(new Set(streams.map((text) => /"messageId":"([^"]+)"/.exec(text)?.[1])).size).toBe(1)
  expect((await runsOf(world, 'once')).length).toBe(1)
})

it('follows the answer that the conversation has, and not the newest', async () => {
  const { url, counter, ...world } = await setup()
  counter.letTo(9)
  const { chat } = openChat(url, 'branch')
  await chat.sendMessage({ text: '2' })
  const before = [...chat.messages]
  await chat.regenerate()
  chat.messages = before
  await chat.sendMessage({ text: '1' })
  const runs = await runsOf(world, 'branch')
  expect(runs.map(({ parent }) => parent)).toEqual([null, null, runs[0]?.run])
})

it('follows the conversation that was posted, and asks what it does not know of it with the question', async () => {
  const { url, counter, ...world } = await setup()
  counter.letTo(9)
  const { chat, errors } = openChat(url, 'chat6', {
    messages: [
      { id: 'u1', role: 'user', parts: [{ type: 'text', text: 'hello' }] },
      { id: 'a1', role: 'assistant', parts: [{ type: 'text', text: 'hi' }] },
    ],
  })
  await chat.sendMessage({ text: '1' })
  await chat.sendMessage({ text: '2' })
  // Cleared: another conversation of the same chat.
  chat.messages = []
  await chat.sendMessage({ text: '3' })
  expect(errors).toEqual([])
  const runs = await runsOf(world, 'chat6')
  expect(runs.map(({ query, parent, messages }) => [query, parent, messages?.length])).toEqual([
    ['1', null, 3],
    ['2', runs[0]?.run, undefined],
    ['3', null, undefined],
  ])
})

it('fails with the text of the error, and can ask again', async () => {
  const { url, counter } = await setup()
  counter.letTo(9)
  const { chat, errors } = openChat(url, 'chat7')
  await chat.sendMessage({ text: '1' }, { body: { model: 'no:such-model' } })
  expect({ status: chat.status, errors: errors.map(({ message }) => message) }).toEqual({
    status: 'error',
    errors: ['The model no:such-model cannot be asked for by name here; GET /api/models lists those that can.'],
  })
  await chat.sendMessage({ text: '2' })
  expect(texts(chat).at(-1)).toEqual(['assistant', '1 2 '])
  await chat.sendMessage({ text: '1' }, { body: { model: 'sim:fail?after=1&tps=0' } })
  expect(texts(chat).at(-1)).toEqual(['assistant', '1 '])
  expect({ status: chat.status, message: errors[1]?.message }).toEqual({
    status: 'error',
    message: 'The simulation failed after 1 tokens, as asked.',
  })
  expect(chat.lastMessage?.metadata).toMatchObject({ status: 'failed', error: { code: 'model_failed' } })
})

it('reads text alone', async () => {
  const { url, counter } = await setup()
  counter.letTo(9)
  const { chat, errors } = openChat(url, 'chat8', { transport: new TextStreamChatTransport({ api: `${url}/ai/text` }) })
  await chat.sendMessage({ text: '3' })
  expect({ last: texts(chat).at(-1), errors, status: chat.status }).toEqual({
    last: ['assistant', '1 2 3 '],
    errors: [],
    status: 'ready',
  })
})

it('is one message of several models', async () => {
  const { url, counter } = await setup()
  counter.letTo(9)
  const { chat, errors } = openChat(url, 'chat9')
  await chat.sendMessage({ text: '2' }, { body: { models: ['counting', 'sim:echo'] } })
  const parts = chat.lastMessage?.parts.filter((part) => part.type === 'text') ?? []
  const said = parts.map(({ text, providerMetadata }) => [providerMetadata?.millrace?.lane, text])
  expect(Object.fromEntries(said)).toEqual({ counting: '1 2 ', 'sim:echo': '2' })
  expect({ errors, messages: chat.messages.length }).toEqual({ errors: [], messages: 2 })
})

const input = z.object({ sum: z.number() })
const tools = {
  pay: { description: 'Pays.', input, needsApproval: true, execute: ({ sum }: { sum: number }) => `paid ${sum}` },
  place: { description: 'Says where the user is.', input },
}

async function startTools(answerAfter?: Promise<void>) {
  const model: Model = {
    name: 'caller',
    async *stream({ messages }): AsyncGenerator<ModelPart> {
      const last = messages.at(-1)
      if (last?.role === 'tool') {
        yield 'got '
        await answerAfter
        yield last.text
      } else yield { toolCall: { id: `call-${last?.text}`, name: last?.text ?? '', arguments: { sum: 5 } } } as ModelPart
    },
  }
  const millrace = createMillrace({ models: [model], model: 'caller', tools, dialects: ['ai-sdk'] })
  onTestFinished(() => millrace.close())
  return { millrace, ...(await millrace.listen({ port: 0 })) }
}

const sendAutomaticallyWhen = (options: { messages: UIMessage[] }) =>
  lastAssistantMessageIsCompleteWithToolCalls(options) || lastAssistantMessageIsCompleteWithApprovalResponses(options)

it.each([true, false])('has a tool approved in two tabs, or rejected, and goes on in the same message: %s', async (approved) => {
  const { url, millrace } = await startTools()
  const { chat, errors } = openChat(url, 'tools1', { sendAutomaticallyWhen })
  await chat.sendMessage({ text: 'pay' })
  expect(chat.lastMessage?.parts.at(-1)).toMatchObject({ type: 'tool-pay', state: 'approval-requested', providerExecuted: true })
  const other = openChat(url, 'tools1', { sendAutomaticallyWhen, messages: await readMessages(url, 'tools1') })
  const { approval } = (chat.lastMessage as UIMessage).parts.at(-1) as { approval: { id: string } }
  for (const each of [chat, other.chat]) void each.addToolApprovalResponse({ id: approval.id, approved })
  for (const each of [chat, other.chat]) {
    await expect
      .poll(() => [textOf(each.lastMessage as UIMessage), each.status])
      .toEqual([expect.stringMatching(/^got /), 'ready'])
    const shown = each.lastMessage?.parts.map((part) => ('state' in part ? `${part.type} ${part.state}` : part.type))
    const state = approved ? 'output-available' : 'output-denied'
    expect(shown).toEqual(['step-start', `tool-pay ${state}`, 'step-start', 'text done'])
  }
  if (approved) expect(textOf(chat.lastMessage as UIMessage)).toBe('got paid 5')
  expect([...errors, ...other.errors]).toEqual([])
  expect((await runsOf({ millrace }, 'tools1')).length).toBe(2)
})

it('shows an answer that goes on in a tab that has nothing of it', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { url } = await startTools(promise)
  const { chat } = openChat(url, 'tools3', { sendAutomaticallyWhen })
  await chat.sendMessage({ text: 'pay' })
  const { approval } = (chat.lastMessage as UIMessage).parts.at(-1) as { approval: { id: string } }
  void chat.addToolApprovalResponse({ id: approval.id, approved: true })
  await expect.poll(() => textOf(chat.lastMessage as UIMessage)).toBe('got ')
  const { chat: other, errors } = openChat(url, 'tools3', { messages: await readMessages(url, 'tools3') })
  expect(other.messages.map(({ role }) => role)).toEqual(['user'])
  const resuming = other.resumeStream()
  await expect.poll(() => textOf(other.lastMessage as UIMessage)).toBe('got ')
  resolve()
  await resuming
  await expect.poll(() => chat.status).toBe('ready')
  const shown = ({ parts }: UIMessage) => parts.map((part) => ('state' in part ? [part.type, part.state] : [part.type]))
  expect(shown(other.lastMessage as UIMessage)).toEqual(shown(chat.lastMessage as UIMessage))
  expect([other.lastMessage?.id, textOf(other.lastMessage as UIMessage)]).toEqual([chat.lastMessage?.id, 'got paid 5'])
  expect(errors).toEqual([])
})

it('has a tool executed by the application', async () => {
  const { url, millrace } = await startTools()
  const calls: string[] = []
  const { chat, errors } = openChat(url, 'tools2', {
    sendAutomaticallyWhen,
    onToolCall: ({ toolCall }) => {
      calls.push(toolCall.toolName)
      void chat.addToolOutput({ tool: 'place', toolCallId: toolCall.toolCallId, output: 'Bern' })
    },
  })
  await chat.sendMessage({ text: 'place' })
  await expect.poll(() => [textOf(chat.lastMessage as UIMessage), chat.status]).toEqual(['got Bern', 'ready'])
  expect({ calls, errors, messages: chat.messages.length }).toEqual({ calls: ['place'], errors: [], messages: 2 })
  // A message that is sent once more decides nothing, and is the answer that there is.
  const again = await post(url, { id: 'tools2', trigger: 'submit-message', messages: chat.messages })
  expect(await again.text()).toContain('"delta":"Bern"')
  expect((await runsOf({ millrace }, 'tools2')).length).toBe(2)
})
