/** Questions with files: PROTOCOL.md#messages. */
import { ChatOpenAI } from '@langchain/openai'
import { limits } from '@millrace/protocol'
import { createMillrace, fromLangChain, type LangChainOptions, type Millrace, type Model, type ModelRequest } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startFakeOpenAi } from './support/fake-openai.ts'
import { png, uploadTo } from './support/files.ts'
import { rejection } from './support/given.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'

const echo = 'sim:echo?tps=0&show=messages'
const asking = (file: string | undefined, text = 'What is it?') => [
  {
    role: 'user',
    content: [
      { type: 'text', text },
      { type: 'file', file },
    ],
  },
]

async function textOf(millrace: Millrace, run: string): Promise<string> {
  await millrace.findRun(run)?.ended
  const session = millrace.findRun(run)?.session as string
  const record = (await millrace.readSession(session))?.runs.find((one) => one.run === run)
  return record?.lanes[0]?.text ?? ''
}

describe('a question with a file', () => {
  it('is recorded with what the session says of the file, and given to its model with it', async () => {
    const { url, millrace } = await startServer({ model: echo })
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png', name: 'dot.png' })
    const { session, position } = upload
    const lies = { type: 'file', file: `${session}:${position}`, mediaType: 'text/html', name: 'x', size: 9 }
    const messages = [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, lies] }]
    const { run } = await startRun(url, { session, messages })
    const file = { type: 'file', mediaType: 'image/png', name: 'dot.png', size: png.length }
    const parts = [{ type: 'text', text: 'What is it?' }, file]
    expect(JSON.parse(await textOf(millrace, run))).toEqual([{ role: 'user', text: 'What is it?', parts }])
    const [record] = (await millrace.readSession(session))?.runs ?? []
    expect(record).toMatchObject({ query: 'What is it?', messages: [{ content: [parts[0], { ...file, file: position }] }] })
    // The same id again is the same question, also as it is recorded.
    const again = { session, id: 'again', messages: asking(position) }
    await startRun(url, again)
    await startRun(url, again)
    await startRun(url, { ...again, messages: (await millrace.readSession(session))?.runs[1]?.messages })
    expect(await rejection(postJson(`${url}/api/chat`, { ...again, messages: asking(position, 'Another') }))).toEqual([
      409,
      'run_conflict',
    ])
    const exported = await (await fetch(`${url}/api/sessions/${session}/export`)).text()
    expect(exported).toContain(`> *dot.png* (image/png, ${png.length} bytes)`)
  })

  it('is asked over a WebSocket, and asked again beside itself', async () => {
    const { url, millrace } = await startServer({ model: echo })
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png' })
    const socket = await openSocket(url)
    socket.send({ type: 'run', session: upload.session, id: 'one', messages: asking(upload.position) })
    await socket.until(({ type }) => type === 'started')
    expect(await textOf(millrace, 'one')).toContain(`"size":${png.length}`)
    const run = await millrace.regenerate({ run: 'one', session: upload.session })
    expect(await textOf(millrace, run.id)).toContain(`"size":${png.length}`)
  })

  it.each([
    ['a position of another session', 'other', 404, 'file_not_found'],
    ['no position', 'x', 400, 'position_invalid'],
    ['the position of something else', '-1', 404, 'file_not_found'],
  ])('is rejected for %s', async (_what, which, status, code) => {
    const { url, millrace } = await startServer({ model: echo })
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png' })
    const { upload: other } = await uploadTo(url, png, { mediaType: 'image/png' })
    await (await millrace.ask({ query: 'x', session: other.session })).ended
    const position = which === 'x' ? which : which === 'other' ? upload.position : other.position?.replace(/-1$/, '-2')
    const ask = { session: other.session, messages: asking(position) }
    expect(await rejection(postJson(`${url}/api/chat`, ask))).toEqual([status, code])
    expect(await rejection(postJson(`${url}/api/chat`, { messages: asking(upload.position) }))).toEqual([404, 'file_not_found'])
    const wrongRole = [{ role: 'system', content: [{ type: 'file', file: upload.position }] }, ...asking(upload.position)]
    expect(await rejection(postJson(`${url}/api/chat`, { session: upload.session, messages: wrongRole }))).toEqual([
      400,
      'invalid_request',
    ])
    const many = [
      { role: 'user', content: Array.from({ length: limits.filesMax + 1 }, () => ({ type: 'file', file: upload.position })) },
    ]
    expect(await rejection(postJson(`${url}/api/chat`, { session: upload.session, messages: many }))).toEqual([
      413,
      'messages_too_large',
    ])
  })

  it('is rejected before anything is spent by a model that does not take it, and in any lane', async () => {
    const { url, millrace } = await startServer({ model: echo })
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png' })
    const ask = { session: upload.session, messages: asking(upload.position), models: [echo, 'sim:count'] }
    expect(await rejection(postJson(`${url}/api/chat`, ask))).toEqual([400, 'file_not_supported'])
    expect((await millrace.readSession(upload.session))?.runs).toEqual([])
  })
})

