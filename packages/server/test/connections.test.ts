import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { startRun, startServer, type TestServer } from './support/server.ts'
import { openStream } from './support/stream.ts'

/** A stream over a raw socket, which the test can cut, stall and abuse. */
async function rawStream(
  port: number,
  path: string,
): Promise<{ socket: Socket; text: () => string; until: (part: string | RegExp) => Promise<void> }> {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  let text = ''
  let seen = () => {}
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
    seen()
  })
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
  const until = async (part: string | RegExp) => {
    while (text.search(part) === -1) {
      await new Promise<void>((resolve) => {
        seen = resolve
      })
    }
  }
  await until(': millrace\n\n')
  return { socket, text: () => text, until }
}

async function sessionServer(): Promise<TestServer & { model: ReturnType<typeof gatedModel>; path: string }> {
  const model = gatedModel()
  const server = await startServer({ models: [model], model: 'gated' })
  const { session } = await startRun(server.url, { query: 'x' })
  return { ...server, model, path: `/api/stream?session=${session}` }
}

describe('a stream on a socket that the transport has taken over', () => {
  it('is one HTTP/1.1 response whose body ends with the connection', async () => {
    const { port, path, model } = await sessionServer()
    const { text, until } = await rawStream(port, path)
    model.say('hello')
    await until('"text":"hello"')
    const [head = '', body = ''] = text().split(/\r\n\r\n(.*)/s)
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(head.toLowerCase()).toMatch('connection: close')
    expect(head.toLowerCase()).not.toMatch(/transfer-encoding|content-length|keep-alive/)
    expect(body).toMatch(/^retry: \d+\n\n: millrace\n\nevent: stream_start\n/)
  })

  it('never responds to a second request inside the first response', async () => {
    const { port, path, model } = await sessionServer()
    const { socket, text, until } = await rawStream(port, path)
    socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n')
    model.say('still a stream')
    await until('still a stream')
    expect(text().match(/HTTP\/1\.1/g)).toHaveLength(1)
  })

  it('nor to one in the same packet', async () => {
    const { port, path, model } = await sessionServer()
    const socket = connect(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
    const get = (address: string) => `GET ${address} HTTP/1.1\r\nhost: localhost\r\n\r\n`
    socket.write(get(path) + get('/healthz') + get(path))
    await expect.poll(() => text).toMatch('stream_start')
    model.say('still a stream')
    await expect.poll(() => text).toMatch('still a stream')
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1)
  })

  it('detects that its client has disconnected also behind further requests', async () => {
    const { port, path, millrace } = await sessionServer()
    const socket = connect(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    const request = `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`
    socket.write(request.repeat(2))
    const [chunk] = await once(socket, 'data')
    expect(String(chunk)).toMatch('200 OK')
    expect(millrace.connections).toBe(1)
    socket.end(request)
    await expect.poll(() => millrace.connections).toBe(0)
  })

  it('is closed when the client keeps sending', async () => {
    const { port, path } = await sessionServer()
    const { socket } = await rawStream(port, path)
    const closed = once(socket, 'close')
    const flood = setInterval(() => socket.write('x'.repeat(64 * 1024)), 1)
    onTestFinished(() => clearInterval(flood))
    await closed
  })

  it.each(['end', 'destroy', 'resetAndDestroy'] as const)(
    'detects at once that its client has disconnected by %s',
    async (how) => {
      const { port, path, millrace } = await sessionServer()
      const { socket } = await rawStream(port, path)
      expect(millrace.connections).toBe(1)
      socket[how]()
      await expect.poll(() => millrace.connections).toBe(0)
    },
  )

  it('sends heartbeats from the start, which do not move the position', async () => {
    const model = gatedModel()
    const { url, port } = await startServer({ models: [model], model: 'gated', heartbeatMs: 60 })
    const { session } = await startRun(url, { query: 'x' })
    const { text, until } = await rawStream(port, `/api/stream?session=${session}`)
    await until(/(\n\n: \d+){3}\n\n/)
    const clocks = [...text().matchAll(/\n: (\d+)\n/g)].map(([, clock]) => Number(clock))
    expect(clocks).toEqual(clocks.toSorted((a, b) => a - b))
    expect(text().match(/^id: /gm)).toHaveLength(1)
  })
})

describe('a reader that stops reading', () => {
  it('blocks nobody, costs a cursor and not a queue, and is cut if it does not move between two heartbeats', async () => {
    const { millrace, port, url } = await startServer({ heartbeatMs: 300 })
    await millrace.engine.append('s', [])
    const stalled = await Promise.all(Array.from({ length: 20 }, () => rawStream(port, '/api/stream?session=s')))
    for (const { socket } of stalled) socket.pause()
    const reader = await openStream(`${url}/api/stream?session=s`)
    const word = 'x'.repeat(32 * 1024)
    const run = await millrace.run({
      session: 's',
      async *source() {
        for (let n = 0; n < 1000; n++) {
          yield word
          if (n % 10 === 0) await new Promise(setImmediate)
        }
      },
    })
    const before = process.memoryUsage().external
    await reader.until('stream_end')
    expect((await run.ended).status).toBe('completed')
    // 20 queues would take 640 MB.
    expect(process.memoryUsage().external - before).toBeLessThan(150 * 2 ** 20)
    await expect.poll(() => millrace.connections).toBe(1)
  })

  it('continues where it was when it reads again', async () => {
    const { millrace, port } = await startServer()
    await millrace.engine.append('s', [])
    const { socket, text, until } = await rawStream(port, '/api/stream?session=s')
    socket.pause()
    await millrace.run({
      session: 's',
      async *source() {
        for (let n = 1; n <= 3000; n++) {
          yield `${n}${'.'.repeat(2000)} `
          if (n % 50 === 0) await new Promise(setImmediate)
        }
      },
    })
    socket.resume()
    await until('stream_end')
    const said = [...text().matchAll(/"text":"([^"]*)"/g)].map(([, words]) => words).join('')
    expect(said.replaceAll('.', '')).toBe(Array.from({ length: 3000 }, (_, n) => `${n + 1} `).join(''))
  })
})
