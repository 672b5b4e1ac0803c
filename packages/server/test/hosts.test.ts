/** Names of a server that only its own machine can reach: a foreign one was led here by somebody else's DNS. */
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

/** Status of a handshake; the connection of one that is accepted stays open and is not waited for. */
async function upgrade(port: number, host: string): Promise<string> {
  const head = Object.entries({ host, connection: 'upgrade', ...handshake }).map(([name, value]) => `${name}: ${value}\r\n`)
  // A frame with a bit set that must not be ends an accepted connection.
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
  ])('does not answer to %s, and starts nothing', async (host) => {
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
  ])('answers to %s', async (host) => {
    const { port } = await listen()
    expect(await ask(port, 'GET /api/models', { host })).toBe('200')
    expect(await upgrade(port, host)).toBe('101')
  })

  it('answers to the names it was given, on any port, and says how to give them', async () => {
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
    // Through the name, which may stand for ::1.
    const [response] = (await once(get(url, { headers: { host: 'evil.example' } }), 'response')) as [IncomingMessage]
    response.resume()
    expect(response.statusCode).toBe(403)
  })

  it('does not start with a name that is none', async () => {
    for (const name of ['https://example.com', '', 'a b', '*.example.com']) {
      await expect(listen({ hostNames: [name] })).rejects.toMatchObject({ code: 'invalid_request' })
    }
  })
})

it('a server on every address answers to any name', async () => {
  const { port } = await listen({ host: '0.0.0.0' })
  expect(await ask(port, 'GET /api/models', { host: 'example.com' })).toBe('200')
  expect(await upgrade(port, 'example.com')).toBe('101')
})

it('a server of the host decides for itself which names it answers to', async () => {
  const { millrace } = await listen()
  const server = createServer(millrace.handler).on('upgrade', millrace.upgrade)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  expect(await ask(port, 'GET /api/models', { host: 'example.com' })).toBe('200')
  expect(await upgrade(port, 'example.com')).toBe('101')
})
