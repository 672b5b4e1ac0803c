/** The addresses of the AI SDK: who may use them, what they do with bad input, and what they leave as it was. */
import { once } from 'node:events'
import { type MillraceOptions, memoryEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { postJson, startServer } from '../support/server.ts'
import { bearer, nowSeconds, secret, sign } from '../support/tokens.ts'

const say = (id: string, text = 'hi') => ({ id, role: 'user', parts: [{ type: 'text', text }] })

async function start(options: MillraceOptions = {}) {
  const server = await startServer({ dialects: ['ai-sdk'], ...options })
  const post = (body: unknown, headers: Record<string, string> = {}) => postJson(`${server.url}/ai/chat`, body, headers)
  const ask = async (body: unknown, headers: Record<string, string> = {}) => {
    const response = await post(body, headers)
    return { status: response.status, text: await response.text(), type: response.headers.get('content-type') }
  }
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${server.url}/ai/chat/${path}`, { headers })
    return { status: response.status, text: await response.text() }
  }
  return { ...server, post, ask, get }
}

async function startOwned(options: MillraceOptions = {}) {
  const server = await start({ access: { tokens: { secret } }, ...options })
  const [ada, bob] = await Promise.all(['ada', 'bob'].map(async (sub) => bearer(await sign({ sub }))))
  return { ...server, ada: ada as Record<string, string>, bob: bob as Record<string, string> }
}

describe('bad input', () => {
  it.each([
    ['no messages', { id: 'a' }, 400],
    ['no message of a user', { id: 'a', messages: [{ ...say('1'), role: 'assistant', id: 'answer-x' }] }, 404],
    ['a message without a text', { id: 'a', messages: [{ id: '1', role: 'user', parts: [{ type: 'data-x', data: 1 }] }] }, 400],
    ['messages that are no list', { id: 'a', messages: 'hi' }, 400],
    ['a role that there is not', { id: 'a', messages: [{ ...say('1'), role: 'tool' }] }, 400],
    ['parts that are none', { id: 'a', messages: [{ id: '1', role: 'user', parts: ['hi'] }] }, 400],
    ['an id that is too long', { id: 'a'.repeat(513), messages: [say('1')] }, 400],
    ['another trigger', { id: 'a', messages: [say('1')], trigger: 'else' }, 400],
    ['parameters that are none', { id: 'a', messages: [say('1')], params: { heat: 1 } }, 400],
    ['a file elsewhere', { id: 'a', messages: [{ id: '1', role: 'user', parts: [{ type: 'file', url: 'http://x/y' }] }] }, 400],
    [
      'a file of another chat',
      { id: 'a', messages: [{ id: '1', role: 'user', parts: [{ type: 'file', url: '/api/files/b/c' }] }] },
      400,
    ],
    [
      'an approval whose reason is too long',
      { id: 'a', messages: [{ ...say('1'), parts: [{ type: 'tool-x', approval: { id: 'p', reason: 'x'.repeat(2001) } }] }] },
      400,
    ],
    [
      'an approval that is none',
      { id: 'a', messages: [{ ...say('1'), role: 'assistant', parts: [{ type: 'tool-x', toolCallId: 'c', approval: 1 }] }] },
      400,
    ],
    ['no object', [], 400],
  ])('of %s is rejected as text, and creates nothing', async (_, body, status) => {
    const { ask, millrace } = await start()
    const response = await ask(body)
    expect(response).toMatchObject({ status, type: 'text/plain; charset=utf-8' })
    expect(response.text).toMatch(/^[^{]+\.$/)
    expect(await millrace.readSession('a')).toBeUndefined()
  })

  it('of paths is rejected', async () => {
    const { get } = await start()
    expect((await get('a/stream?startIndex=x')).status).toBe(400)
    expect((await get(`${'a'.repeat(513)}/stream`)).status).toBe(400)
    expect((await get('own:a:b/stream')).status).toBe(404)
    expect((await get('a/else')).status).toBe(404)
  })
})

it('takes JSON of any type, a chat of any id, and whatever else an application sends', async () => {
  const { url, millrace } = await start()
  const body = JSON.stringify({ id: 'a/b?c', messages: [{ ...say('1'), createdAt: 1 }], webSearch: true })
  const response = await fetch(`${url}/ai/chat`, { method: 'POST', body })
  expect(response.status).toBe(200)
  expect(response.headers.get('x-vercel-ai-ui-message-stream')).toBe('v1')
  const [, session = ''] = /^own:([^:]+):/.exec(response.headers.get('x-workflow-run-id') ?? '') ?? []
  await response.text()
  expect((await millrace.readSession(session))?.runs.length).toBe(1)
})

it('asks the last message of a long chat, whose others it has', async () => {
  const { ask, millrace } = await start()
  await ask({ id: 'a', messages: [say('first')] })
  const earlier = Array.from({ length: 1200 }, (_, n) => say(`${n}`))
  const response = await ask({ id: 'a', messages: [...earlier, say('first'), say('last', 'and now?')] })
  expect(response.status).toBe(200)
  expect((await millrace.readSession('a'))?.runs.map(({ query }) => query)).toEqual(['hi', 'and now?'])
})

it('starts nothing for a page of another site, whose form needs no preflight', async () => {
  const { url, millrace } = await start()
  const body = JSON.stringify({ id: 'a', messages: [say('1')] })
  for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://else.example' }]) {
    const request = { method: 'POST', headers: { 'content-type': 'text/plain', ...headers }, body }
    expect((await fetch(`${url}/ai/chat`, request)).status).toBe(403)
  }
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ai/ws`, { origin: 'https://else.example' })
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }]
  expect([response.statusCode, await millrace.readSession('a')]).toEqual([403, undefined])
})

