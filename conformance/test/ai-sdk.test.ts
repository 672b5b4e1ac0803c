/** `@millrace/client/ai-sdk` under the real AI SDK: its chat class, which its hook is made of, over a real server. */
import { Chat } from '@ai-sdk/react'
import { connect } from '@millrace/client'
import { millraceTransport, toUIMessages } from '@millrace/client/ai-sdk'
import { lastAssistantMessageIsCompleteWithApprovalResponses, lastAssistantMessageIsCompleteWithToolCalls } from 'ai'
import type { Model } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { startWorld } from '../src/client/world.ts'
import { serveTools } from './support/tools.ts'

async function setup() {
  const world = await startWorld()
  const client = world.connect('sse')
  const open = (id: string, from = client, messages = [] as ReturnType<typeof toUIMessages>) => {
    const errors: Error[] = []
    const chat = new Chat({ id, messages, transport: millraceTransport(from), onError: (error) => void errors.push(error) })
    return { chat, errors }
  }
  const texts = (chat: Chat<ReturnType<typeof toUIMessages>[number]>) =>
    chat.messages.map(({ role, parts }) => [role, parts.map((part) => ('text' in part ? part.text : '')).join('')])
  return { ...world, client, open, texts }
}

it('asks, and asks on in the same session; a reload has the same messages', async () => {
  const { counter, client, open, texts, connect } = await setup()
  counter.letTo(9)
  const { chat, errors } = open('chat1')
  await chat.sendMessage({ text: '3' })
  await chat.sendMessage({ text: '2' })
  const said = [
    ['user', '3'],
    ['assistant', '1 2 3 '],
    ['user', '2'],
    ['assistant', '1 2 '],
  ]
  expect({ texts: texts(chat), errors, status: chat.status }).toEqual({ texts: said, errors: [], status: 'ready' })
  const { runs } = await client.session('chat1').read()
  expect(runs.map(({ run }) => run)).toEqual(chat.messages.filter(({ role }) => role === 'user').map(({ id }) => id))
  const reloaded = open('chat1', connect('sse'), toUIMessages(runs)).chat
  expect(texts(reloaded)).toEqual(said)
  await reloaded.sendMessage({ text: '1' })
  expect(texts(reloaded).at(-1)).toEqual(['assistant', '1 '])
})

it('stops on the server, for everybody', async () => {
  const { counter, client, open, texts } = await setup()
  const { chat, errors } = open('chat2')
  counter.letTo(2)
  const sending = chat.sendMessage({ text: '9' })
  await expect.poll(() => texts(chat).at(-1)).toEqual(['assistant', '1 2 '])
  await chat.stop()
  await sending
  await expect.poll(async () => (await client.session('chat2').read()).runs[0]?.status).toBe('stopped')
  expect({ status: chat.status, errors }).toEqual({ status: 'ready', errors: [] })
})

it('only leaves where that was asked for, and resumes from the beginning on another device', async () => {
  const { counter, client, open, texts, connect } = await setup()
  const leaving = new Chat({ id: 'chat3', transport: millraceTransport(client, { onAbort: 'leave' }) })
  counter.letTo(2)
  const sending = leaving.sendMessage({ text: '4' })
  await expect.poll(() => texts(leaving).at(-1)).toEqual(['assistant', '1 2 '])
  await leaving.stop()
  await sending
  const other = connect('ws')
  const { runs } = await other.session('chat3').read()
  expect(runs[0]?.status).toBe('streaming')
  const { chat } = open('chat3', other, toUIMessages(runs))
  const resuming = chat.resumeStream()
  await expect.poll(() => chat.status).toBe('streaming')
  counter.letTo(4)
  await resuming
  expect(texts(chat)).toEqual([
    ['user', '4'],
    ['assistant', '1 2 3 4 '],
  ])
  // Where nothing is being answered, and where nothing was ever asked, there is nothing to resume.
  await chat.resumeStream()
  const empty = open('chat4').chat
  await empty.resumeStream()
  expect([chat.status, empty.status, texts(chat).length]).toEqual(['ready', 'ready', 2])
})

it('regenerates and edits beside what there was', async () => {
  const { counter, client, open, texts } = await setup()
  counter.letTo(9)
  const { chat, errors } = open('chat5')
  await chat.sendMessage({ text: '2' })
  await chat.regenerate()
  expect(texts(chat)).toEqual([
    ['user', '2'],
    ['assistant', '1 2 '],
  ])
  await chat.sendMessage({ text: '3', messageId: chat.messages[0]?.id as string })
  await chat.regenerate()
  expect({ texts: texts(chat), errors }).toEqual({
    texts: [
      ['user', '3'],
      ['assistant', '1 2 3 '],
    ],
    errors: [],
  })
  const { runs } = await client.session('chat5').read()
  expect(runs.map(({ query, parent }) => [query, parent ?? null])).toEqual([
    ['2', null],
    ['2', null],
    ['3', null],
    ['3', null],
  ])
})

