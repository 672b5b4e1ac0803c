/** Upgrade requests that are not for Millrace's WebSocket: they are ignored, or left to the host's listeners. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createMillrace, type Millrace } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { ask, raw } from './support/raw.ts'
import { startServer } from './support/server.ts'

/** The host's own server, where Node passes every upgrade request to the `upgrade` listeners. */
async function startHost(upgrades: (millrace: Millrace) => ((...upgrade: never[]) => void)[]): Promise<number> {
  const millrace = createMillrace({ model: 'sim:count?n=2&tps=0' })
  const listener: RequestListener = (request, response) => {
    millrace.handler(request, response, () =>
      request.on('data', (chunk) => response.write(chunk)).on('end', () => response.end('host')),
    )
  }
  const server = createServer(listener)
  for (const upgrade of upgrades(millrace)) server.on('upgrade', upgrade as never)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await millrace.close()
  })
  return (server.address() as AddressInfo).port
}

const nobody = () => {}
const places: [string, () => Promise<number>][] = [
  ['a server of its own', async () => (await startServer({ model: 'sim:count?n=2&tps=0' })).port],
  ['a server of the host', () => startHost(({ upgrade }) => [upgrade])],
  ['a server of the host on which others listen too', () => startHost(({ upgrade }) => [nobody, upgrade])],
]
const h2c = {
  connection: 'Upgrade, HTTP2-Settings, close',
  upgrade: 'h2c',
  'http2-settings': 'AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA',
}

describe.each(places)('an upgrade request, on %s', (_where, start) => {
  it.each([
    ['HTTP/2, as of Java and curl --http2', h2c],
    ['TLS', { connection: 'upgrade, close', upgrade: 'TLS/1.0' }],
    ['several', { connection: 'close, Upgrade', upgrade: 'h2c, IRC/6.9' }],
  ])('for %s is ignored', async (_what, headers) => {
    const port = await start()
    const host = { host: 'localhost', ...headers }
    const json = { ...host, 'content-type': 'application/json' }
    expect(await ask(port, 'GET /healthz', host)).toBe('200')
    expect(await ask(port, 'POST /api/sessions', json, '{"id":"s"}')).toBe('201')
    expect(await ask(port, 'POST /api/sessions', json, '{"id":1}')).toBe('400 invalid_id')
    const head = Object.entries({ ...json, 'transfer-encoding': 'chunked' }).map(([name, value]) => `${name}: ${value}\r\n`)
    const chunks = ['b\r\n{"query":"x\r\n', '2\r\n"}\r\n', '0\r\n\r\n']
    const answer = await raw(port, `POST /api/chat HTTP/1.1\r\n${head.join('')}\r\n`, ...chunks)
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*"text":"1 "[\s\S]*event: stream_end/)
  })

  it('keeps the connection for the next request', async () => {
    const port = await start()
    const { connection: _, ...rest } = h2c
    const lines = Object.entries({ host: 'localhost', connection: 'Upgrade, HTTP2-Settings', ...rest })
    const first = `GET /healthz HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
    const answers = await raw(port, first, 'GET /api/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
    expect(answers.match(/HTTP\/1\.1 200/g)).toHaveLength(2)
  })
})

it("gives the host's own routes the request unchanged", async () => {
  const port = await startHost(({ upgrade }) => [upgrade])
  const answer = await raw(port, `POST /own HTTP/1.1\r\nhost: localhost\r\n${lines(h2c)}content-length: 4\r\n\r\nbody`)
  expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*body[\s\S]*host/)
})

it.each(['before', 'after'])("leaves the host's own WebSockets to the listener that it added %s", async (order) => {
  const own = new WebSocketServer({ noServer: true })
  own.on('connection', (socket) => socket.on('message', (data: Buffer) => socket.send(`own ${data.toString()}`)))
  const port = await startHost(({ upgrade }) => {
    const listener = (...[request, socket, head]: Parameters<typeof upgrade>) => {
      // As a host that authenticates before it accepts.
      if (request.url === '/own')
        setImmediate(() => own.handleUpgrade(request, socket, head, (client) => own.emit('connection', client)))
    }
    return (order === 'before' ? [listener, upgrade] : [upgrade, listener]) as never
  })
  const socket = new WebSocket(`ws://127.0.0.1:${port}/own`)
  onTestFinished(() => socket.terminate())
  await once(socket, 'open')
  socket.send('hello')
  expect(String((await once(socket, 'message'))[0])).toBe('own hello')
  const ours = new WebSocket(`ws://127.0.0.1:${port}/ws/chat`)
  onTestFinished(() => ours.terminate())
  await once(ours, 'open')
  ours.send('{"type":"ping"}')
  expect(String((await once(ours, 'message'))[0])).toBe('{"type":"pong"}')
})

it('responds to a WebSocket of another path as to any request, if no other listener could take it', async () => {
  const { port } = await startServer()
  const headers = { host: 'localhost', connection: 'upgrade, close', upgrade: 'websocket' }
  expect(await ask(port, 'GET /ws/nothing', headers)).toBe('404 not_found')
  expect(await ask(await startHost(({ upgrade }) => [upgrade]), 'GET /ws/nothing', headers)).toBe('200')
})

function lines(headers: Record<string, string>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
}

it('answers a plain request to the WebSocket with upgrade_required, and the name of the protocol', async () => {
  const { url } = await startServer()
  const response = await fetch(`${url}/ws/chat`)
  expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'websocket'])
  expect(await response.json()).toMatchObject({ error: { code: 'upgrade_required' } })
  expect((await fetch(`${url}/ws/chat`, { method: 'POST' })).status).toBe(405)
})
