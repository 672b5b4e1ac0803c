/** The delivery options of a reader, over real sockets. The policies themselves: src/delivery/slow-readers.test.ts. */
import { connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { clientFrame, openRawSocket } from './support/raw-socket.ts'
import { startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { openStream } from './support/stream.ts'

describe('a minimum interval between writes', () => {
  it.each(['SSE', 'WebSocket'])('makes few frames of many tokens over %s, and loses none', async (transport) => {
    const { url, millrace } = await startServer()
    await millrace.engine.append('s', [])
    const texts: string[] = []
    if (transport === 'SSE') {
      const stream = await openStream(`${url}/api/stream?session=s&interval=50`)
      await millrace.run({ session: 's', source: words() })
      for (const { event, data } of await stream.until('stream_end')) if (event === 'message') texts.push(JSON.parse(data).text)
    } else {
      const socket = await openSocket(url)
      socket.send({ type: 'attach', session: 's', interval: 50 })
      await socket.next()
      await millrace.run({ session: 's', source: words() })
      for (const { event, data } of await socket.until(({ event }) => event === 'stream_end'))
        if (event === 'message') texts.push((data as { text: string }).text)
    }
    expect(texts.join('')).toBe(Array.from({ length: 300 }, (_, index) => `${index + 1} `).join(''))
    expect(texts.length).toBeLessThan(100)
  })

  async function* words(): AsyncGenerator<string> {
    for (let n = 1; n <= 300; n++) {
      yield `${n} `
      await new Promise(setImmediate)
    }
  }
})

/** A client that reads nothing until `read` is called. */
async function stopped(port: number, head: string, then = ''): Promise<{ read(): Promise<string> }> {
  const socket = connect({ port, host: '127.0.0.1' })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  socket.pause()
  await new Promise<void>((resolve) => socket.write(`${head}\r\nhost: localhost\r\n\r\n${then}`, 'latin1', () => resolve()))
  return {
    async read() {
      let text = ''
      socket.setEncoding('latin1').on('data', (chunk) => {
        text += chunk
      })
      socket.resume()
      await new Promise((resolve) => socket.once('close', resolve))
      return text
    },
  }
}

/** More than the kernel buffers for a socket that is not read, and than a tail keeps for its readers. */
async function flood(publish: (n: number) => Promise<unknown>): Promise<number> {
  const piece = 300
  for (let n = 1; n <= piece; n++) {
    await publish(n)
    await new Promise(setImmediate)
  }
  return piece
}

/** The memory of this process after a garbage collection. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

describe('a hundred readers that have stopped reading', () => {
  const handshake = [
    'GET /ws/chat HTTP/1.1',
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  ]
  const message = JSON.stringify({ type: 'attach', channel: 'c' })
  /** Clients must mask their frames; a mask of zeros keeps the payload. */
  const attach = `\x81${String.fromCharCode(0x80 + message.length)}\0\0\0\0${message}`

  it.each(['SSE', 'WebSocket'])('take no more memory over %s, however much is published', async (transport) => {
    const { port, millrace } = await startServer({ engine: memoryEngine({ bytesMax: 1_000_000 }) })
    const head = transport === 'SSE' ? 'GET /api/stream?channel=c HTTP/1.1' : handshake.join('\r\n')
    for (let n = 0; n < 100; n++) await stopped(port, head, transport === 'SSE' ? '' : attach)
    await expect.poll(() => millrace.listConnections('channel/c')).toHaveLength(100)
    const publish = (n: number) => millrace.publish({ channel: 'c', data: `${n} ${'x'.repeat(100_000)}` })
    // 30 MB for each, more than the kernel buffers for it, and the same again.
    await flood(publish)
    const before = heldBytes()
    await flood(publish)
    expect(millrace.listConnections('channel/c').length).toBe(100)
    // A reader that had not stopped yet may have taken a few more events; queues would take 3 GB.
    expect((heldBytes() - before) / 1024 / 1024).toBeLessThan(40)
  })
})

describe('one reader that has stopped reading', () => {
  it('takes no more memory, however often it attaches again', async () => {
    const { port, millrace } = await startServer()
    for (let n = 0; n < 200; n++) await millrace.publish({ channel: 'c', data: 'x'.repeat(60_000) })
    const { socket } = await openRawSocket(port)
    socket.pause()
    const attach = clientFrame('{"type":"attach","channel":"c","from":"start"}')
    const attachMany = async (times: number, channel: string) => {
      for (let n = 0; n < times; n++) {
        socket.write(attach)
        // Each command is handled, and would be written to, before the next is sent.
        for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
      }
      socket.write(clientFrame(JSON.stringify({ type: 'publish', channel, data: 1 })))
      await expect.poll(() => millrace.engine.inspect(`channel/${channel}`)).toBeDefined()
      await expect.poll(() => millrace.listConnections('channel/c')).toHaveLength(1)
    }
    // The kernel's buffers.
    await attachMany(300, 'first')
    const before = heldBytes()
    await attachMany(1000, 'second')
    expect((heldBytes() - before) / 1024 / 1024).toBeLessThan(8)
  })
})

