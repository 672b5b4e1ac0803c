/** A reader gets its place before its run starts: a rejected client asks again, and would pay again. And connections are closed. */
import { type MillraceOptions, memoryEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { openRawSocket } from './support/raw-socket.ts'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { data, openStream } from './support/stream.ts'

/** A server that counts every start of a model. */
async function startCounting(options: MillraceOptions) {
  let asked = 0
  const model = {
    name: 'paid',
    async *stream() {
      asked++
      yield 'paid'
    },
  }
  return { ...(await startServer({ models: [model], model: 'paid', ...options })), asked: () => asked }
}

describe('a reader that is rejected has started nothing', () => {
  const starts: [string, (url: string, session: string) => Promise<Response>][] = [
    ['GET', (url, session) => fetch(`${url}/api/chat?query=x&session=${session}`)],
    ['POST', (url, session) => postJson(`${url}/api/chat`, { query: 'x', session })],
    ['continue', (url, session) => postJson(`${url}/api/runs/stopped/continue`, { session })],
  ]

  it.each(starts)('if its address has no place left: %s', async (_how, start) => {
    const { url, millrace, asked } = await startCounting({ limits: { connectionsPerAddress: 1 } })
    const run = await millrace.run({
      id: 'stopped',
      model: 'paid',
      source: async function* () {
        yield 'x'
        throw new Error('broken')
      },
    })
    await run.ended
    await using _stream = await openStream(`${url}/api/stream?channel=c`)
    expect((await start(url, run.session)).status).toBe(429)
    expect(asked()).toBe(0)
    expect((await millrace.readSession(run.session))?.runs).toHaveLength(1)
  })

  it.each(starts)('if the session has no place left: %s', async (_how, start) => {
    const { url, millrace, asked } = await startCounting({ limits: { connectionsPerSession: 1 } })
    const run = await millrace.run({
      id: 'stopped',
      model: 'paid',
      source: async function* () {
        yield 'x'
        throw new Error('broken')
      },
    })
    await run.ended
    await using _stream = await openStream(`${url}/api/stream?session=${run.session}`)
    expect((await start(url, run.session)).status).toBe(429)
    expect(asked()).toBe(0)
    expect((await millrace.readSession(run.session))?.runs).toHaveLength(1)
    // A client that does not read needs no place.
    expect((await postJson(`${url}/api/chat`, { query: 'x', session: run.session }, { accept: 'application/json' })).status).toBe(
      202,
    )
  })

  it('over a WebSocket: if the session has no place left', async () => {
    const { url, millrace, asked } = await startCounting({ limits: { connectionsPerSession: 1 } })
    const { session } = await startRun(url, { query: 'x' })
    await expect.poll(() => asked()).toBe(1)
    await using stream = await openStream(`${url}/api/stream?session=${session}`)
    const socket = await openSocket(url)
    socket.send({ query: 'x', session })
    expect(await socket.next()).toMatchObject({ error: { code: 'too_many_connections' } })
    stream.close()
    await expect.poll(() => millrace.listConnections(session)).toEqual([])
    socket.send({ query: 'y', session })
    await socket.until(({ status }) => status === 'completed')
    expect(millrace.listConnections(session)).toEqual([])
    expect(asked()).toBe(2)
  })

  it('over a WebSocket: if it carries as many answers as it may', async () => {
    const { url, asked } = await startCounting({})
    const socket = await openSocket(url)
    for (let n = 1; n <= 64; n++) {
      socket.send({ type: 'attach', channel: `c${n}` })
      await socket.next()
    }
    socket.send({ query: 'x' })
    expect(await socket.next()).toMatchObject({ error: { code: 'too_many_attachments' } })
    expect(asked()).toBe(0)
  })

  it('nor created any of several channels, where one has no place left', async () => {
    const engine = memoryEngine()
    const { url } = await startServer({ engine, limits: { connectionsPerSession: 1 } })
    await using _stream = await openStream(`${url}/api/stream?channel=taken`)
    const response = await fetch(`${url}/api/stream?channel=new&channel=taken`)
    expect(response.status).toBe(429)
    expect(await engine.inspect('channel/new')).toBeUndefined()
  })

  it('nor created a channel', async () => {
    const engine = memoryEngine()
    const { url } = await startServer({ engine, limits: { connectionsPerAddress: 0 } })
    for (const more of ['', '&live=poll']) expect((await fetch(`${url}/api/stream?channel=c${more}`)).status).toBe(429)
    expect(await engine.inspect('channel/c')).toBeUndefined()
  })

  it('and a reader that has a place attaches again when no other place is left', async () => {
    const { url } = await startServer({ limits: { connectionsPerSession: 1 } })
    const socket = await openSocket(url)
    for (let n = 0; n < 2; n++) {
      socket.send({ type: 'attach', channel: 'c' })
      expect(await socket.next()).toMatchObject({ type: 'attached' })
    }
  })
})

describe('closeConnections(filter, code)', () => {
  it('gives a stream the reason, and a native EventSource the time to reconnect', async () => {
    const { url, millrace } = await startServer()
    await millrace.engine.append('s', [])
    const stream = await openStream(`${url}/api/stream?session=s`)
    const other = await openStream(`${url}/api/stream?channel=c`)
    const [listed] = millrace.listConnections('s')
    expect(millrace.closeConnections({ id: listed?.id ?? '' }, 'connection_closed')).toBe(1)
    const [error] = await stream.rest()
    expect([error?.event, data(error as never)]).toMatchObject([
      'error',
      { error: { code: 'connection_closed', retryable: true } },
    ])
    expect(millrace.listConnections().map(({ sessions }) => sessions)).toEqual([['channel/c']])
    other.close()
  })

  it('closes a WebSocket with a code that says whether to reconnect, and ends a long-poll', async () => {
    const { url, port, millrace } = await startServer()
    await millrace.engine.append('s', [])
    const polled = fetch(`${url}/api/stream?session=s&live=poll`)
    const socket = await openSocket(url)
    socket.send({ type: 'attach', session: 's' })
    await socket.next()
    await expect.poll(() => millrace.listConnections('s')).toHaveLength(2)
    expect(millrace.closeConnections({ session: 's' }, 'forbidden')).toBe(2)
    expect(await socket.closed).toEqual([4403, 'forbidden'])
    const answer = await polled
    expect([answer.status, await answer.json()]).toMatchObject([403, { error: { code: 'forbidden' } }])
    // One that has sent nothing yet.
    const silent = await openRawSocket(port)
    await expect.poll(() => millrace.closeConnections({ principal: 'anonymous' }, 'connection_closed')).toBe(1)
    expect((await silent.until(({ opcode }) => opcode === 8)).payload.readUInt16BE()).toBe(4503)
  })

  it('closes nothing with an empty filter', async () => {
    const { millrace } = await startServer()
    expect(() => millrace.closeConnections({}, 'forbidden')).toThrow('Say which connections')
    expect(millrace.closeConnections({ principal: 'ada' }, 'forbidden')).toBe(0)
  })
})