it('fails with the error of the server, and can ask again', async () => {
  const { counter, client, texts } = await setup()
  counter.letTo(9)
  const errors: Error[] = []
  const chat = new Chat({ id: 'chat6', transport: millraceTransport(client), onError: (error) => void errors.push(error) })
  await chat.sendMessage({ text: '1' }, { body: { models: ['no:such-model'] } })
  expect({ status: chat.status, errors }).toMatchObject({ status: 'error', errors: [{ code: 'model_not_found' }] })
  chat.clearError()
  await chat.sendMessage({ text: '2' })
  expect(texts(chat).at(-1)).toEqual(['assistant', '1 2 '])
})

it('uploads the files of a question, and edits and reloads it with them', async () => {
  const seen: unknown[] = []
  const model: Model = {
    name: 'reader',
    accepts: ['text/plain', 'image/*'],
    async *stream({ messages }) {
      const parts = messages.at(-1)?.parts ?? []
      const files = parts.flatMap((part) => (part.type === 'file' ? [part] : []))
      for (const { name, mediaType, read } of files) seen.push([name, mediaType, new TextDecoder().decode(await read())])
      yield `${files.length} of ${messages.at(-1)?.text}`
    },
  }
  const { connect: open } = await startWorld({ models: [model] })
  const client = open('sse')
  const errors: Error[] = []
  const transport = millraceTransport(client, { models: ['reader'] })
  const chat = new Chat({ id: 'files', transport, onError: (error) => void errors.push(error) })
  const url = 'data:text/plain;base64,aGVsbG8='
  await chat.sendMessage({ text: 'this', files: [{ type: 'file', mediaType: 'text/plain', filename: 'a.txt', url }] })
  expect({ errors, seen }).toEqual({ errors: [], seen: [['a.txt', 'text/plain', 'hello']] })
  const session = client.session('files')
  // As a page that is reloaded: the file is in the session, and is not uploaded again.
  const messages = toUIMessages((await session.read()).runs, session)
  expect(messages[0]?.parts).toMatchObject([
    { type: 'file', mediaType: 'text/plain', filename: 'a.txt', url: expect.stringContaining('/api/files/files/') },
    { type: 'text', text: 'this' },
  ])
  const [file] = messages[0]?.parts.filter((part) => part.type === 'file') ?? []
  expect(await (await fetch(file?.url ?? '')).text()).toBe('hello')
  const reloaded = new Chat({ id: 'files', messages, transport, onError: (error) => void errors.push(error) })
  await reloaded.sendMessage({ text: 'that', files: file ? [file] : [], messageId: messages[0]?.id ?? '' })
  expect({ errors, seen: seen.length, said: reloaded.messages.at(-1)?.parts.at(-1) }).toMatchObject({
    errors: [],
    seen: 2,
    said: { text: '1 of that' },
  })
  const { runs } = await session.read()
  expect(new Set(runs.flatMap(({ messages: asked }) => JSON.stringify(asked?.[0]?.content).match(/"file":"[^"]+"/g))).size).toBe(
    1,
  )
  // What cannot be uploaded is an error of the message.
  await reloaded.sendMessage({
    text: 'x',
    files: [{ type: 'file', mediaType: 'image/png', url: 'data:image/png;base64,aGVsbG8=' }],
  })
  expect(errors).toMatchObject([{ code: 'file_type_mismatch' }])
})

it('has its tools approved and executed by the application, and goes on in the same message', async () => {
  // As those of providers: the AI SDK finds calls by their ids among all messages.
  const url = await serveTools((tool) => `call-${tool}`)
  const client = connect(url)
  onTestFinished(() => client.close())
  const errors: Error[] = []
  const chat = new Chat({
    id: 'tools',
    transport: millraceTransport(client),
    onError: (error) => void errors.push(error),
    onToolCall: ({ toolCall }) => {
      if (toolCall.toolName === 'place')
        void chat.addToolOutput({ tool: 'place', toolCallId: toolCall.toolCallId, output: 'Bern' })
    },
    sendAutomaticallyWhen: (options) =>
      lastAssistantMessageIsCompleteWithToolCalls(options) || lastAssistantMessageIsCompleteWithApprovalResponses(options),
  })
  const said = () =>
    chat.messages
      .at(-1)
      ?.parts.map((part) => ('text' in part ? part.text : ''))
      .join('')
  await chat.sendMessage({ text: 'pay' })
  expect(chat.messages.at(-1)?.parts.at(-1)).toMatchObject({ state: 'approval-requested', approval: { id: expect.any(String) } })
  const tool = chat.messages.at(-1)?.parts.find((part) => part.type === 'dynamic-tool') as { approval: { id: string } }
  await chat.addToolApprovalResponse({ id: tool.approval.id, approved: true })
  await expect.poll(() => [said(), chat.status]).toEqual(['got paid 5', 'ready'])
  await chat.sendMessage({ text: 'place' })
  await expect.poll(() => [said(), chat.status]).toEqual(['got Bern', 'ready'])
  expect(chat.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant'])
  expect(errors).toEqual([])
})
