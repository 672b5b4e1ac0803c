/** Requests sent before the responses to earlier ones: handled in order, one after another, and in bounded memory. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { createPipeline } from '../src/gateway/pipeline.ts'
import { raw } from './support/raw.ts'
import { startServer } from './support/server.ts'

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${more}\r\n`

it('are handled in the order in which they were sent', async () => {
  const { port } = await startServer()
  const paths = Array.from({ length: 40 }, (_, index) => `/api/sessions/s${index}`)
  const answer = await raw(port, paths.map((path) => get(path)).join(''), get('/healthz', 'connection: close\r\n'))
  expect(answer.match(/HTTP\/1\.1 404/g)).toHaveLength(40)
  expect(answer.match(/HTTP\/1\.1 200/g)).toHaveLength(1)
  expect(answer.lastIndexOf('HTTP/1.1 200')).toBeGreaterThan(answer.lastIndexOf('HTTP/1.1 404'))
})

it('are not read while one is handled, and are read again afterwards', async () => {
  const begun: [url: string | undefined, ServerResponse][] = []
  let wake = () => {}
  const sockets: Socket[] = []
  const pipeline = createPipeline(({ url }, response) => {
    begun.push([url, response])
    wake()
  })
  const server = createServer(pipeline.handle).on('connection', (socket) => sockets.push(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  onTestFinished(() => void client.destroy())
  client.on('error', () => {})
  let text = ''
  client.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  const count = 2000
  const filling = `x: ${'x'.repeat(14_000)}\r\n`
  for (let index = 0; index < count; index++) client.write(get(`/${index}`, filling))
  for (let index = 0; index < count; index++) {
    while (begun.length === index) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    expect(begun).toHaveLength(index + 1)
    expect(begun[index]?.[0]).toBe(`/${index}`)
    // 28 MB are in transit.
    expect(sockets[0]?.bytesRead).toBeLessThan((index + 1) * 14_100 + 2 ** 20)
    begun[index]?.[1].end('done')
  }
  await expect.poll(() => text.match(/done/g)).toHaveLength(count)
})

it('close the connection if they exceed the limit', async () => {
  const { port, url } = await startServer()
  const sockets = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = connect(port, '127.0.0.1').pause()
      onTestFinished(() => void socket.destroy())
      socket.on('error', () => {})
      await once(socket, 'connect')
      return socket
    }),
  )
  const before = process.memoryUsage.rss()
  const closed = sockets.map((socket) => new Promise((resolve) => socket.resume().once('close', resolve)))
  for (const socket of sockets) socket.write(get('/healthz').repeat(5000))
  await Promise.all(closed)
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  // It was 1.6 GB.
  expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 2 ** 20)
})

it('that are malformed close the connection, without a response inside the one before', async () => {
  const { port, millrace } = await startServer()
  await millrace.engine.append('s', [])
  const poll = get('/api/stream?session=s&live=poll&from=now&wait=1')
  expect(await raw(port, `${poll}GET / HTTP/1.1\r\nnot a header\r\n\r\n`)).not.toMatch('malformed_http')
})
