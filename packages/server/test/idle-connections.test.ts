/** What a connection keeps in memory while nothing happens: bench/src/idle.ts measures it. */
import { once } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { queryObjects } from 'node:v8'
import { expect, it, onTestFinished } from 'vitest'
import { openRawSocket } from './support/raw-socket.ts'
import { startServer } from './support/server.ts'

const connections = 20
const kinds = [IncomingMessage, ServerResponse, AbortSignal, Headers, Response]

/** Objects of each kind that live after a full collection. */
const count = () => kinds.map((kind) => queryObjects(kind as never, { format: 'count' }) as unknown as number)

async function openStream(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.write('GET /api/stream?session=s HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n')
  await once(socket, 'data')
}

async function openAttached(port: number): Promise<void> {
  const { socket, until } = await openRawSocket(port)
  const message = Buffer.from('{"type":"attach","session":"s"}')
  socket.write(Buffer.concat([Buffer.of(0x81, 0x80 | message.length, 0, 0, 0, 0), message]))
  await until(({ payload }) => payload.includes('attached'))
}

it.each([
  ['a stream', openStream, {}],
  ['a WebSocket', openAttached, {}],
  ['an authenticated stream', openStream, { authenticate: () => ({ id: 'ada' }) }],
  ['an authenticated WebSocket', openAttached, { authenticate: () => ({ id: 'ada' }) }],
])('%s keeps nothing of its HTTP request', async (_what, open, options) => {
  const { millrace, port } = await startServer(options)
  await millrace.engine.append('s', [])
  const before = count()
  for (let n = 0; n < connections; n++) await open(port)
  expect(millrace.connections).toBe(connections)
  // What the first connection creates for all is not counted.
  const kept = () => count().map((now, index) => Math.floor((now - (before[index] ?? 0)) / (connections / 4)))
  await expect.poll(() => Math.max(...kept())).toBe(0)
})
