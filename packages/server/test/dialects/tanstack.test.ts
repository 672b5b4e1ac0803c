/** The unmodified client of TanStack AI against a server. */
import { ChatClient, fetchHttpStream, fetchServerSentEvents, type UIMessage, webSocket } from '@tanstack/ai-client'
import type { MillraceOptions } from 'millrace'
import { describe, expect, it } from 'vitest'
import { gatedModel } from '../support/gated-model.ts'
import { postJson, startServer } from '../support/server.ts'
import { bearer, secret, sign } from '../support/tokens.ts'
import { pay } from '../support/waiting.ts'
import { payer } from './support/payer.ts'

const wheel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

const forms = {
  'server-sent events': ['/tanstack', fetchServerSentEvents],
  lines: ['/tanstack/lines', fetchHttpStream],
  'a WebSocket': ['/tanstack/ws', webSocket],
} as const
type Form = keyof typeof forms

async function start(options: MillraceOptions = {}) {
  const server = await startServer({ dialects: ['tanstack'], model: 'sim:count?n=3&tps=0', ...options })
  const runs = async (thread = 't') => (await server.millrace.readSession(thread))?.runs ?? []
  const open = (form: Form = 'server-sent events', more: object = {}) => {
    const [path, connect] = forms[form]
    const connection = connect(`${server.url}${path}`)
    return { client: new ChatClient({ connection, threadId: 't', ...more } as never), connection }
  }
  return { ...server, runs, open }
}

/** A run whose client has stopped reading after its first word, and which goes on. */
async function leaveInTheMiddle(form?: Form) {
  const model = gatedModel('m')
  const { open, runs, url } = await start({ models: [model], model: 'm' })
  const { client, connection } = open(form)
  const sent = client.sendMessage('x')
  model.say('1 ')
  await expect.poll(() => parts(client.getMessages()).at(-1)).toEqual(['assistant', '1 '])
  client.stop()
  await sent
  const [run] = await runs()
  expect(run?.status).toBe('streaming')
  return { model, run, connection, url }
}

/** The parts of messages, without what clients make up. */
function parts(messages: readonly UIMessage[]) {
  return messages.map(({ role, parts: all }) => [role, ...all.map((part) => ('content' in part ? part.content : part.type))])
}

describe.each(Object.keys(forms) as Form[])('a chat over %s', (form) => {
  it('is answered, in a session of the name of its thread', async () => {
    const { open, runs } = await start({ model: 'sim:think?think=2&n=3&tps=0' })
    const { client } = open(form)
    await client.sendMessage('one')
    expect(parts(client.getMessages())).toEqual([
      ['user', 'one'],
      ['assistant', '1 2 ', '1 2 3 '],
    ])
    expect(client.getStatus()).toBe('ready')
    await client.sendMessage('two')
    expect(await runs()).toMatchObject([{ query: 'one' }, { query: 'two', parent: (await runs())[0]?.run }])
  })

  it('has the calls of the tools of the server, with their results', async () => {
    const { open } = await start({ model: 'sim:tool?tps=0' })
    const { client } = open(form)
    await client.sendMessage('warm?')
    const all = client.getMessages().flatMap((message) => message.parts)
    expect(all).toMatchObject([
      { type: 'text', content: 'warm?' },
      { type: 'text', content: 'Let me look. ' },
      { type: 'tool-call', name: 'weather', arguments: '{"city":"Shanghai"}', state: 'complete', output: { city: 'Shanghai' } },
      { type: 'tool-result', toolCallId: 'call_1', state: 'complete' },
      { type: 'text', content: expect.stringContaining('The weather says') },
    ])
  })
})

// Over a WebSocket the client has no way to read the messages of a thread.
describe.each(['server-sent events', 'lines'] as const)('a thread over %s', (form) => {
  it('is joined by another client while it is answered, and after', async () => {
    const model = gatedModel('m')
    const { open } = await start({ models: [model], model: 'm' })
    const { client } = open(form)
    const sent = client.sendMessage('x')
    model.say('1 ', '2 ')
    await expect.poll(() => parts(client.getMessages()).at(-1)).toEqual(['assistant', '1 2 '])
    const second = open(form, { persistence: true }).client
    second.attach()
    await expect.poll(() => parts(second.getMessages()).at(-1)).toEqual(['assistant', '1 2 '])
    model.say('3 ')
    model.finish()
    await sent
    await expect.poll(() => second.getStatus()).toBe('ready')
    const said = [
      ['user', 'x'],
      ['assistant', '1 2 3 '],
    ]
    expect(parts(second.getMessages())).toEqual(said)
    const third = open(form, { persistence: true }).client
    third.attach()
    await expect.poll(() => parts(third.getMessages())).toEqual(said)
  })
})

