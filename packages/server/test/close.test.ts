/** `close()` ends in bounded time whatever its engine does: a service manager would otherwise kill it half way. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { createMillrace, type Engine, memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'

const never = () => new Promise<never>(() => {})

describe('close()', () => {
  it('inspects each log once, and does not wait for concurrent writes', async () => {
    const inner = memoryEngine()
    let looks = 0
    const engine: Engine = {
      ...inner,
      async inspect(log) {
        looks++
        await setTimeout(2)
        return inner.inspect(log)
      },
    }
    const { millrace } = await startServer({ engine })
    for (let n = 0; n < 50; n++) await engine.append(`s${n}`, [])
    for (let n = 0; n < 100; n++) await millrace.fetch(new Request(`http://host/api/stream?session=s${n % 50}`))
    let isWriting = true
    onTestFinished(() => {
      isWriting = false
    })
    void (async () => {
      for (let n = 0; isWriting; n++) {
        await inner.append(`s${n % 50}`, [{ type: 'message', data: { run: 'r', lane: 'l', text: 'x' } }]).catch(() => {})
        await setTimeout(0)
      }
    })()
    looks = 0
    await millrace.close()
    expect(looks).toBeLessThanOrEqual(50)
  })

  it.each(['append', 'inspect', 'close'] as const)('ends if the engine never responds to %s', async (call) => {
    const inner = memoryEngine()
    let isGone = false
    const real = inner[call] as (...args: never[]) => unknown
    const engine: Engine = { ...inner, [call]: (...args: never[]) => (isGone ? never() : real(...args)) }
    const millrace = createMillrace({ engine, model: 'sim:count?n=10000&tps=100', onError: () => {} })
    await millrace.ask({ query: 'x' })
    await engine.append('s', [])
    const stream = await millrace.fetch(new Request('http://host/api/stream?session=s'))
    isGone = true
    await millrace.close()
    await stream.text()
    expect(millrace.connections).toBe(0)
  })

  it('closes the connections of streams whose clients do not', async () => {
    const { millrace, port } = await startServer()
    await millrace.engine.append('s', [])
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    onTestFinished(() => void client.destroy())
    client.write('GET /api/stream?session=s HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await once(client, 'data')
    await millrace.close()
    // A socket that is only half closed would take the bytes until its time is over.
    const failed = once(client.resume(), 'error')
    const writing = setInterval(() => client.write('x'), 10)
    onTestFinished(() => clearInterval(writing))
    await failed
  }, 20_000)

  it('answers the long-polls that wait', async () => {
    const { millrace, url } = await startServer()
    const { position } = await millrace.engine.append('s', [])
    const from = `${position.epoch}-0`
    const poll = async () => (await fetch(`${url}/api/stream?session=s&live=poll&wait=30&from=${from}`)).json()
    const polls = Promise.all(Array.from({ length: 20 }, poll))
    await expect.poll(() => millrace.connections).toBe(20)
    const [answers] = await Promise.all([polls, millrace.close()])
    expect(answers).toEqual(Array(20).fill({ events: [], position: from }))
  })

  it('lets a client read a large response to its end', async () => {
    const { millrace, port } = await startServer()
    const text = 'x'.repeat(900_000)
    await millrace.engine.append('s', [
      { type: 'stream_start', data: { run: 'r', session: 's', query: 'q', lanes: [{ lane: 'l', model: 'm' }] } },
    ])
    for (let n = 0; n < 8; n++) await millrace.engine.append('s', [{ type: 'message', data: { run: 'r', lane: 'l', text } }])
    const client = connect(port, '127.0.0.1')
    onTestFinished(() => void client.destroy())
    client.write('GET /api/sessions/s HTTP/1.1\r\nhost: localhost\r\n\r\n')
    // More than the system takes at once.
    await once(client, 'readable')
    const closing = millrace.close()
    let length = 0
    for await (const chunk of client as AsyncIterable<Buffer>) length += chunk.length
    expect(length).toBeGreaterThan(8 * text.length)
    await closing
  })

  it('does not wait for a response that never comes', async () => {
    const inner = memoryEngine()
    const { millrace, url } = await startServer({ engine: { ...inner, read: never } })
    await inner.append('s', [])
    const poll = fetch(`${url}/api/stream?session=s&live=poll`)
    await expect.poll(() => millrace.connections).toBe(1)
    const cut = expect(poll).rejects.toThrow('fetch failed')
    await millrace.close()
    await cut
  })

  it('accepts nothing new over an open WebSocket', async () => {
    const { url, millrace } = await startServer()
    const socket = await openSocket(url)
    const run = await millrace.run({ source: never as never })
    const closing = millrace.close({ graceMs: 60_000 })
    for (const message of [
      { type: 'publish', channel: 'c', data: 1 },
      { type: 'run', query: 'x' },
      { query: 'x' },
      { type: 'attach', channel: 'c' },
    ]) {
      socket.send(message)
      expect(await socket.next()).toMatchObject({ error: { code: 'server_stopping' } })
    }
    socket.send({ type: 'stop', run: run.id })
    expect(await socket.next()).toMatchObject({ type: 'ended', end: { status: 'stopped' } })
    await closing
  })
})
