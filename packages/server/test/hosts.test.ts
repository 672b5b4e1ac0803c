/** Host names of a server that only its own machine can reach: a foreign name was rebound by somebody else's DNS. */
import { once } from 'node:events'
import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createMillrace, type ListenOptions } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ask, raw } from './support/raw.ts'

async function listen(options: ListenOptions = {}) {
  const millrace = createMillrace({ model: 'sim:count?n=5&tps=0' })
  onTestFinished(() => millrace.close())
  return { millrace, ...(await millrace.listen({ port: 0, ...options })) }
}

const handshake = {
  upgrade: 'websocket',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
}

/** Status of a handshake. The connection of an accepted one stays open and is not waited for. */
async function upgrade(port: number, host: string): Promise<string> {
  const head = Object.entries({ host, connection: 'upgrade', ...handshake }).map(([name, value]) => `${name}: ${value}\r\n`)
  // A frame with a reserved bit set closes an accepted connection.
  const answer = await raw(port, `GET /ws/chat HTTP/1.1\r\n${head.join('')}\r\n`, '\xff\xff\xff\xff')
  return `${/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]} ${/"code":"(\w+)"/.exec(answer)?.[1] ?? ''}`.trim()
}

describe('a server on a loopback address', () => {
  it.each([
    'evil.example',
    'evil.example:4600',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'notlocalhost',
    '10.0.0.1',
    'xn--x',
  ])('rejects %s, and starts nothing', async (host) => {
    const { port, millrace } = await listen()
    for (const line of ['GET /api/chat?query=x&id=r', 'GET /api/models', 'GET /healthz', 'GET /', 'POST /api/sessions']) {
      expect(await ask(port, line, { host, origin: `http://${host}` })).toBe('403 host_not_allowed')
    }
    expect(await upgrade(port, host)).toBe('403 host_not_allowed')
    expect(millrace.findRun('r')).toBeUndefined()
  })

  it.each([
    'localhost',
    'localhost:1',
    'LOCALHOST',
    'localhost.',
    'app.localhost:3000',
    '127.0.0.1',
    '127.1.2.3:80',
    '[::1]',
    '[::1]:4600',
  ])('accepts %s', async (host) => {
    const { port } = await listen()
    expect(await ask(port, 'GET /api/models', { host })).toBe('200')
    expect(await upgrade(port, host)).toBe('101')
  })

  it('accepts its configured names, on any port, and the error says how to add one', async () => {
    const { port } = await listen({ hostNames: ['Example.com', 'other.example:8443'] })
    for (const host of ['example.com', 'EXAMPLE.COM:443', 'other.example', 'localhost']) {
      expect(await ask(port, 'GET /api/models', { host })).toBe('200')
      expect(await upgrade(port, host)).toBe('101')
    }
    expect(await ask(port, 'GET /api/models', { host: 'sub.example.com' })).toBe('403 host_not_allowed')
    const answer = await raw(port, 'GET / HTTP/1.1\r\nhost: Proxied.example:80\r\nconnection: close\r\n\r\n')
    const { error } = JSON.parse(answer.split('\r\n\r\n')[1] ?? '') as { error: { message: string; docs: string } }
    expect(error.message).toMatch('--host-name proxied.example')
    expect(error.message).toMatch("createMillrace({ hostNames: ['proxied.example'] })")
    expect(error.docs).toBe('/docs/errors#host_not_allowed')
  })

  it('is one by its address, whatever name was used to listen', async () => {
    const { url } = await listen({ host: 'localhost' })
    // By the name, which may resolve to ::1.
    const [response] = (await once(get(url, { headers: { host: 'evil.example' } }), 'response')) as [IncomingMessage]
    response.resume()
    expect(response.statusCode).toBe(403)
  })

  it('does not start with an invalid host name', async () => {
    for (const name of ['https://example.com', '', 'a b', '*.example.com']) {
      await expect(listen({ hostNames: [name] })).rejects.toMatchObject({ code: 'invalid_request' })
    }
  })
})

const browser = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)' }
const refused = '403 host_not_allowed'

/** Inside the host's own server, whose names Millrace does not know. */
async function embed(hostNames?: string[]): Promise<number> {
  const millrace = createMillrace({ model: 'sim:count?n=5&tps=0', ...(hostNames && { hostNames }) })
  const server = createServer(millrace.handler).on('upgrade', millrace.upgrade)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await millrace.close()
  })
  return (server.address() as AddressInfo).port
}

describe.each<[string, (hostNames?: string[]) => Promise<number>]>([
  ['a server on every address', async (hostNames) => (await listen({ host: '0.0.0.0', hostNames })).port],
  ['a server of the host', embed],
])('%s', (_what, start) => {
  it('accepts any name without configured names, except from a page that may have rebound its DNS name', async () => {
    const port = await start()
    const evil = { host: 'evil.example', origin: 'http://evil.example' }
    expect(await ask(port, 'GET /api/models', { host: 'example.com' })).toBe('200')
    expect(await upgrade(port, 'example.com')).toBe('101')
    expect(await ask(port, 'GET /api/models', evil)).toBe(refused)
    expect(await ask(port, 'GET /api/models', { host: 'evil.example', ...browser })).toBe(refused)
    expect(await ask(port, 'GET /ws/chat', { ...evil, ...handshake, connection: 'upgrade' })).toBe(refused)
    // What cannot be rebound: an address, this machine, and any name over HTTPS.
    for (const host of ['192.168.1.7:4600', '[fd00::1]', 'localhost']) {
      expect(await ask(port, 'GET /api/models', { host, ...browser })).toBe('200')
    }
    expect(await ask(port, 'GET /api/models', { host: 'app.example', ...browser, 'sec-fetch-site': 'same-origin' })).toBe('200')
  })

  it('accepts its configured names, addresses and this machine', async () => {
    const port = await start(['app.example'])
    for (const host of ['app.example', 'APP.example:443', '10.0.0.7', 'localhost:1']) {
      expect(await ask(port, 'GET /api/models', { host, ...browser })).toBe('200')
    }
    expect(await ask(port, 'GET /api/models', { host: 'example.com' })).toBe(refused)
    expect(await upgrade(port, 'example.com')).toBe(refused)
  })

  it.each([
    ['two', ['host: localhost', 'host: localhost']],
    ['two that differ', ['host: localhost', 'host: evil.example']],
    ['one that is none', ['host: a b']],
    ['no', []],
  ])('rejects a request with %s host names', async (_count, hosts) => {
    const port = await start()
    const lines = [...hosts, 'connection: close'].map((line) => `${line}\r\n`).join('')
    expect(await raw(port, `GET /api/models HTTP/1.1\r\n${lines}\r\n`)).toMatch(/^HTTP\/1\.1 400 /)
    const upgradeLines = ['connection: upgrade', 'upgrade: websocket', ...hosts].map((line) => `${line}\r\n`).join('')
    expect(await raw(port, `GET /ws/chat HTTP/1.1\r\n${upgradeLines}\r\n`)).toMatch(/^HTTP\/1\.1 400 /)
  })
})

it('fetch(request) on a web-standard host applies the same rule', async () => {
  const { millrace } = await listen()
  const models = (host: string, headers = {}) => millrace.fetch(new Request(`http://${host}/api/models`, { headers }))
  expect((await models('example.com')).status).toBe(200)
  expect((await models('evil.example', browser)).status).toBe(403)
  expect((await models('localhost:3000', browser)).status).toBe(200)
})

it('an invalid host name is rejected by createMillrace', () => {
  expect(() => createMillrace({ hostNames: ['https://example.com'] })).toThrow('is not a host name')
})