describe('several models', () => {
  it('have a message each, and their thinking after a reload', async () => {
    const { open } = await start()
    const models = ['sim:think?think=3&n=3&tps=200', 'sim:think?think=4&n=4&tps=200']
    const { client } = open('server-sent events', { forwardedProps: { models } })
    await client.sendMessage('x')
    const [, ...answers] = parts(client.getMessages())
    expect(answers).toHaveLength(2)
    expect(answers).toEqual(
      expect.arrayContaining([
        ['assistant', '1 2 3 '],
        ['assistant', '1 2 3 4 '],
      ]),
    )
    const { client: reloaded } = open('server-sent events', { persistence: true })
    reloaded.attach()
    await expect
      .poll(() => parts(reloaded.getMessages()).slice(1))
      .toEqual([
        ['assistant', '1 2 3 ', '1 2 3 '],
        ['assistant', '1 2 3 4 ', '1 2 3 4 '],
      ])
  })
})

describe('a thread', () => {
  it.each(['sim:think?think=2&n=3&tps=0', 'sim:tool?calls=2&tps=0', 'sim:tool?fails=1&tps=0'])(
    'of %s is the same after a reload',
    async (model) => {
      const { open } = await start({ model })
      const { client } = open('server-sent events', { threadId: 'ada@example.com' })
      await client.sendMessage('x')
      const { client: reloaded } = open('server-sent events', { threadId: 'ada@example.com', persistence: true })
      reloaded.attach()
      await expect.poll(() => reloaded.getMessages().length).toBeGreaterThan(1)
      // The parts of an answer are in one message after a reload, and in one for each step before.
      const shown = (of: typeof client) =>
        of.getMessages().flatMap(({ role, parts: all }) =>
          all.map((part) => {
            const { stepId: _step, error: _error, ...rest } = part as typeof part & { stepId?: string; error?: string }
            return { role, ...rest }
          }),
        )
      expect(shown(reloaded)).toEqual(shown(client))
    },
  )

  it.each(['sim:think?think=2&n=3&tps=0', 'sim:tool?calls=2&tps=0', 'sim:tool?fails=1&tps=0'])(
    'of %s goes on where its history ends, also after a reload and where the history was edited',
    async (model) => {
      const { open, runs } = await start({ model })
      const { client } = open()
      await client.sendMessage('one')
      await client.sendMessage('two')
      const { client: reloaded } = open('server-sent events', { persistence: true })
      reloaded.attach()
      await expect.poll(() => reloaded.getMessages().length).toBeGreaterThan(3)
      await reloaded.sendMessage('three')
      const two = reloaded.getMessages().findIndex(({ parts: [part] }) => part?.type === 'text' && part.content === 'two')
      reloaded.setMessagesManually(reloaded.getMessages().slice(0, two))
      await reloaded.sendMessage('another')
      const all = await runs()
      const names = new Map(all.map(({ run, query }) => [run as string | null | undefined, query]))
      expect(all.map(({ query, messages = [], parent }) => [query, messages.length, names.get(parent)])).toEqual([
        ['one', expect.any(Number), undefined],
        ['two', all[0]?.messages?.length ?? 0, 'one'],
        ['three', all[0]?.messages?.length ?? 0, 'two'],
        ['another', all[0]?.messages?.length ?? 0, 'one'],
      ])
    },
  )

  it('has a question once that is asked again, beside its first answer, also after a reload', async () => {
    const { open, runs } = await start({ model: 'sim:echo?show=messages&tps=0' })
    const given = (of: typeof client) => {
      const [, said] = parts(of.getMessages()).at(-1) ?? []
      return (JSON.parse(said as string) as { role: string; text: string }[]).map(({ role, text }) =>
        role === 'user' ? text : role,
      )
    }
    const { client } = open()
    await client.sendMessage('one')
    await client.sendMessage('two')
    await client.reload()
    expect(given(client)).toEqual(['one', 'assistant', 'two'])
    const { client: reloaded } = open('server-sent events', { persistence: true })
    reloaded.attach()
    await expect.poll(() => reloaded.getMessages().length).toBe(4)
    expect(reloaded.getMessages()[2]?.id).toBe(client.getMessages()[2]?.id)
    await reloaded.reload()
    expect(given(reloaded)).toEqual(['one', 'assistant', 'two'])
    const [first, ...again] = (await runs()).map(({ run, parent }) => ({ run, parent }))
    expect(again.map(({ parent }) => parent)).toEqual([first?.run, first?.run, first?.run])
  })

  it('has the picture of a question after a reload, and asks with it again', async () => {
    const { open, runs, url } = await start({ model: 'sim:echo?tps=0' })
    const source = { type: 'data' as const, value: wheel, mimeType: 'image/png' }
    const { client } = open()
    await client.sendMessage({
      content: [
        { type: 'text', content: 'what?' },
        { type: 'image', source },
      ],
    })
    const { client: reloaded } = open('server-sent events', { persistence: true })
    reloaded.attach()
    await expect.poll(() => reloaded.getMessages().length).toBe(2)
    const picture = reloaded.getMessages()[0]?.parts[1] as { type: string; source: { value: string } }
    expect(picture.type).toBe('image')
    const bytes = Buffer.from(await (await fetch(url + picture.source.value)).arrayBuffer())
    expect(bytes.equals(Buffer.from(wheel, 'base64'))).toBe(true)
    await reloaded.reload()
    expect(reloaded.getError()).toBeUndefined()
    await reloaded.sendMessage({ content: [{ type: 'text', content: 'and now?' }, picture as never] })
    expect(reloaded.getError()).toBeUndefined()
    const asked = (await runs()).map(({ messages }) => messages?.at(-1)?.content)
    expect(asked).toEqual(Array.from({ length: 3 }, () => [expect.anything(), expect.objectContaining({ type: 'file' })]))
  })

  it('belongs to its owner: for others it has no messages, and its run is not there', async () => {
    const { url, millrace } = await start({ access: { tokens: { secret } } })
    const as = async (sub: string) => bearer(await sign({ sub }))
    const body = { threadId: 't', runId: 'r', messages: [{ role: 'user', content: 'x' }] }
    const text = await (await postJson(`${url}/tanstack`, body, await as('ada'))).text()
    const frame = /^id: (.*)$/m.exec(text)?.[1] ?? ''
    const statuses = async (headers: Record<string, string>) => [
      (await fetch(`${url}/tanstack?threadId=t`, { headers })).status,
      (await fetch(`${url}/tanstack?offset=-1&runId=r`, { headers })).status,
      (await fetch(`${url}/tanstack?offset=${frame}&runId=r`, { headers })).status,
      (await postJson(`${url}/tanstack`, body, { ...headers, 'last-event-id': frame })).status,
      (await postJson(`${url}/tanstack/lines`, body, headers)).status,
    ]
    expect(await statuses(await as('ada'))).toEqual([200, 200, 200, 200, 200])
    expect(await statuses(await as('bob'))).toEqual([404, 404, 404, 404, 404])
    expect(await statuses({})).toEqual([401, 401, 401, 401, 401])
    expect((await millrace.readSession('t'))?.runs).toHaveLength(1)
  })
})