describe('files of earlier questions', () => {
  const seen: ModelRequest[] = []
  const pictures: Model = {
    name: 'pictures',
    accepts: ['image/*'],
    async *stream(request) {
      seen.push(request)
      yield 'seen'
    },
  }

  it('are given again, and to a model that does not take them their names', async () => {
    const { url, millrace } = await startServer({ models: [pictures], model: 'pictures' })
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png', name: 'dot.png' })
    const { session } = upload
    const ask = async (request: object) => {
      const { run } = await startRun(url, { session, ...request })
      await millrace.findRun(run)?.ended
    }
    await ask({ messages: asking(upload.position) })
    await ask({ query: 'Sure?' })
    const part = seen[1]?.messages[0]?.parts?.[1]
    expect(part).toMatchObject({ type: 'file', mediaType: 'image/png' })
    expect(part?.type === 'file' && Buffer.from(await part.read()).equals(png)).toBe(true)
    const { run } = await startRun(url, { session, query: 'And you?', model: echo })
    const blind = await startRun(url, { session, query: 'And you?', model: 'sim:echo?tps=0' })
    expect(await textOf(millrace, run)).toContain('"name":"dot.png"')
    expect(await textOf(millrace, blind.run)).toBe('And you?')
    const text: Model = {
      name: 'text',
      async *stream({ messages }) {
        yield JSON.stringify(messages)
      },
    }
    const other = await startServer({ engine: { ...millrace.engine, close: async () => {} }, models: [text], model: 'text' })
    const told = await startRun(other.url, { session, query: 'And you?' })
    expect(JSON.parse(await textOf(other.millrace, told.run))[0].text).toBe(
      `What is it?[dot.png, image/png, ${png.length} bytes]`,
    )
  })

  it('are so many bytes for one answer, the newest first', async () => {
    const { url, millrace } = await startServer({
      models: [pictures],
      model: 'pictures',
      limits: { uploadBytesMax: limits.filesBytesMax },
    })
    const large = Buffer.alloc(limits.filesBytesMax / 2 + 1, png)
    png.copy(large)
    const first = await uploadTo(url, large, { mediaType: 'image/png', name: 'first' })
    const { session } = first.upload
    const second = await uploadTo(url, large, { mediaType: 'image/png', name: 'second', session })
    for (const { upload } of [first, second]) {
      const { run } = await startRun(url, { session, messages: asking(upload.position) })
      await millrace.findRun(run)?.ended
    }
    const given = seen.at(-1)?.messages.flatMap(({ parts = [] }) => parts.filter(({ type }) => type === 'file'))
    expect(given).toMatchObject([{ name: 'second' }])
    const both = [{ role: 'user', content: [first, second].map(({ upload }) => ({ type: 'file', file: upload.position })) }]
    expect(await rejection(postJson(`${url}/api/chat`, { session, messages: both }))).toEqual([413, 'messages_too_large'])
  })
})

describe('the library', () => {
  it('keeps bytes in the session first, once', async () => {
    const millrace = createMillrace({ model: echo })
    onTestFinished(() => millrace.close())
    const bytes = Buffer.alloc(limits.pieceBytes + 9, 'a')
    const ask = () =>
      millrace.ask({
        id: 'one',
        owner: 'ada',
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'x' },
              { type: 'file', bytes, mediaType: 'text/plain', name: '/a.txt' },
            ],
          },
        ],
      })
    const runs = [await ask(), await ask()]
    expect(new Set(runs.map(({ session }) => session)).size).toBe(1)
    expect(JSON.parse(await textOf(millrace, 'one'))[0].parts[1]).toEqual({
      type: 'file',
      mediaType: 'text/plain',
      name: 'a.txt',
      size: bytes.length,
    })
    expect(await millrace.engine.list('file/')).toHaveLength(1)
    expect(await millrace.engine.list('unfinished/')).toEqual([])
    const wrong = (file: object) => millrace.ask({ messages: [{ role: 'user', content: [{ type: 'file', ...file } as never] }] })
    await expect(wrong({ bytes: 'x', mediaType: 'text/plain' })).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(wrong({ bytes, mediaType: 'x' })).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(wrong({ bytes, mediaType: 'image/png' })).rejects.toMatchObject({ code: 'file_type_mismatch' })
  })
})

