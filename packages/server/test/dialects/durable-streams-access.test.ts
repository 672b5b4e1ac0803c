/** What others may not do with streams, and what is rejected before anything is kept. */
import { memoryEngine } from 'millrace'
import { describe, expect, it, vi } from 'vitest'
import { startRun, startServer } from '../support/server.ts'
import { bearer, secret, sign } from '../support/tokens.ts'

const dialects = ['durable-streams'] as const
const text = { 'content-type': 'text/plain' }
const statusOf = async (url: string, init: RequestInit = {}) => (await fetch(url, init)).status

describe('permissions', () => {
  const channels = {
    'stream/open/*': { read: 'users', publish: 'users' },
    'stream/news/*': { read: 'users', publish: 'role:editor' },
    'stream/live/*': { read: 'users', publish: 'users', history: 'role:editor' },
  } as const
  const start = async () => {
    const server = await startServer({ dialects, channels, access: { tokens: { secret } } })
    const [ada, eve, editor] = await Promise.all([
      sign(),
      sign({ sub: 'eve' }),
      sign({ sub: 'ed', millrace: { may: ['channel.*', 'role:editor'] } }),
    ])
    return { ...server, streams: `${server.url}/ds/streams`, ada: bearer(ada), eve: bearer(eve), editor: bearer(editor) }
  }

  it('are those of channels: who may read and publish what begins with stream/', async () => {
    const { streams, ada, editor } = await start()
    const put = (name: string, headers: Record<string, string>) =>
      statusOf(`${streams}/${name}`, { method: 'PUT', headers: { ...text, ...headers }, body: 'x' })
    expect(await Promise.all([put('open/a', {}), put('open/a', ada), put('news/a', ada), put('other', ada)])).toEqual([
      401, 201, 403, 403,
    ])
    expect(await put('news/a', editor)).toBe(201)
    expect(await Promise.all([statusOf(`${streams}/news/a`, { headers: ada }), statusOf(`${streams}/news/a`)])).toEqual([
      200, 401,
    ])
    for (const method of ['POST', 'DELETE'])
      expect(
        await statusOf(`${streams}/news/a`, { method, headers: { ...text, ...ada }, ...(method === 'POST' && { body: 'x' }) }),
      ).toBe(403)
    expect(await (await fetch(`${streams}/news/a`, { headers: ada })).text()).toBe('x')
  })

  it('of the source are needed for a fork, and those of the history to read', async () => {
    const { streams, ada, editor } = await start()
    const put = (name: string, headers: Record<string, string>) =>
      statusOf(`${streams}/${name}`, { method: 'PUT', headers: { ...text, ...headers } })
    expect(await Promise.all([put('live/a', ada), put('news/b', editor)])).toEqual([201, 201])
    expect(await statusOf(`${streams}/live/a`, { headers: ada })).toBe(403)
    expect(await put('open/fork', { ...ada, 'stream-forked-from': '/ds/streams/live/a' })).toBe(403)
    expect(await put('open/fork', { ...ada, 'stream-forked-from': '/ds/streams/other' })).toBe(403)
    expect(await put('open/fork', { ...ada, 'stream-forked-from': '/ds/streams/news/b' })).toBe(201)
  })

  it('of a session and its runs are those of their owner; for others they do not exist', async () => {
    const { url, ada, eve } = await start()
    const { session, run } = await startRun(url, { query: 'go' }, ada)
    for (const path of [`sessions/${session}`, `runs/${run}`]) {
      const all = [ada, eve, {}].map((headers) => statusOf(`${url}/ds/${path}`, { headers }))
      expect(await Promise.all(all)).toEqual([200, 404, 401])
    }
    expect(await statusOf(`${url}/ds/channels/stream/news/a`, { headers: eve })).toBe(200)
    expect(await statusOf(`${url}/ds/channels/secret`, { headers: eve })).toBe(403)
  })

  it('end a live reader when they are revoked', async () => {
    const { url, millrace, ada } = await start()
    const { session } = await startRun(url, { query: 'go' }, ada)
    const tail = (await fetch(`${url}/ds/sessions/${session}`, { headers: ada, method: 'HEAD' })).headers.get(
      'stream-next-offset',
    )
    const live = await fetch(`${url}/ds/sessions/${session}?offset=${tail}&live=sse`, { headers: ada })
    await expect.poll(() => millrace.connections).toBe(1)
    millrace.closeConnections({ transport: 'sse' }, 'connection_closed')
    await live.text()
    await expect.poll(() => millrace.connections).toBe(0)
  })

  it('are no concern of a server that does not speak this dialect', async () => {
    const { url } = await startServer()
    expect(await statusOf(`${url}/ds/streams/a`, { method: 'PUT' })).toBe(404)
  })
})

