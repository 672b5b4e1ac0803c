import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { delimiter, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it, onTestFinished } from 'vitest'
import { takeOver } from './takeover.ts'

type Parsed = Socket & { parser?: { close?: unknown } | null }
type Prepare = (socket: Parsed, response: ServerResponse) => void

const get = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'

/** Opens a stream; `prepare` is called before the takeover. */
async function open({ isHosted = false, prepare = () => {} }: { isHosted?: boolean; prepare?: Prepare } = {}) {
  const opened = Promise.withResolvers<{ socket: Parsed; request: WeakRef<IncomingMessage>; response: WeakRef<ServerResponse> }>()
  const server = createServer((request, response) => {
    const socket = response.socket as Parsed
    prepare(socket, response)
    const body = takeOver({ request, response, headers: {}, isHosted })
    body.write('hello')
    body.uncork()
    opened.resolve({ socket, request: new WeakRef(request), response: new WeakRef(response) })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {})
  onTestFinished(() => {
    client.destroy()
    server.close()
  })
  client.write(get)
  await once(client, 'data')
  const { socket, ...rest } = await opened.promise
  await setImmediate()
  return { server, client, socket, ...rest }
}

const read = async (client: Socket) => String((await once(client, 'data'))[0])

async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  // A WeakRef keeps its target until the end of the turn in which it was made or read.
  await setImmediate()
  runInNewContext('gc')()
}

it('releases the parser, the request and the response of a stream', async () => {
  const { client, socket, request, response } = await open()
  expect(socket.parser).toBeNull()
  expect(socket.listenerCount('close')).toBe(0)
  await collectGarbage()
  expect([request.deref(), response.deref()]).toEqual([undefined, undefined])
  client.write(`${get}${'x'.repeat(10_000)}`)
  socket.write('still a stream')
  expect(await read(client)).toBe('still a stream')
  client.end()
  await once(socket, 'close')
})

it('leaves the parser and the response of a host to it', async () => {
  let closes = 0
  const { server, client, socket, response } = await open({
    isHosted: true,
    prepare: (_, response) =>
      response.on('close', () => {
        closes += 1
      }),
  })
  expect(socket.parser).not.toBeNull()
  await collectGarbage()
  expect(response.deref()).toBeDefined()
  const closed = once(client, 'close')
  server.closeAllConnections()
  await closed
  expect(closes).toBe(1)
})

it('leaves what Node has built otherwise to Node', async () => {
  const { client, socket } = await open({ prepare: ({ parser }) => Object.assign(parser as object, { close: undefined }) })
  expect(socket.parser).not.toBeNull()
  expect(socket.listenerCount('close')).toBe(1)
  socket.write('still a stream')
  expect(await read(client)).toBe('still a stream')
  client.end()
  await once(socket, 'close')
  expect(socket.parser).toBeNull()
})

/** 300 streams, each with further requests in its first packet; a third of the clients has left before the response. */
const program = `
import { createServer } from 'node:http'
import { connect } from 'node:net'
const sockets = []
let isReleased = true
const server = createServer(async (request, response) => {
  if (request.url === '/later') await new Promise(setImmediate)
  if (!response.socket || response.socket.destroyed) return
  const body = takeOver({ request, response, headers: {}, isHosted: false })
  body.on('error', () => {})
  body.write('hello')
  body.uncork()
  sockets.push(body)
  setImmediate(() => setImmediate(() => { isReleased &&= body.destroyed || body.parser === null }))
}).listen(0, '127.0.0.1', async () => {
  await Promise.all(Array.from({ length: 300 }, (_, index) => new Promise((resolve) => {
    const client = connect(server.address().port, '127.0.0.1').on('error', () => {}).on('close', resolve)
    client.on('data', (text) => String(text).includes('hello') && setTimeout(() => client[index % 2 ? 'end' : 'destroy'](), 20))
    const requests = ('GET ' + (index % 4 < 2 ? '/' : '/later') + ' HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n').repeat(1 + (index % 3))
    client.write(requests, () => index % 3 === 2 && client.resetAndDestroy())
  })))
  for (const socket of sockets) if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
  console.log(isReleased && sockets.length > 0 && sockets.every(({ parser }) => parser === null) ? 'released' : 'kept')
  server.close()
})`

/** That of the tests, and those of the machine. */
const nodes = [process.execPath, ...(process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node'))]
  .filter((path) => existsSync(path))
  .map((path) => realpathSync(path))

it.each([...new Set(nodes)])('works on %s', async (node) => {
  const source = stripTypeScriptTypes(readFileSync(new URL('takeover.ts', import.meta.url), 'utf8'))
  const args = ['--input-type=module', '--eval', `${source}\n${program}`]
  // A connection that does not end would keep the program.
  const { stdout } = await promisify(execFile)(node, args, { timeout: 50_000 })
  expect(stdout).toBe('released\n')
})