it('keeps a file of a question, and asks with it', async () => {
  const { ask, millrace } = await start({ model: 'sim:echo?show=messages' })
  const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
  const file = { type: 'file', mediaType: 'image/png', filename: 'dot.png', url: `data:image/png;base64,${png}` }
  const message = { id: '1', role: 'user', parts: [file, { type: 'text', text: 'what?' }] }
  expect((await ask({ id: 'files', messages: [message] })).status).toBe(200)
  // The same message again is the same question.
  expect((await ask({ id: 'files', messages: [message] })).text).toContain('"finish"')
  const { runs = [] } = (await millrace.readSession('files')) ?? {}
  expect(runs).toMatchObject([
    {
      messages: [
        {
          content: [
            { type: 'file', name: 'dot.png' },
            { type: 'text', text: 'what?' },
          ],
        },
      ],
    },
  ])
  const wrong = { ...file, mediaType: 'image/jpeg' }
  expect((await ask({ id: 'other', messages: [{ ...message, parts: [wrong] }] })).status).toBe(415)
})

describe('on a server with users', () => {
  it('a chat belongs to who asks first, and does not exist for others', async () => {
    const { ask, get, ada, bob, url } = await startOwned({ model: 'sim:count?n=100000&tps=50' })
    const asked = await postJson(`${url}/ai/chat`, { id: 'a', messages: [say('1')] }, ada)
    const run = asked.headers.get('x-workflow-run-id') as string
    expect(await get('a/stream', bob)).toEqual(await get('never/stream', bob))
    expect((await get('a/stream', bob)).status).toBe(204)
    expect((await get(`${run}/stream?startIndex=0`, bob)).status).toBe(404)
    expect((await ask({ id: 'a', messages: [say('2')] }, bob)).status).toBe(404)
    expect((await fetch(`${url}/ai/chat/a/stop`, { method: 'POST', headers: bob })).status).toBe(404)
    expect((await ask({ id: 'a', messages: [say('1')] })).status).toBe(401)
    expect((await get('a/stream')).status).toBe(401)
    expect((await fetch(`${url}/ai/chat/a/stop`, { method: 'POST', headers: ada })).status).toBe(204)
    expect(await asked.text()).toContain('"abort"')
  })

  it('a message of the system needs the permission to instruct', async () => {
    const asker = bearer(await sign({ sub: 'ada', millrace: { may: ['session.*', 'run.*'] } }))
    const { ask } = await startOwned()
    const system = { id: 's', role: 'system', parts: [{ type: 'text', text: 'be kind' }] }
    const may = { sub: 'bob', millrace: { may: ['session.create', 'session.read', 'run.start'] } }
    expect((await ask({ id: 'a', messages: [system, say('1')] }, asker)).status).toBe(200)
    expect((await ask({ id: 'b', messages: [system, say('1')] }, bearer(await sign(may)))).status).toBe(403)
  })

  it('a socket whose token expires is closed, and gets no message that its client does not know', async () => {
    const { url } = await startOwned()
    const headers = bearer(await sign({ exp: nowSeconds() - 27 }))
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ai/ws`, { headers })
    const messages: string[] = []
    socket.on('message', (text: Buffer) => messages.push(text.toString()))
    const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
    expect([code, String(reason), messages]).toEqual([4401, 'token_expired', []])
  })
})

it('rejects decisions that do not fit, and changes nothing', async () => {
  const { ask, millrace } = await start({ model: 'sim:tool?approve=1&tps=0' })
  const asked = await ask({ id: 'a', messages: [say('1')] })
  const messageId = /"messageId":"([^"]+)"/.exec(asked.text)?.[1] as string
  const [run] = (await millrace.readSession('a'))?.runs ?? []
  const call = run?.lanes[0]?.parts.find((part) => part.type === 'tool')
  const decide = (part: object) => {
    const parts = [{ type: 'tool-weather', toolCallId: call?.call, ...part }]
    return ask({ id: 'a', messages: [say('1'), { id: messageId, role: 'assistant', parts }] })
  }
  const other = await decide({ state: 'approval-responded', approval: { id: 'other', approved: true } })
  const result = await decide({ state: 'output-available', output: 1 })
  expect([other.status, result.status]).toEqual([404, 400])
  // Nothing is decided: it waits on.
  const nothing = await decide({ state: 'approval-requested', approval: { id: call?.approval } })
  expect(nothing.text).toContain('{"type":"finish","finishReason":"tool-calls"}')
  expect((await millrace.readSession('a'))?.runs).toMatchObject([{ status: 'waiting' }])
})

it('answers 204 for chats that never ran, and reads and creates nothing', async () => {
  const engine = memoryEngine()
  const calls: string[] = []
  const counted = new Proxy(engine, {
    get: (target, name) => {
      const value = Reflect.get(target, name) as unknown
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        calls.push(String(name))
        return (value as (...all: unknown[]) => unknown).apply(target, args)
      }
    },
  })
  const { get, millrace } = await start({ engine: counted })
  calls.length = 0
  expect(await get('never/stream')).toEqual({ status: 204, text: '' })
  expect(calls.filter((name) => name !== 'inspect')).toEqual([])
  expect(millrace.connections).toBe(0)
})