describe('what is rejected', () => {
  const start = async () => {
    const server = await startServer({ dialects })
    const stream = `${server.url}/ds/streams/a`
    await fetch(stream, { method: 'PUT', headers: { 'content-type': 'application/json' } })
    return {
      ...server,
      stream,
      send: (method: string, headers: object, body: string | Uint8Array<ArrayBuffer> = '1', to = stream) =>
        statusOf(to, { method, headers: { 'content-type': 'application/json', ...headers }, body }),
    }
  }

  it('is too large or too deep, and keeps nothing', async () => {
    const { stream, send, errors } = await start()
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    expect(await send('POST', {}, `"${'x'.repeat(3_200_000)}"`)).toBe(413)
    expect(await send('POST', {}, deep)).toBe(400)
    expect(await send('POST', {}, new Uint8Array([34, 255, 34]))).toBe(400)
    expect(await send('POST', { 'producer-id': 'p'.repeat(300), 'producer-epoch': '0', 'producer-seq': '0' })).toBe(400)
    expect(await send('POST', { 'stream-seq': 's'.repeat(300) })).toBe(400)
    expect(await send('POST', { 'producer-id': 'p', 'producer-epoch': '9007199254740993', 'producer-seq': '0' })).toBe(400)
    expect(await (await fetch(stream)).json()).toEqual([])
    expect(errors).toEqual([])
  })

  it('is a name, a type, a time or a fork that none can be', async () => {
    const { url, send } = await start()
    const put = (headers: object, name = 'new') => send('PUT', headers, '', `${url}/ds/streams/${name}`)
    expect(
      await Promise.all(['%20', 'a%00', '-a', 'x'.repeat(129), 'a%3Fb', '__ds/subscriptions/x'].map((name) => put({}, name))),
    ).toEqual([400, 400, 400, 400, 400, 404])
    const types = ['text/javascript', 'application/ecmascript', 'text/css', 'nothing', `text/${'x'.repeat(300)}`]
    expect(await Promise.all(types.map((type) => put({ 'content-type': type })))).toEqual([415, 415, 415, 400, 400])
    expect(await put({ 'stream-expires-at': '2026' })).toBe(400)
    expect(await put({ 'stream-ttl': '99999999999999999' })).toBe(400)
    expect(await put({ 'stream-fork-offset': '-1' })).toBe(400)
    expect(await put({ 'stream-forked-from': 'new' })).toBe(400)
    expect(await put({ 'stream-forked-from': 'a', 'stream-fork-offset': 'now' })).toBe(400)
  })

  it('is a chain of forks whose offsets would be too long', async () => {
    const { send, url } = await start()
    const statuses: number[] = []
    for (let n = 0; n < 9; n++)
      statuses.push(
        await send('PUT', { 'stream-forked-from': `/ds/streams/${n === 0 ? 'a' : n - 1}` }, '1', `${url}/ds/streams/${n}`),
      )
    expect(statuses).toEqual([201, 201, 201, 201, 201, 201, 201, 400, 404])
    const read = await fetch(`${url}/ds/streams/6`)
    expect([await read.json(), (read.headers.get('stream-next-offset') as string).length < 256]).toEqual([
      [1, 1, 1, 1, 1, 1, 1],
      true,
    ])
  })

  it('remembers a bounded number of producers', async () => {
    const { send } = await start()
    const as = (id: number, seq: number) =>
      send('POST', { 'producer-id': `p${id}`, 'producer-epoch': '0', 'producer-seq': `${seq}` })
    for (let id = 0; id < 65; id++) expect(await as(id, 0)).toBe(200)
    expect([await as(64, 0), await as(64, 1), await as(0, 1), await as(0, 0)]).toEqual([204, 200, 409, 200])
  })
})

it('shows what clients wrote as nothing that runs', async () => {
  const { url } = await startServer({ dialects })
  await fetch(`${url}/ds/streams/page`, { method: 'PUT', headers: { 'content-type': 'text/html' }, body: '<script>1</script>' })
  const { headers } = await fetch(`${url}/ds/streams/page`)
  expect(headers.get('content-security-policy')).toBe("default-src 'none'; sandbox")
  expect([headers.get('x-content-type-options'), headers.get('cross-origin-resource-policy')]).toEqual(['nosniff', 'same-site'])
})

describe('a stream with a time', () => {
  it('lives as long as it is read or written, and then its name is free', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      const { url } = await startServer({ dialects, engine: memoryEngine() })
      const stream = `${url}/ds/streams/short`
      const put = () => statusOf(stream, { method: 'PUT', headers: { ...text, 'stream-ttl': '100' }, body: 'x' })
      const pass = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1000)
      expect([await put(), await put()]).toEqual([201, 200])
      pass(90)
      expect(await statusOf(stream)).toBe(200)
      pass(90)
      expect(await statusOf(stream, { method: 'HEAD' })).toBe(200)
      pass(40)
      expect(await statusOf(stream)).toBe(404)
      const before = (await fetch(stream, { method: 'HEAD' })).headers
      expect(before.get('stream-next-offset')).toBeNull()
      expect(await put()).toBe(201)
      expect(await (await fetch(stream)).text()).toBe('x')
    } finally {
      vi.useRealTimers()
    }
  })

  it('answers with 410 to an offset of the stream that had its name before', async () => {
    const { url } = await startServer({ dialects })
    const stream = `${url}/ds/streams/again`
    const put = async () => (await fetch(stream, { method: 'PUT', headers: text, body: 'x' })).headers.get('stream-next-offset')
    const old = await put()
    expect(await statusOf(stream, { method: 'DELETE' })).toBe(204)
    const fresh = await put()
    expect(await Promise.all([statusOf(`${stream}?offset=${old}`), statusOf(`${stream}?offset=${fresh}`)])).toEqual([410, 200])
  })
})
