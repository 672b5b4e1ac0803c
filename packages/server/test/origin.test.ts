/** Pages of other sites: a request that a visitor's browser sends for them is rejected, and starts nothing. */
import { describe, expect, it } from 'vitest'
import { ask } from './support/raw.ts'
import { startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'

const json = { 'content-type': 'application/json' }

describe.each([
  'https://evil.example',
  'null',
  'http://127.0.0.1.evil.example',
  'http://127.0.0.1@evil.example',
  'http://evil.example/127.0.0.1',
])('a page from %s', (origin) => {
  it.each([
    ['GET /api/chat?query=x&id=r', ''],
    ['POST /api/chat', '{"query":"x","id":"r"}'],
    ['POST /api/sessions', '{"id":"s"}'],
    ['POST /api/runs/r/stop', ''],
  ])('is rejected at %s, also from a browser without Sec-Fetch-Site', async (line, body) => {
    const { port, millrace } = await startServer()
    const headers = { host: `127.0.0.1:${port}`, origin, ...(body && json) }
    expect(await ask(port, line, headers, body)).toBe('403 origin_not_allowed')
    expect(millrace.findRun('r')).toBeUndefined()
    expect(await millrace.readSession('s')).toBeUndefined()
  })

  it('is rejected by fetch(request) on a host that provides no Host header', async () => {
    const { millrace } = await startServer()
    const response = await millrace.fetch(new Request('http://127.0.0.1/api/chat?query=x', { headers: { origin } }))
    expect(response.status).toBe(403)
  })
})

it('accepts its own pages, also from another port, and clients that are not browsers', async () => {
  const { port } = await startServer()
  const host = `127.0.0.1:${port}`
  for (const from of [{ origin: `http://${host}` }, { origin: 'https://127.0.0.1:3000' }, {}]) {
    expect(await ask(port, 'GET /api/models', { host, ...from })).toBe('200')
    expect(await ask(port, 'POST /api/sessions', { host, ...from, ...json }, '{}')).toBe('201')
  }
})

describe('over plain HTTP, where a browser sends neither Sec-Fetch-Site nor, for an image, an Origin', () => {
  const browser = { host: '192.168.1.7:4600', 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)' }
  const start = 'GET /api/chat?query=x&id=r'

  it.each([{}, { referer: 'http://evil.example/' }, { referer: 'http://192.168.1.7.evil.example/' }, { referer: 'nothing' }])(
    'a run is not started for %o',
    async (headers) => {
      const { millrace, port } = await startEverywhere()
      expect(await ask(port, start, { ...browser, ...headers })).toBe('403 origin_not_allowed')
      expect(millrace.findRun('r')).toBeUndefined()
      expect(await ask(port, 'GET /api/models', { ...browser, ...headers })).toBe('200')
    },
  )

  it('a run is started for a page of the server, and for a client that is not a browser', async () => {
    const { port } = await startEverywhere()
    expect(await ask(port, start, { ...browser, referer: 'http://192.168.1.7:3000/chat' })).toBe('200')
    expect(await ask(port, start, { host: browser.host, 'user-agent': 'curl/8.14.1' })).toBe('200')
    expect(await ask(port, start, { host: browser.host, origin: '' })).toBe('200')
  })

  async function startEverywhere() {
    const { millrace } = await startServer()
    return { millrace, ...(await millrace.listen({ port: 0, host: '0.0.0.0' })) }
  }
})

it('treats an empty Origin as none', async () => {
  const { port } = await startServer()
  expect(await ask(port, 'GET /api/models', { host: 'localhost', origin: '' })).toBe('200')
})

it('trusts Sec-Fetch-Site: a proxy may have changed the Host', async () => {
  const { url, port } = await startServer()
  const host = `127.0.0.1:${port}`
  const origin = 'https://app.example.com'
  for (const site of ['same-origin', 'same-site', 'none']) {
    const headers = { origin, 'sec-fetch-site': site }
    expect(await ask(port, 'POST /api/sessions', { host, ...headers, ...json }, '{}')).toBe('201')
    await openSocket(url, [], { headers })
  }
  const upgrade = { connection: 'upgrade', upgrade: 'websocket' }
  for (const headers of [{ host }, { host, origin: `http://${host}` }]) {
    const crossSite = { ...headers, 'sec-fetch-site': 'cross-site' }
    expect(await ask(port, 'GET /api/models', crossSite)).toBe('403 origin_not_allowed')
    expect(await ask(port, 'GET /ws/chat', { ...crossSite, ...upgrade })).toBe('403 origin_not_allowed')
  }
})
