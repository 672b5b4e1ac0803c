import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { errors, limits } from '@millrace/protocol'
import { memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { keepNewest } from './support/keep-newest.ts'
import { ask, raw } from './support/raw.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { openStream, textOf } from './support/stream.ts'

/** The code and the status; fails if the response is not an error in the one shape of errors. */
async function refusal(response: Response): Promise<string> {
  const body = (await response.json()) as { error: { code: keyof typeof errors; message: string; docs: string } }
  expect(Object.keys(body)).toEqual(['error'])
  expect(Object.keys(body.error)).toEqual(['code', 'message', 'docs', 'retryable'])
  expect(body.error.docs).toBe(`/docs/errors#${body.error.code}`)
  expect(errors[body.error.code].status).toBe(response.status)
  expect(JSON.stringify(body)).not.toMatch(/\\n\s+at |node_modules|Error:/)
  return `${response.status} ${body.error.code}`
}

describe('bad input is rejected with a code', () => {
  const long = 'x'.repeat(limits.queryLengthMax + 1)

  it.each([
    ['no query', '/api/chat', '400 query_missing'],
    ['an empty query', '/api/chat?query=%20', '400 query_missing'],
    ['an unknown model', '/api/chat?query=x&model=nobody', '404 model_not_found'],
    ['an unknown model beside a known one', '/api/chat?query=x&models=sim:count,nobody', '404 model_not_found'],
    ['too many models', `/api/chat?query=x&models=${'sim:count,'.repeat(limits.lanesMax)}sim:count`, '400 invalid_request'],
    ['an empty model', '/api/chat?query=x&models=sim:count,', '400 invalid_request'],
    ['a model with a line end in its name', '/api/chat?query=x&model=openai:a%0Ab', '400 invalid_request'],
    ['an unknown session', '/api/chat?query=x&session=unknown', '404 session_not_found'],
    ['a session id that is none', '/api/chat?query=x&session=a%20b', '400 invalid_id'],
    ['an id with control characters', '/api/chat?query=x&id=a%0D%0Adata:x', '400 invalid_id'],
    ['an id with NUL', '/api/chat?query=x&id=%00', '400 invalid_id'],
    ['an id that is too long', `/api/chat?query=x&id=${'a'.repeat(65)}`, '400 invalid_id'],
    ['an unknown rendering', '/api/chat?query=x&events=all', '400 invalid_request'],
    ['a stream of nothing', '/api/stream', '400 invalid_request'],
    ['a stream of one thing twice', '/api/stream?session=s&session=s', '400 invalid_request'],
    ['a channel that is none', '/api/stream?channel=%2Fetc', '400 invalid_channel'],
    ['an interval that is none', '/api/stream?channel=c&interval=x', '400 invalid_request'],
    ['an interval of an hour', '/api/stream?channel=c&interval=3600000', '400 invalid_request'],
    ['a policy that is none', '/api/stream?channel=c&slow=drop', '400 invalid_request'],
    ['a stream of an unknown session', '/api/stream?session=unknown', '404 session_not_found'],
    ['a read of an unknown session', '/api/sessions/unknown', '404 session_not_found'],
    ['an address that is none', '/api/nothing', '404 not_found'],
    ['an address with encoded dots', '/api/%2e%2e/%2e%2e/etc/passwd', '404 not_found'],
    ['an address that is not UTF-8', '/api/%ff%fe', '404 not_found'],
  ])('%s', async (_what, path, expected) => {
    const { url, errors: reported } = await startServer()
    expect(await refusal(await fetch(url + path))).toBe(expected)
    expect(reported).toEqual([])
  })

  it.each([
    ['no query', '{}', '400 query_missing'],
    ['a query that is not text', '{"query":{"$gt":""}}', '400 query_missing'],
    ['an over-long query', JSON.stringify({ query: long }), '413 query_too_long'],
    ['malformed JSON', '{"query":', '400 invalid_json'],
    ['JSON of another shape', '[1,2]', '400 invalid_request'],
    ['nothing', '', '400 invalid_json'],
    ['a body over the limit', JSON.stringify({ query: 'x', more: 'x'.repeat(limits.bodyBytesMax) }), '413 body_too_large'],
    ['a prototype', '{"__proto__":{"query":"x"}}', '400 query_missing'],
    ['deep nesting', `{"query":"x","models":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, '400 invalid_request'],
  ])('POST with %s', async (_what, body, expected) => {
    const { url, errors: reported } = await startServer()
    const response = await fetch(`${url}/api/chat`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    expect(await refusal(response)).toBe(expected)
    expect(reported).toEqual([])
  })

  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
  it.each([
    ['tool-results', `{"session":"s","results":[{"call":"c","value":${deep}}]}`],
    ['decisions', `{"session":"s","decisions":[{"call":"c","decision":"edit","arguments":${deep}}]}`],
    ['decisions', `{"session":"s","decisions":[{"call":"c","decision":"answer","value":${deep}}]}`],
  ])('POST of %s with deep nesting', async (what, body) => {
    const { url, errors: reported } = await startServer()
    const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
    expect(await refusal(await fetch(`${url}/api/runs/r/${what}`, request))).toBe('400 invalid_request')
    expect(reported).toEqual([])
  })

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'application/json; charset=utf-8 x', ''])(
    'a body of the type %j',
    async (type) => {
      const { url } = await startServer()
      const response = await fetch(`${url}/api/chat`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: '{"query":"x"}',
      })
      expect(await refusal(response)).toBe('415 unsupported_media_type')
    },
  )

  it.each([
    ['text/plain', '415 unsupported_media_type'],
    [undefined, '415 unsupported_media_type'],
    ['application/json', '202'],
  ])('a body of the type %j that the host has read', async (type, expected) => {
    const { millrace } = await startServer()
    // As a body parser does that is configured to read every type.
    const server = createServer((request, response) => {
      request.resume().on('end', () => millrace.handler(Object.assign(request, { body: { query: 'x' } }), response))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const headers = { host: 'localhost', accept: 'application/json', ...(type && { 'content-type': type }) }
    const { port } = server.address() as AddressInfo
    expect(await ask(port, 'POST /api/chat', headers, '{"query":"x"}')).toBe(expected)
  })

  it('a body without a content length that exceeds the limit', async () => {
    const { url } = await startServer()
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024).fill(0x20)) })
    const request: RequestInit = { method: 'POST', headers: { 'content-type': 'application/json' }, body: endless }
    const response = await fetch(`${url}/api/chat`, Object.assign(request, { duplex: 'half' }))
    expect(await refusal(response)).toBe('413 body_too_large')
    expect(response.headers.get('connection')).toBe('close')
  })

  it('a method that a path does not support', async () => {
    const { url } = await startServer()
    const response = await fetch(`${url}/api/chat`, { method: 'DELETE' })
    expect(response.headers.get('allow')).toBe('GET, POST')
    expect(await refusal(response)).toBe('405 method_not_allowed')
  })

  it('a page of another site, which could spend the API keys of its visitors', async () => {
    const { url } = await startServer()
    const response = await fetch(`${url}/api/chat?query=x`, { headers: { 'sec-fetch-site': 'cross-site' } })
    expect(await refusal(response)).toBe('403 origin_not_allowed')
  })

  it('1 MB of headers', async () => {
    const { url, port } = await startServer()
    const answer = await raw(port, `GET /api/chat?query=x HTTP/1.1\r\nhost: x\r\nx-big: ${'x'.repeat(1_000_000)}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 431 /)
    expect(answer).toMatch('"code":"headers_too_large"')
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  it.each([
    ['HTTP/1.0 without a host', 'GET /api/models HTTP/1.0\r\n\r\n'],
    ['HTTP/1.1 without a host', 'GET /api/models HTTP/1.1\r\nconnection: close\r\n\r\n'],
    ['an empty host', 'GET /api/models HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n'],
    ['a host that is none', 'GET /api/models HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n'],
    ['a host with a path', 'GET /api/models HTTP/1.1\r\nhost: localhost/x\r\nconnection: close\r\n\r\n'],
    ['a host with a user', 'GET /api/models HTTP/1.1\r\nhost: x@localhost\r\nconnection: close\r\n\r\n'],
    ['an address that is none', 'OPTIONS * HTTP/1.1\r\nhost: localhost:4600\r\nconnection: close\r\n\r\n'],
    ['an address with a backslash', 'GET /\\evil HTTP/1.1\r\nhost: LOCALHOST\r\nconnection: close\r\n\r\n'],
  ])('%s', async (_what, request) => {
    const { millrace, port, errors: reported } = await startServer()
    const own = createServer({ requireHostHeader: false }, millrace.handler)
    await new Promise<void>((resolve) => own.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void own.close())
    for (const at of [port, (own.address() as AddressInfo).port]) {
      const answer = await raw(at, request)
      expect(answer).toMatch(/^HTTP\/1\.1 400 .*content-type: application\/json.*"code":"malformed_http"/is)
    }
    expect(reported).toEqual([])
  })

  it('bytes that are not HTTP', async () => {
    const { port } = await startServer()
    const answer = await raw(port, 'HELLO\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*"code":"malformed_http"/s)
  })
})

it.each(['end', 'destroy', 'resetAndDestroy'] as const)(
  'a client that disconnects by %s during its body is not an error of the server',
  async (how) => {
    const { port, errors: reported, millrace } = await startServer()
    // Observed here when the server has closed its side.
    const seen = vi.spyOn(console, 'error')
    onTestFinished(() => seen.mockRestore())
    for (const line of ['POST /api/chat', 'POST /api/sessions']) {
      // Reads to the end: unread bytes would keep the socket from closing.
      const socket = connect(port, '127.0.0.1').resume()
      socket.on('error', () => {})
      const head = `${line} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n`
      await new Promise<void>((resolve) => socket.write(`${head}{"query":`, () => resolve()))
      // A response to another client shows that the first request has been read up to here.
      expect(await ask(port, 'GET /healthz', { host: 'localhost' })).toBe('200')
      socket[how]()
      await new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())))
      expect(await ask(port, 'GET /healthz', { host: 'localhost' })).toBe('200')
    }
    await millrace.close()
    expect(reported).toEqual([])
    expect(seen).not.toHaveBeenCalled()
  },
)

describe('a position that cannot be served exactly is rejected', () => {
  async function session() {
    const server = await startServer({ engine: keepNewest(memoryEngine(), 4) })
    const { session } = await startRun(server.url, { query: 'x', id: 'r' })
    await server.millrace.findRun('r')?.ended
    const other = await startRun(server.url, { query: 'x' })
    const epochOf = async (id: string) => (await server.millrace.engine.inspect(id))?.head.epoch
    return { ...server, session, other: other.session, epoch: await epochOf(session), otherEpoch: await epochOf(other.session) }
  }

  it.each([
    'x',
    'k3f9a2xq',
    'k3f9a2xq--1',
    'k3f9a2xq-1%0Adata: x',
    '%00',
    'k3f9a2xq-1e9',
    encodeURIComponent('你好'),
    'x'.repeat(300),
    '-1',
    'NaN',
  ])('because %j is not a position', async (token) => {
    const { url, session: id } = await session()
    expect(await refusal(await fetch(`${url}/api/stream?session=${id}&from=${token}`))).toBe('400 position_invalid')
    expect(await refusal(await fetch(`${url}/api/chat?query=x&lastEventId=${token}`))).toBe('400 position_invalid')
  })

  it('because it is of another log, of another session, ahead of the log, or trimmed', async () => {
    const { url, session: id, other, epoch, otherEpoch } = await session()
    const stream = (token: string) => fetch(`${url}/api/stream?session=${id}`, { headers: { 'last-event-id': token } })
    expect(await refusal(await stream(`${otherEpoch}-1`))).toBe('409 position_foreign')
    expect(await refusal(await stream(`${other}:${epoch}-5`))).toBe('409 position_foreign')
    expect(await refusal(await stream(`${epoch}-8`))).toBe('409 position_ahead')
    expect(await refusal(await stream(`${epoch}-1`))).toBe('410 position_expired')
    const chat = (token: string) => fetch(`${url}/api/chat?query=x&session=${id}`, { headers: { 'last-event-id': token } })
    expect(await refusal(await chat(`${otherEpoch}-1`))).toBe('409 position_foreign')
    expect(await refusal(await chat(`${other}:${otherEpoch}-1`))).toBe('409 position_foreign')
    expect(await refusal(await chat(`${id}:${epoch}-8`))).toBe('409 position_ahead')
    expect(await refusal(await chat(`${id}:${epoch}-1`))).toBe('410 position_expired')
    expect(await refusal(await fetch(`${url}/api/chat?query=x`, { headers: { 'last-event-id': `${epoch}-5` } }))).toBe(
      '400 position_invalid',
    )
    expect(await refusal(await fetch(`${url}/api/chat?query=x`, { headers: { 'last-event-id': `gone:${epoch}-5` } }))).toBe(
      '404 session_not_found',
    )
  })

  it('and the session still returns the position to continue from', async () => {
    const { url, millrace } = await startServer()
    const { session: id } = await startRun(url, { query: 'x', id: 'r' })
    await millrace.findRun('r')?.ended
    expect((await fetch(`${url}/api/stream?session=${id}&from=k3f9a2xq-1`)).status).toBe(409)
    const { position } = (await (await fetch(`${url}/api/sessions/${id}`)).json()) as { position: string }
    await startRun(url, { query: 'y', session: id })
    const events = await (await openStream(`${url}/api/stream?session=${id}&from=${position}`)).until('stream_end')
    expect(textOf(events)).toBe('1 2 3 4 5 ')
  })
})

describe('the same id', () => {
  it('with another query, session or models is a conflict', async () => {
    const { url } = await startServer()
    const { session } = await startRun(url, { query: 'x', id: 'r', models: ['sim:count', 'sim:echo'] })
    await postJson(`${url}/api/sessions`, { id: 'other' })
    for (const body of [
      { query: 'y', id: 'r' },
      { query: 'x', id: 'r', session: 'other' },
      { query: 'x', id: 'r', models: ['sim:echo', 'sim:count'] },
      { query: 'x', id: 'r', model: 'sim:count' },
    ]) {
      expect(await refusal(await postJson(`${url}/api/chat`, body))).toBe('409 run_conflict')
    }
    expect(await startRun(url, { query: 'x', id: 'r', session })).toMatchObject({ run: 'r', session })
  })
})

it.each([
  ['application/json', 202],
  ['application/json; charset=utf-8', 202],
  ['application/json, text/html;q=0.5', 202],
  ['application/json, text/event-stream;q=0, */*;q=0.0', 202],
  // axios, Angular and jQuery send this by default.
  ['application/json, text/plain, */*', 200],
  ['application/json, text/javascript, */*; q=0.01', 200],
  ['application/json, text/event-stream', 200],
  ['application/json, text/*', 200],
  ['*/*', 200],
  [undefined, 200],
])('a start that accepts %j gets %i', async (accept, status) => {
  const { url } = await startServer()
  const response = await postJson(`${url}/api/chat`, { query: 'x' }, accept === undefined ? {} : { accept })
  await response.body?.cancel()
  expect(response.status).toBe(status)
})

it('accepts a body with a byte order mark, and a path with a trailing slash', async () => {
  const { url } = await startServer()
  const body = Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), Buffer.from('{"id":"s"}')])
  const headers = { 'content-type': 'application/json' }
  expect((await fetch(`${url}/api/sessions/`, { method: 'POST', headers, body })).status).toBe(201)
  for (const path of ['/api/models/', '/api/sessions/s/', '/healthz/', '/docs/errors/']) {
    expect((await fetch(url + path)).status).toBe(200)
  }
  expect((await fetch(`${url}/api/models/`, { method: 'DELETE' })).status).toBe(405)
})

it('forbids browsers to guess the type of a response', async () => {
  const { url, millrace } = await startServer()
  await millrace.engine.append('s', [])
  for (const path of [
    '/api/models',
    '/api/nothing',
    '/api/stream?session=s',
    '/api/openapi.json',
    '/docs/errors',
    '/api/sessions/s/export',
  ]) {
    for (const response of [await fetch(url + path), await millrace.fetch(new Request(`http://host${path}`))]) {
      await response.body?.cancel()
      expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    }
  }
})