describe('a WebSocket', () => {
  it('leaves a run where its client aborts, as it does when a page is left, and reads it for who joins', async () => {
    const { model, run, url } = await leaveInTheMiddle('a WebSocket')
    const types: string[] = []
    const joined = webSocket(`${url}/tanstack/ws`).joinRun(run?.run ?? '')
    for await (const { type } of joined) if (types.push(type) === 3) model.finish()
    expect(types).toEqual(['RUN_STARTED', 'TEXT_MESSAGE_START', 'TEXT_MESSAGE_CONTENT', 'TEXT_MESSAGE_END', 'RUN_FINISHED'])
    const joining = webSocket(`${url}/tanstack/ws`).joinRun('none')
    await expect(joining[Symbol.asyncIterator]().next()).rejects.toThrow('Stream response body read failed')
  })

  it('answers what it cannot take with an error, and goes on', async () => {
    const { url } = await start()
    const socket = new WebSocket(`${url}/tanstack/ws`)
    const received: { type?: string; code?: string; chunk?: { type: string } }[] = []
    socket.onmessage = ({ data }) => void received.push(JSON.parse(data as string))
    await new Promise((resolve) => (socket.onopen = resolve))
    const input = { threadId: 't', runId: 'r', messages: [{ role: 'user', content: 'x' }] }
    const wrong = ['{', '1', '{}', JSON.stringify({ ...input, messages: [] }), JSON.stringify({ type: 'abort', runId: 'none' })]
    for (const text of [...wrong, JSON.stringify(input)]) socket.send(text)
    await expect.poll(() => received.at(-1)?.chunk?.type).toBe('RUN_FINISHED')
    expect(received.slice(0, 4).map(({ type, code }) => [type, code])).toEqual([
      ['RUN_ERROR', 'invalid_json'],
      ['RUN_ERROR', 'invalid_json'],
      ['RUN_ERROR', 'invalid_id'],
      ['RUN_ERROR', 'query_missing'],
    ])
    socket.close()
  })
})