describe('a reader that is slower than its log', () => {
  it('is disconnected over SSE with slow=close', async () => {
    const { port, millrace } = await startServer()
    const client = await stopped(port, 'GET /api/stream?channel=c&slow=close HTTP/1.1')
    await expect.poll(() => millrace.connections).toBe(1)
    const count = await flood((n) => millrace.publish({ channel: 'c', data: `${n} ${'x'.repeat(50_000)}` }))
    await expect.poll(() => millrace.connections).toBe(0)
    expect(await client.read()).not.toContain(`"${count} `)
  })

  it('is closed with 4508 over a WebSocket with slow=close, and may reconnect', async () => {
    const { url, millrace } = await startServer()
    const socket = await openSocket(url)
    socket.send({ type: 'attach', channel: 'c', slow: 'close' })
    await socket.next()
    socket.client.pause()
    await flood((n) => millrace.publish({ channel: 'c', data: `${n} ${'x'.repeat(50_000)}` }))
    socket.client.resume()
    expect(await socket.closed).toEqual([4508, expect.stringContaining('slow')])
  })

  // It starts inside a merged event, where no shared frame starts: it was cut for that, and still counted.
  it.each(['wait', 'close', 'latest'])('is not a reader that has just attached, with slow=%s', async (slow) => {
    const { url, millrace } = await startServer()
    await millrace.engine.append('s', [])
    const first = await openStream(`${url}/api/stream?session=s&interval=500`)
    await millrace.run({ session: 's', source: Array.from({ length: 20 }, (_, index) => `${index + 1} `) })
    const { id } = (await first.until('message')).at(-1) as { id: string }
    const [epoch, offset] = id.split('-')
    expect(Number(offset)).toBeGreaterThan(5)
    const second = await openStream(`${url}/api/stream?session=s&interval=500&slow=${slow}&from=${epoch}-${Number(offset) - 2}`)
    expect((await second.next()).event).toBe(slow === 'latest' ? 'gap' : 'message')
    expect(millrace.listConnections('s')).toHaveLength(2)
    second.close()
    first.close()
    await expect.poll(() => millrace.connections).toBe(0)
  })

  it('gets the newest event and a gap with slow=latest', async () => {
    const { url, millrace } = await startServer()
    const socket = await openSocket(url)
    socket.send({ type: 'attach', channel: 'c', slow: 'latest' })
    await socket.next()
    socket.client.pause()
    const count = await flood((n) => millrace.publish({ channel: 'c', data: `${n} ${'x'.repeat(50_000)}` }))
    socket.client.resume()
    const seen = await socket.until(({ data }) => typeof data === 'string' && data.startsWith(`${count} `))
    const gaps = seen.filter(({ event }) => event === 'gap')
    expect(gaps.length).toBeGreaterThan(0)
    expect(seen.length).toBeLessThan(count)
    // Nothing is missing without a reported gap.
    let offset = 0
    for (const { id, event, data } of seen) {
      const at = Number(String(id).split('-')[1])
      if (event === 'gap') expect(Number((data as { from: string }).from.split('-')[1])).toBe(offset)
      else expect(at).toBe(offset + 1)
      offset = at
    }
  })
})

describe('an acknowledgement', () => {
  it('is recorded for the connection that reads, also if it arrives over another one', async () => {
    const { url, millrace } = await startServer()
    const { position } = await millrace.engine.append('s', [])
    const id = `${position.epoch}-0`
    const reading = await openSocket(url)
    reading.send({ type: 'attach', session: 's' })
    await reading.next()
    reading.send({ type: 'ack', session: 's', id, ref: '1' })
    expect(await reading.next()).toEqual({ type: 'acknowledged', ref: '1', session: 's', id })
    expect(millrace.listConnections('s').map(({ acknowledged }) => acknowledged)).toEqual([{ s: id }])
    const up = await openSocket(url, [], {}, '?session=s&down=sse')
    up.send({ type: 'ack', session: 's', id, ref: '2' })
    expect(await up.next()).toMatchObject({ type: 'acknowledged', ref: '2' })
    reading.send({ type: 'detach', session: 's' })
    await reading.next()
    expect(millrace.listConnections().map(({ acknowledged }) => acknowledged)).toEqual([{}, { s: id }])
  })
})
