/** What a run is asked beside a query: over every door, in the log, as history, and as what the model is given. */
import { limits } from '@millrace/protocol'
import { createMillrace, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { echo, given, rejection } from './support/given.ts'
import { makeFolder } from './support/process.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { data, openStream } from './support/stream.ts'

const call = {
  role: 'assistant',
  content: [{ type: 'tool_call', id: 'c1', name: 'weather', arguments: { city: '上海' } }],
} as const
const result = { role: 'tool', content: [{ type: 'tool_result', call: 'c1', value: { celsius: 20 } }] } as const
const user = (content: string) => ({ role: 'user', content }) as const

describe('messages', () => {
  it('are recorded, given to the model after the history, and are history for the next run', async () => {
    const { url, millrace } = await startServer(echo)
    const { session } = await startRun(url, { messages: [user('weather?'), call, result], id: 'one' })
    expect(await given(millrace, 'one')).toEqual({
      messages: [
        { role: 'user', text: 'weather?' },
        { role: 'assistant', text: '', parts: call.content },
        { role: 'tool', text: '{"celsius":20}', parts: result.content },
      ],
      params: {},
    })
    await startRun(url, { query: 'and now?', session, id: 'two' })
    const { messages } = await given(millrace, 'two')
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant', 'user'])
    expect(messages.at(-1)).toEqual({ role: 'user', text: 'and now?' })

    const [event] = await (await openStream(`${url}/api/stream?session=${session}`)).next().then((first) => [first])
    expect(data(event as never)).toMatchObject({ query: 'weather?', messages: [user('weather?'), call, result] })
    const [first, second] = (await millrace.readSession(session))?.runs ?? []
    expect(first).toMatchObject({ query: 'weather?', messages: [user('weather?'), call, result] })
    expect(second).not.toHaveProperty('messages')
    const exported = await (await fetch(`${url}/api/sessions/${session}/export?format=json`)).json()
    expect(exported).toMatchObject({ runs: [{ messages: [user('weather?'), call, result] }, {}] })
  })

  it('that are one plain message of a user are recorded as a query, and the same id is the same run', async () => {
    const { url, millrace } = await startServer(echo)
    const { session } = await startRun(url, { messages: [user('hello')], id: 'one' })
    const state = await millrace.engine.inspect(session)
    const { events } = await millrace.engine.read(session, state?.start as never, { eventsMax: 1 })
    const lanes = [{ lane: echo.model, model: echo.model }]
    expect(events[0]?.data).toEqual({ run: 'one', session, query: 'hello', lanes })
    expect(await startRun(url, { query: 'hello', id: 'one' })).toMatchObject({ session })
  })

  it('belong to what a repeated id must repeat, as do instructions, parameters and metadata, also after a restart', async () => {
    const folder = makeFolder()
    const asked = {
      messages: [user('a'), { role: 'assistant', content: 'b' }, user('c')],
      params: { seed: 1 },
      metadata: { k: 'v' },
    }
    const start = async () => {
      const millrace = createMillrace({ ...echo, engine: sqliteEngine({ folder }) })
      onTestFinished(() => millrace.close())
      return { millrace, url: (await millrace.listen({ port: 0 })).url }
    }
    const one = await start()
    const { session } = await startRun(one.url, { ...asked, id: 'same' })
    await one.millrace.findRun('same')?.ended
    await one.millrace.close()
    const { url } = await start()
    expect(await startRun(url, { ...asked, id: 'same' })).toMatchObject({ session })
    for (const other of [
      { query: 'c' },
      { ...asked, messages: [user('x'), { role: 'assistant', content: 'b' }, user('c')] },
      { ...asked, params: { seed: 2 } },
      { ...asked, metadata: { k: 'w' } },
      { ...asked, instructions: 'Rhyme.' },
    ])
      expect(await rejection(postJson(`${url}/api/chat`, { ...other, id: 'same' }))).toEqual([409, 'run_conflict'])
  })

  it('of a run without an answer stay history, except for the question', async () => {
    const { url, millrace } = await startServer({ modelsByName: ['sim'], ...echo })
    const asked = [{ role: 'system', content: 'Be kind.' }, user('a'), { role: 'assistant', content: 'b' }, user('lost')]
    const { session } = await startRun(url, { messages: asked, model: 'sim:fail?after=0', id: 'one' })
    await millrace.findRun('one')?.ended
    await startRun(url, { query: 'next', session, id: 'two' })
    const { messages } = await given(millrace, 'two')
    expect(messages.map(({ text }) => text)).toEqual(['Be kind.', 'a', 'b', 'next'])
  })

  it('are taken over a WebSocket, and by the library', async () => {
    const { url, millrace } = await startServer(echo)
    const asked = { messages: [user('weather?'), call, result], metadata: { from: 'test' } }
    const socket = await openSocket(url)
    socket.send({ type: 'run', id: 'ws', ref: 'r', ...asked })
    expect(await socket.next()).toMatchObject({ type: 'started', ref: 'r', run: 'ws' })
    socket.send({ ...asked, id: 'plain' })
    await socket.until(({ status }) => status === 'completed')
    await millrace.ask({ ...asked, id: 'library' })
    for (const run of ['ws', 'plain', 'library']) expect((await given(millrace, run)).messages).toHaveLength(3)
    const played = await millrace.run({ ...asked, source: ['fine'] })
    await played.ended
    expect((await millrace.readSession(played.session))?.runs).toMatchObject([{ ...asked, query: 'weather?' }])
  })

  const second = { ...call, content: [{ ...call.content[0], id: 'c2' }] }
  it.each<[string, unknown, number, string]>([
    ['none', [], 400, 'invalid_request'],
    ['no list', 'x', 400, 'invalid_request'],
    ['a role that does not exist', [{ role: 'root', content: 'x' }], 400, 'invalid_request'],
    ['a part that does not exist', [{ role: 'user', content: [{ type: 'video' }] }], 400, 'invalid_request'],
    ['a part of another role', [{ role: 'user', content: call.content }], 400, 'invalid_request'],
    ['an empty message', [user('')], 400, 'invalid_request'],
    ['a last message of the assistant', [user('x'), { role: 'assistant', content: 'y' }], 400, 'messages_invalid'],
    ['a last message of the system', [{ role: 'system', content: 'y' }], 400, 'messages_invalid'],
    ['a result without its call', [user('x'), result], 400, 'tool_result_unexpected'],
    ['a result before its call', [user('x'), result, call], 400, 'tool_result_unexpected'],
    ['a second result', [user('x'), call, result, result], 400, 'tool_result_unexpected'],
    ['a call without a result', [user('x'), call, user('y')], 400, 'tool_result_missing'],
    ['a call at the end', [user('x'), call], 400, 'tool_result_missing'],
    [
      'one of two results',
      [user('x'), { ...call, content: [...call.content, ...second.content] }, result, user('y')],
      400,
      'tool_result_missing',
    ],
    ['a repeated id of a call', [user('x'), call, result, call, result], 400, 'messages_invalid'],
    ['too many', Array.from({ length: limits.messagesMax + 1 }, () => user('x')), 413, 'messages_too_large'],
    ['too long ones', [user('x'.repeat(limits.messagesBytesMax))], 413, 'messages_too_large'],
    [
      'deep JSON',
      [user('x'), call, { role: 'tool', content: [{ type: 'tool_result', call: 'c1', value: nested(100_000) }] }],
      400,
      'invalid_request',
    ],
  ])('are rejected: %s', async (_what, messages, status, code) => {
    const { url, millrace, errors } = await startServer(echo)
    expect(await rejection(fetch(`${url}/api/chat`, json(messages)))).toEqual([status, code])
    const socket = await openSocket(url)
    if (JSON.stringify(messagesOf(messages)).length < 200_000) {
      socket.send(`{"type":"run","messages":${text(messages)}}`)
      expect(await socket.next()).toMatchObject({ type: 'error', error: { code } })
    }
    if (Array.isArray(messages))
      await expect(millrace.ask({ messages: messagesOf(messages) as never })).rejects.toMatchObject({ code })
    expect((await millrace.sessions.list()).sessions).toEqual([])
    expect(errors).toEqual([])
  })

  it('are rejected beside a query, and a request without either', async () => {
    const { url, millrace } = await startServer(echo)
    expect(await rejection(postJson(`${url}/api/chat`, { query: 'x', messages: [user('y')] }))).toEqual([400, 'invalid_request'])
    expect(await rejection(postJson(`${url}/api/chat`, { metadata: { a: 'b' } }))).toEqual([400, 'query_missing'])
    await expect(millrace.ask({})).rejects.toMatchObject({ code: 'query_missing' })
  })

  it('at every limit at once fit into one event', async () => {
    const { url, millrace } = await startServer(echo)
    const line = '\u2028'
    const asked = {
      messages: [user('x'), { role: 'assistant', content: 'y' }, user(line.repeat((limits.messagesBytesMax - 200) / 6))],
      instructions: line.repeat(limits.instructionsLengthMax),
      params: { responseFormat: { type: 'json_schema', schema: { a: 'x'.repeat(limits.paramsBytesMax - 200) } } },
      metadata: Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`${index}`.padEnd(64, 'k'), line.repeat(512)])),
    }
    const { session } = await startRun(url, { ...asked, instructions: `a${asked.instructions.slice(2)}b`, id: 'one' })
    await millrace.findRun('one')?.ended
    const stream = await openStream(`${url}/api/stream?session=${session}`)
    expect(data(await stream.next())).toMatchObject({ messages: asked.messages, metadata: asked.metadata })
  })
})

/** `[[[…]]]`; as text where it is too deep for `JSON.stringify`. */
function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

function messagesOf(messages: unknown): unknown {
  try {
    JSON.stringify(messages)
    return messages
  } catch {
    return [user('x'), call, { role: 'tool', content: [{ type: 'tool_result', call: 'c1', value: nested(65) }] }]
  }
}

function text(messages: unknown): string {
  return JSON.stringify(messagesOf(messages))
}

function json(messages: unknown): RequestInit {
  const body =
    messagesOf(messages) === messages
      ? text(messages)
      : text(messages)
          .replace('[[', `${'['.repeat(100_000)}[[`)
          .replace(']]', `]]${']'.repeat(100_000)}`)
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: `{"messages":${body}}` }
}