describe('a call of a tool', () => {
  it('waits for approval, which also another client gives after a reload', async () => {
    const { tool, paid } = pay()
    const { open } = await start({ models: [payer()], model: 'm', tools: { pay: tool } })
    const { client } = open()
    await client.sendMessage('pay')
    expect(client.getInterrupts()).toMatchObject([{ metadata: { toolName: 'pay' }, canResolve: true }])
    const second = open('server-sent events', { persistence: true }).client
    second.attach()
    await expect.poll(() => second.getInterrupts()).toMatchObject([{ metadata: { toolName: 'pay' }, canResolve: true }])
    const [interrupt] = second.getInterrupts() as unknown as { resolveInterrupt(value: unknown): void }[]
    interrupt?.resolveInterrupt({ approved: true })
    await expect.poll(() => second.getMessages().at(-1)?.parts).toMatchObject([{ type: 'text', content: 'paid 5 to bob' }])
    expect(paid).toEqual([{ to: 'bob', amount: 5 }])
    expect(second.getInterrupts()).toEqual([])
  })

  it('is executed by the client where it is a tool of the client', async () => {
    const { open, runs } = await start({ models: [payer('weather', {})], model: 'm' })
    const weather = { name: 'weather', description: 'The weather.', execute: () => ({ celsius: 31 }), __toolSide: 'client' }
    const { client } = open('server-sent events', { tools: [weather] })
    await client.sendMessage('warm?')
    await expect.poll(() => client.getMessages().at(-1)?.parts.at(-1)).toMatchObject({ content: '{"celsius":31}' })
    expect(await runs()).toMatchObject([{ status: 'waiting' }, { status: 'completed', continues: expect.any(String) }])
  })
})

describe('the ends of a run', () => {
  it('are an error where it fails, and not an error where it is stopped', async () => {
    const { open, url, runs } = await start({ model: 'sim:fail?after=2&tps=0' })
    const { client } = open()
    await client.sendMessage('x')
    expect([client.getStatus(), client.getError()?.message]).toEqual(['error', expect.stringContaining('2 tokens')])
    const hanging = open('server-sent events', { threadId: 'u', forwardedProps: { model: 'sim:hang?after=1&tps=0' } }).client
    const sent = hanging.sendMessage('x')
    await expect.poll(() => parts(hanging.getMessages()).at(-1)).toEqual(['assistant', '1 '])
    const [run] = await runs('u')
    expect((await postJson(`${url}/api/runs/${run?.run}/stop`, {})).status).toBe(200)
    await sent
    expect(hanging.getStatus()).toBe('ready')
  })

  it('are not what the client does when it stops: the run goes on, and is joined', async () => {
    const { model, run, connection } = await leaveInTheMiddle()
    model.say('2 ')
    model.finish()
    const types: string[] = []
    for await (const { type } of connection.joinRun(run?.run ?? '')) types.push(type)
    expect(types).toEqual([
      'RUN_STARTED',
      'TEXT_MESSAGE_START',
      'TEXT_MESSAGE_CONTENT',
      'TEXT_MESSAGE_CONTENT',
      'TEXT_MESSAGE_END',
      'RUN_FINISHED',
    ])
  })
})

describe('what is rejected at /tanstack', () => {
  it.each([
    ['a reader of nothing', '', 400, 'invalid_request'],
    ['a run that does not exist', '?offset=-1&runId=r', 404, 'run_not_found'],
    ['a thread that does not exist', '?threadId=none', 404, 'session_not_found'],
    ['an offset that is none', '?offset=x&runId=known', 400, 'position_invalid'],
    ['a thread without a name', '?threadId=', 400, 'invalid_id'],
  ])('%s', async (_what, query, status, code) => {
    const { url, millrace } = await start()
    await (await millrace.ask({ query: 'x', id: 'known' })).ended
    const response = await fetch(`${url}/tanstack${query}`)
    expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([status, code])
  })

  it.each([
    ['no frame', 'x', 400, 'position_invalid'],
    ['of another log', 'aaaaaaaa-1', 409, 'position_foreign'],
    ['of another session', 'other:aaaaaaaa-1', 409, 'position_foreign'],
  ])('a frame that is %s, and nothing is started', async (_what, frame, status, code) => {
    const { url, millrace } = await start()
    await (await millrace.ask({ query: 'x' })).ended
    await postJson(`${url}/api/sessions`, { id: 't' })
    const body = { threadId: 't', runId: 'r', messages: [{ role: 'user', content: 'x' }] }
    const response = await postJson(`${url}/tanstack`, body, { 'last-event-id': frame })
    expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([status, code])
    expect(millrace.findRun('r')).toBeUndefined()
  })
})
