/**
 * Clients that disconnect while the server still handles their request. Sixty that had sent `attach` and left were once
 * counted as readers for ever, and their session answered 429 to everybody; earlier tests only disconnected clients
 * that had got their response.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { createMillrace } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { gatedEngine } from './support/gated-engine.ts'
import { openSocket } from './support/socket.ts'

/** A host that can report that a client has disconnected. */
async function start() {
  const engine = gatedEngine()
  const millrace = createMillrace({ engine, model: 'sim:count?n=5&tps=0', limits: { connectionsPerSession: 1 } })
  const server = createServer(millrace.handler).on('upgrade', millrace.upgrade).listen(0, '127.0.0.1')
  onTestFinished(async () => {
    await millrace.close()
    server.close()
  })
  await once(server, 'listening')
  await engine.append('s', [])
  const { port } = server.address() as AddressInfo
  const sockets = () => new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)))
  return { engine, millrace, port, url: `http://127.0.0.1:${port}`, sockets }
}

type Host = Awaited<ReturnType<typeof start>>

const message = (text: string) => async (url: string) => {
  const socket = await openSocket(url)
  return {
    ask: () => socket.send(text),
    leave: () => socket.client.terminate(),
  }
}

const get = (path: string) => async (url: string) => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  return {
    ask: () => void socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`),
    leave: () => void socket.resetAndDestroy(),
  }
}

describe('a client that disconnects before its response', () => {
  it.each([
    ['an attach', message('{"type":"attach","session":"s"}')],
    ['an attach to a channel', message('{"type":"attach","channel":"c"}')],
    ['a question over a WebSocket', message('{"query":"x","session":"s"}')],
    ['a stream', get('/api/stream?session=s')],
    ['a long-poll', get('/api/stream?session=s&live=poll&wait=30')],
    ['a question over SSE', get('/api/chat?query=x&session=s')],
  ])('leaves nothing behind: %s', async (_what, open) => {
    const host = await start()
    await leaveWhileHandled(host, await open(host.url))
    // There is one place, and it is free.
    expect((await fetch(`${host.url}/api/stream?session=s&live=poll&wait=0`)).status).toBe(200)
    await expect.poll(() => [host.engine.watchers, host.millrace.connections]).toEqual([0, 0])
  })
})

it('leaves nothing behind of a web-standard request whose body is never cancelled', async () => {
  const { engine, millrace } = await start()
  for (const when of ['before the answer', 'after it']) {
    const abort = new AbortController()
    engine.hold()
    const answer = millrace.fetch(new Request('http://localhost/api/stream?session=s', { signal: abort.signal }))
    if (when === 'before the answer') abort.abort()
    engine.release()
    expect((await answer).status).toBe(200)
    abort.abort()
    await expect.poll(() => [engine.watchers, millrace.connections]).toEqual([0, 0])
  }
})

async function leaveWhileHandled({ engine, sockets }: Host, client: { ask(): void; leave(): void }): Promise<void> {
  engine.hold()
  client.ask()
  await expect.poll(() => engine.held).toBeGreaterThan(0)
  client.leave()
  await expect.poll(() => sockets()).toBe(0)
  engine.release()
  await expect.poll(() => engine.held).toBe(0)
}
