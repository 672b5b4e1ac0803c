/** The rules of the door hold at OpenAI's addresses as anywhere. */
import type { MillraceOptions } from 'millrace'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { postJson, startServer } from '../support/server.ts'
import { bearer, secret, sign } from '../support/tokens.ts'

const model = 'sim:count?n=3&tps=0'
const messages = [{ role: 'user', content: 'x' }]

async function start(options: MillraceOptions = {}) {
  const server = await startServer({ dialects: ['openai'], model, access: { tokens: { secret } }, ...options })
  const [ada, bob] = await Promise.all(['ada', 'bob'].map(async (sub) => bearer(await sign({ sub }))))
  const call = async (method: string, path: string, headers: Record<string, string> | undefined, body?: object) => {
    const type = { 'content-type': 'application/json' }
    const response = await fetch(`${server.url}/v1${path}`, {
      method,
      headers: { ...headers, ...(body && type) },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const json = text.startsWith('{') ? (JSON.parse(text) as { id: string; error?: { code: string } }) : undefined
    return { status: response.status, text, json, code: json?.error?.code }
  }
  return { ...server, ada, bob, call }
}

describe('what one user has asked', () => {
  it('exists for nobody else', async () => {
    const { ada, bob, call, millrace } = await start()
    const response = (await call('POST', '/responses', ada, { input: 'x' })).json?.id ?? ''
    const completion = (await call('POST', '/chat/completions', ada, { messages })).json?.id ?? ''
    const stream = await call('POST', '/chat/completions', ada, { messages, stream: true })
    const frame = /^id: (.*)$/m.exec(stream.text)?.[1] ?? ''
    const session = /^resp_([^.]+)/.exec(response)?.[1] ?? ''
    const calls: [string, string, object?][] = [
      ['GET', `/responses/${response}`],
      ['GET', `/responses/${response}?stream=true&starting_after=2`],
      ['GET', `/responses/${response}/input_items`],
      ['POST', `/responses/${response}/cancel`],
      ['DELETE', `/responses/${response}`],
      ['POST', '/responses', { input: 'y', previous_response_id: response }],
      ['POST', '/responses', { input: 'y', conversation: `conv_${session}` }],
      ['GET', `/chat/completions/${completion}`],
      ['POST', '/chat/completions', { messages, metadata: { millrace_session: session } }],
    ]
    for (const [method, path, body] of calls)
      expect([path, (await call(method, path, bob, body)).code]).toEqual([path, 'session_not_found'])
    const resumed = await call('POST', '/chat/completions', { ...bob, 'last-event-id': frame } as never, {
      messages,
      stream: true,
    })
    expect(resumed.code).toBe('session_not_found')
    expect((await millrace.readSession(session))?.runs).toHaveLength(1)
    expect(
      (await call('POST', '/chat/completions', { ...ada, 'last-event-id': frame } as never, { messages, stream: true })).status,
    ).toBe(200)
    expect((await call('DELETE', `/responses/${response}`, ada)).status).toBe(200)
  })

  it('needs credentials, and the permissions of what it does', async () => {
    const { call, url } = await start()
    for (const path of ['/chat/completions', '/responses', '/models', '/nothing'])
      expect(
        (await call(path === '/models' ? 'GET' : 'POST', path, {}, path === '/models' ? undefined : { messages })).status,
      ).toBe(401)
    const may = async (...actions: string[]) => bearer(await sign({ sub: 'cy', millrace: { may: actions } }))
    const reads = await may('session.read', 'session.list')
    expect((await call('POST', '/responses', reads, { input: 'x' })).code).toBe('forbidden')
    const asks = await may('run.start', 'session.read')
    const { json } = await call('POST', '/responses', asks, { input: 'x' })
    expect((await call('POST', '/responses', asks, { input: 'x', instructions: 'Be short.' })).code).toBe('forbidden')
    expect((await call('DELETE', `/responses/${json?.id}`, asks)).code).toBe('forbidden')
    const models = (await (await fetch(`${url}/v1/models`, { headers: asks })).json()) as { data: { id: string }[] }
    expect(models.data.every(({ id }) => id.startsWith('builtin:') || id === model)).toBe(true)
  })
})

it('nothing is started where the reader has no place, or the server is full', async () => {
  const { url, millrace } = await startServer({
    dialects: ['openai'],
    model: 'sim:hang?after=1&tps=0',
    limits: { connectionsPerNode: 1, runsPerNode: 1 },
  })
  const reader = await postJson(`${url}/v1/chat/completions`, { messages, stream: true })
  expect(reader.status).toBe(200)
  const refused = await postJson(`${url}/v1/responses`, { input: 'x', stream: true })
  expect([refused.status, refused.headers.get('x-should-retry')]).toEqual([429, 'true'])
  const full = await postJson(`${url}/v1/responses`, { input: 'x', background: true })
  expect([full.status, ((await full.json()) as { error: { code: string } }).error.code]).toEqual([429, 'too_many_runs'])
  expect((await millrace.sessions.list({ limit: 10 })).sessions).toHaveLength(1)
  await reader.body?.cancel()
})

it('a page of an origin that is allowed can ask, with the headers that the clients set', async () => {
  const origin = 'https://app.example'
  const { url } = await startServer({ dialects: ['openai'], access: { origins: [origin] } })
  let sent = new Headers()
  const fetchNoting: typeof fetch = (address, init) => {
    sent = new Headers(init?.headers)
    return fetch(address, init)
  }
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', organization: 'o', project: 'p', fetch: fetchNoting })
  await client.chat.completions.stream({ model, messages: [{ role: 'user', content: 'x' }] }).finalContent()
  // A browser sets these by itself, or needs no permission for them.
  const names = [...sent.keys()].filter((name) => !['accept', 'content-length'].includes(name))
  expect(names).toContain('x-stainless-retry-count')
  const preflight = await fetch(`${url}/v1/chat/completions`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': `${names.join(',')},x-other` },
  })
  const allowed = preflight.headers.get('access-control-allow-headers')?.split(', ')
  expect(allowed).toEqual(expect.arrayContaining(names))
  expect(allowed).not.toContain('x-other')
})

it('an embedded server has these addresses only where it is asked to', async () => {
  const { url } = await startServer()
  expect((await postJson(`${url}/v1/chat/completions`, { messages })).status).toBe(404)
})
