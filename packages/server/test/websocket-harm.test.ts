/** Harmful clients of a WebSocket: each is closed with a code, and a reader beside it is not disturbed. */
import { once } from 'node:events'
import { type Engine, MillraceError, memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { clientFrame, closeCode, openRawSocket, type RawSocket } from './support/raw-socket.ts'
import { startServer, type TestServer } from './support/server.ts'
import { openSocket, type TestSocket } from './support/socket.ts'

/** Reads a channel, into which numbers are published, and records what it receives. */
async function startBystander({ url, millrace }: TestServer) {
  const socket = await openSocket(url)
  socket.send({ type: 'attach', channel: 'c' })
  await socket.next()
  let published = 0
  let isOver = false
  const publishing = (async () => {
    while (!isOver) {
      await millrace.publish({ channel: 'c', data: ++published })
      await new Promise(setImmediate)
    }
  })()
  const stop = async () => {
    isOver = true
    await publishing
  }
  onTestFinished(stop)
  return {
    /** Resolves when it has received twenty more. */
    async readOn() {
      const last = published + 20
      await socket.until(({ data }) => data === last)
    },
    async expectUntouched() {
      await stop()
      await expect.poll(() => socket.received.at(-1)?.data).toBe(published)
      expect(socket.received.slice(1).map(({ data }) => data)).toEqual(Array.from({ length: published }, (_, n) => n + 1))
      expect(socket.client.readyState).toBe(socket.client.OPEN)
    },
  }
}

/** Beyond what may be sent at once, and what may be added in the time it takes. */
const flood = 4000

const times = (count: number, act: () => void) => {
  for (let n = 0; n < count; n++) act()
}

describe('a harmful client is closed with a code, and nobody else is disturbed', () => {
  it.each<[string, (socket: TestSocket) => void, number]>([
    ['sixteen refused messages', ({ send }) => times(16, () => send('{}')), 4400],
    ['a flood of messages', ({ send }) => times(flood, () => send({ type: 'ping' })), 4429],
    ['a flood of pings', ({ client }) => times(flood, () => client.ping()), 4429],
    ['a message that is too large', ({ send }) => send('x'.repeat(300_000)), 1009],
    ['a message in endless pieces', ({ client }) => times(1100, () => client.send('x', { fin: false })), 1008],
    ['bytes where text is due', ({ client }) => client.send(Buffer.from('{}'), { binary: true }), 1003],
    ['text that is not UTF-8', ({ client }) => client.send(Buffer.of(0x7b, 0xff, 0x7d), { binary: false }), 1007],
    ['a frame of no known kind', (socket) => writeRaw(socket, clientFrame('', 3)), 1002],
    ['a frame that is not masked', (socket) => writeRaw(socket, Buffer.of(0x81, 0x02, 0x7b, 0x7d)), 1002],
  ])('%s', async (_what, harm, code) => {
    const server = await startServer()
    const bystander = await startBystander(server)
    const socket = await openSocket(server.url)
    harm(socket)
    expect((await socket.closed)[0]).toBe(code)
    await expect.poll(() => server.millrace.connections).toBe(1)
    await bystander.expectUntouched()
    expect(server.errors).toEqual([])
  })

  it('but 2,000 messages and pings at once are accepted', async () => {
    const { url } = await startServer()
    const socket = await openSocket(url)
    times(1999, () => socket.send({ type: 'ping' }))
    socket.send({ type: 'ping', ref: 'last' })
    expect((await socket.until(({ ref }) => ref === 'last')).length).toBe(2000)
    times(flood, () => socket.send({ type: 'ping' }))
    expect((await socket.closed)[0]).toBe(4429)
  })

  it('and the server does not wait for the Close frame of a client that floods it', async () => {
    const { port, millrace } = await startServer()
    const { socket, until } = await openRawSocket(port)
    socket.write(clientFrame('{"type":"ping"}').toString('latin1').repeat(flood), 'latin1')
    await until((frame) => closeCode(frame) === 4429)
    await once(socket, 'end')
    await expect.poll(() => millrace.connections).toBe(0)
  })

  it.each([
    ['engine_failed', true],
    ['log_damaged', false],
  ] as const)('but not for what is refused with %s', async (code, retryable) => {
    const engine = memoryEngine()
    const append: Engine['append'] = async () => {
      throw new MillraceError(code)
    }
    const { url } = await startServer({ engine: { ...engine, append } })
    const socket = await openSocket(url)
    times(20, () => socket.send({ type: 'publish', channel: 'c', data: 1 }))
    for (let n = 0; n < 20; n++) expect(await socket.next()).toMatchObject({ error: { code, retryable } })
    socket.send({ type: 'ping' })
    expect(await socket.next()).toEqual({ type: 'pong' })
  })

  it('but more than 64 sessions and channels at once are only rejected', async () => {
    const { url } = await startServer()
    const socket = await openSocket(url)
    for (let n = 1; n <= 65; n++) socket.send({ type: 'attach', channel: `c${n}`, ref: `${n}` })
    const answers = await socket.until(({ ref }) => ref === '65')
    expect(answers.filter(({ type }) => type === 'attached')).toHaveLength(64)
    expect(answers.at(-1)).toMatchObject({ type: 'error', error: { code: 'too_many_attachments', retryable: false } })
    socket.send({ type: 'detach', channel: 'c1' })
    await socket.next()
    socket.send({ type: 'attach', channel: 'c65' })
    expect(await socket.next()).toMatchObject({ type: 'attached', channel: 'c65' })
  })
})

// Frames of a busy log came after the Close frame; Chromium then reports 1006, on which every client reconnects.
describe('the Close frame', () => {
  it.each<[number, () => Buffer]>([
    [4400, () => Buffer.concat(Array.from({ length: 16 }, () => clientFrame('{}')))],
    [4429, () => Buffer.concat(Array.from({ length: flood }, () => clientFrame('{"type":"ping"}')))],
    [1009, () => clientFrame('x'.repeat(300_000))],
    [1003, () => clientFrame('{}', 2)],
    [1002, () => clientFrame('', 3)],
  ])('with %i is the last one that a client gets, however busy its logs', async (code, harm) => {
    const server = await startServer()
    const bystander = await startBystander(server)
    const raw = await attached(server)
    raw.socket.write(harm())
    await raw.until((frame) => closeCode(frame) === code)
    // Its own side stays open: frames that the server still sends would arrive.
    raw.socket.write(clientFrame('{"type":"ping","ref":"late"}'))
    await bystander.readOn()
    expect(closeCode(raw.frames.at(-1) as never)).toBe(code)
    await bystander.expectUntouched()
  })

  it('stops the handling of messages, also of earlier ones', async () => {
    const server = await startServer()
    const raw = await attached(server)
    const publish = (channel: string) => clientFrame(JSON.stringify({ type: 'publish', channel, data: 1 }))
    raw.socket.write(
      Buffer.concat([publish('before'), ...Array.from({ length: 16 }, () => clientFrame('{}')), publish('behind')]),
    )
    await raw.until((frame) => closeCode(frame) === 4400)
    raw.socket.write(publish('after'))
    raw.socket.end(clientFrame(Buffer.of(0x11, 0x30), 8))
    await expect.poll(() => server.millrace.connections).toBe(0)
    const exist = await Promise.all(
      ['before', 'behind', 'after'].map(async (name) => (await server.millrace.engine.inspect(`channel/${name}`)) !== undefined),
    )
    expect(exist).toEqual([true, false, false])
  })

  async function attached({ port }: TestServer): Promise<RawSocket> {
    const raw = await openRawSocket(port)
    raw.socket.write(clientFrame('{"type":"attach","channel":"c"}'))
    await raw.until(({ payload }) => payload.includes('"attached"'))
    return raw
  }
})

function writeRaw({ client }: TestSocket, bytes: Buffer): void {
  ;(client as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(bytes)
}