it('keeps the bytes of another question, and of one that waits, in their session', async () => {
  const millrace = createMillrace({ model: echo })
  onTestFinished(() => millrace.close())
  const first = await millrace.ask({ query: 'x', id: 'one' })
  await first.ended
  const messages = [
    {
      role: 'user' as const,
      content: [{ type: 'file' as const, bytes: Buffer.from('a'), mediaType: 'text/plain', name: 'a.txt' }],
    },
  ]
  const { session } = first
  await (await millrace.regenerate({ run: 'one', id: 'again', messages })).ended
  await millrace.queue.add({ session, query: 'later', id: 'later' })
  await millrace.queue.add({ session, messages, id: 'queued' })
  await expect.poll(async () => (await millrace.readSession(session))?.runs.length).toBe(4)
  const { runs = [] } = (await millrace.readSession(session)) ?? {}
  expect(runs.map(({ run, parent }) => [run, parent])).toEqual([
    ['one', null],
    ['again', null],
    ['later', 'again'],
    ['queued', 'later'],
  ])
  for (const run of [runs[1], runs[3]])
    expect(run?.messages).toMatchObject([{ content: [{ type: 'file', name: 'a.txt', mediaType: 'text/plain', size: 1 }] }])
  expect(await millrace.engine.list('file/')).toHaveLength(1)
  await expect(millrace.regenerate({ run: 'none', messages })).rejects.toMatchObject({ code: 'run_not_found' })
})

describe('a model of LangChain', () => {
  it.each([false, true])('gets pictures, PDFs and texts as its provider takes them; responses: %s', async (useResponsesApi) => {
    const provider = await startFakeOpenAi({})
    const chatModel = new ChatOpenAI({
      model: 'gpt-4.1-nano',
      apiKey: 'sk-1',
      maxRetries: 0,
      useResponsesApi,
      configuration: { baseURL: provider.url },
    })
    const { url, millrace } = await startServer({ models: { m: chatModel as never }, model: 'm' })
    const pdf = Buffer.from('%PDF-1.7 x')
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png', name: 'dot.png' })
    const { session } = upload
    const others = [
      await uploadTo(url, pdf, { mediaType: 'application/pdf', name: 'a.pdf', session }),
      await uploadTo(url, Buffer.from('世界'), { mediaType: 'text/markdown', name: 'a.md', session }),
    ]
    const files = [upload, ...others.map((other) => other.upload)].map(({ position }) => ({ type: 'file', file: position }))
    const { run } = await startRun(url, {
      session,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }, ...files] }],
    })
    await millrace.findRun(run)?.ended
    const sent = JSON.stringify(provider.requests[0])
    expect(sent).toContain(`data:image/png;base64,${png.toString('base64')}`)
    expect(sent).toContain(`data:application/pdf;base64,${pdf.toString('base64')}`)
    expect(sent).toContain('"filename":"a.pdf"')
    expect(sent).toContain('a.md:\\n\\n世界')
  })

  it('gets the name of a file that is no longer kept', async () => {
    const provider = await startFakeOpenAi({ script: [{ delta: { content: 'yes' } }, { finish: 'stop' }] })
    const configuration = { baseURL: provider.url }
    const chatModel = new ChatOpenAI({ model: 'gpt-4.1-nano', apiKey: 'sk-1', maxRetries: 0, configuration })
    const { url, millrace } = await startServer({ models: { m: chatModel as never }, model: 'm' })
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png', name: 'dot.png' })
    const { session } = upload
    await millrace.engine.delete((await millrace.engine.list('file/'))[0] as string)
    const { run } = await startRun(url, { session, messages: asking(upload.position) })
    expect(await millrace.findRun(run)?.ended).toMatchObject({ status: 'completed' })
    expect(JSON.stringify(provider.requests[0])).toContain(`[dot.png, image/png, ${png.length} bytes, no longer kept]`)
  })

  it('says what it takes by what is known of it', () => {
    const of = (model: string, options?: LangChainOptions) =>
      fromLangChain(new ChatOpenAI({ model, apiKey: 'x' }) as never, model, options).accepts
    expect(of('gpt-4.1-nano')).toEqual(expect.arrayContaining(['image/png', 'application/pdf', 'text/*']))
    expect(of('gpt-3.5-turbo')).toEqual(['text/*', 'application/json'])
    expect(of('gpt-3.5-turbo', { accepts: ['image/*'] })).toEqual(['image/*'])
  })
})
