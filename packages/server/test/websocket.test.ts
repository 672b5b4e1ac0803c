import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { gatedModel } from './support/gated-model.ts'
import { ask } from './support/raw.ts'
import { startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { counted, openStream, textOf } from './support/stream.ts'

const gated = async () => {
  const model = gatedModel()
  return { model, ...(await startServer({ models: [model], model: 'gated' })) }
}

const saidIn = (messages: readonly Record<string, unknown>[]) =>
  messages
    .filter((message) => message.event === 'message')
    .map((message) => (message.data as { text: string }).text)
    .join('')

describe('the exchange of the reference document, section 3.2', () => {
  it('gets responses byte for byte', async () => {
    const { url, model } = await gated()
    const socket = await openSocket(url)
    socket.client.send('{"query":"你好"}')
    for (const word of ['你', '好', '！']) model.say(word)
    model.finish()
    const messages = await socket.until((message) => 'status' in message)
    expect(messages.slice(0, 3)).toEqual([{ text: '你' }, { text: '好' }, { text: '！' }])
    expect(messages.slice(3)).toEqual([expect.objectContaining({ status: 'completed' })])
    expect(model.requests[0]?.messages).toEqual([{ role: 'user', text: '你好' }])
  })

  it('keeps the questions of one socket in one conversation', async () => {
    const { url, model } = await gated()
    const socket = await openSocket(url)
    for (const [query, answer] of [
      ['one', 'first'],
      ['two', 'second'],
    ] as const) {
      socket.send({ query })
      model.say(answer)
      model.finish()
      await socket.until((message) => 'status' in message)
    }
    expect(model.requests[1]?.messages.map(({ text }) => text)).toEqual(['one', 'first', 'two'])
  })

  it('accepts several questions at once, in the order they were sent', async () => {
    const { url } = await startServer()
    const socket = await openSocket(url)
    for (const query of ['one', 'two']) socket.send({ query, model: 'sim:echo?tps=0' })
    const seen = [
      ...(await socket.until((message) => 'status' in message)),
      ...(await socket.until((message) => 'status' in message)),
    ]
    expect(seen.flatMap(({ text }) => text ?? [])).toEqual(['one', 'two'])
  })
})

describe('the mixed scheme of the reference document, section 5.3.2', () => {
  it.each(['the socket first', 'the stream first'])(
    'sends over a WebSocket and reads over SSE, byte for byte: %s',
    async (order) => {
      const { url, model, millrace } = await gated()
      await millrace.engine.append('s', [])
      const openUp = () => openSocket(url, [], {}, '?session=s&down=sse')
      const openDown = () => openStream(`${url}/api/stream?session=s&shape=plain`)
      const [up, down] =
        order === 'the socket first'
          ? [await openUp(), await openDown()]
          : await (async () => {
              const stream = await openDown()
              return [await openUp(), stream] as const
            })()
      up.client.send('{"query":"你好"}')
      expect(await up.next()).toMatchObject({ type: 'started', session: 's' })
      expect((await down.next()).event).toBe('stream_start')
      for (const word of ['你', '好', '！']) {
        model.say(word)
        expect((await down.next()).data).toBe(JSON.stringify({ text: word }))
      }
      model.finish()
      expect(JSON.parse((await down.next()).data)).toMatchObject({ status: 'completed' })
      expect(up.received).toHaveLength(1)
    },
  )

  it('survives the loss of either side', async () => {
    const { url, model, millrace } = await gated()
    await millrace.engine.append('s', [])
    const down = await openStream(`${url}/api/stream?session=s&shape=plain`)
    const first = await openSocket(url, [], {}, '?session=s&down=sse')
    first.send({ query: 'one' })
    await down.next()
    first.client.terminate()
    model.say('still ')
    const { id, data } = await down.next()
    expect(data).toBe('{"text":"still "}')
    down.close()
    const second = await openSocket(url, [], {}, '?session=s&down=sse')
    model.say('here')
    const again = await openStream(`${url}/api/stream?session=s&shape=plain&from=${id}`)
    expect((await again.next()).data).toBe('{"text":"here"}')
    second.send({ type: 'ping' })
    expect(await second.next()).toEqual({ type: 'pong' })
  })
})

describe('a session over a WebSocket', () => {
  it('is attached from a position, and each event has its session, position, name and data', async () => {
    const { url, millrace } = await startServer()
    const { session } = await startRun(url, { query: 'x', id: 'r' })
    await millrace.findRun('r')?.ended
    const socket = await openSocket(url)
    socket.send({ type: 'attach', ref: 'a', session })
    expect(await socket.next()).toMatchObject({ type: 'attached', ref: 'a', session, position: expect.stringMatching(/-0$/) })
    const whole = await socket.until(({ event }) => event === 'stream_end')
    expect(whole[0]).toMatchObject({
      type: 'event',
      session,
      id: expect.stringMatching(/-1$/),
      event: 'stream_start',
      data: { query: 'x' },
    })
    expect(saidIn(whole)).toBe(counted(1, 5))
  })

  it('resumes after any event over another connection of either kind, none lost and none repeated', async () => {
    const { url, model } = await gated()
    const { session } = await startRun(url, { query: 'x' })
    const stream = await openStream(`${url}/api/stream?session=${session}`)
    for (const word of ['1 ', '2 ', '3 ', '4 ', '5 ', '6 ']) {
      model.say(word)
      await stream.until('message')
    }
    const [start, ...deltas] = stream.events
    expect(start?.event).toBe('stream_start')
    for (const [index, { id }] of deltas.entries()) {
      const socket = await openSocket(url)
      socket.send({ type: 'attach', session, from: id })
      await socket.next()
      const rest = counted(index + 2, 6)
      if (rest !== '') await expect.poll(() => saidIn(socket.received)).toBe(rest)
      socket.client.close()
    }
    model.finish()
    const socket = await openSocket(url)
    socket.send({ type: 'attach', session })
    const viaSocket = await socket.until(({ event }) => event === 'stream_end')
    const back = await openStream(`${url}/api/stream?session=${session}&from=${String(viaSocket.at(-2)?.id)}`)
    expect((await back.next()).event).toBe('stream_end')
  })

  it('carries several sessions on one socket, until they are detached', async () => {
    const [a, b] = [gatedModel('a'), gatedModel('b')]
    const { url } = await startServer({ models: [a, b] })
    const one = await startRun(url, { query: 'x', model: 'a' })
    const two = await startRun(url, { query: 'y', model: 'b' })
    const socket = await openSocket(url)
    for (const { session } of [one, two]) socket.send({ type: 'attach', session })
    a.say('from a')
    b.say('from b')
    await expect.poll(() => socket.received.filter(({ event }) => event === 'message')).toHaveLength(2)
    socket.send({ type: 'detach', ref: 'd', session: one.session })
    await socket.until(({ type }) => type === 'detached')
    a.say('not heard')
    b.say('heard')
    const [heard] = (await socket.until(({ event }) => event === 'message')).slice(-1)
    expect(heard).toMatchObject({ session: two.session, data: { text: 'heard' } })
  })

  it('starts, reads and stops a run, visible over the WebSocket and over SSE', async () => {
    const { url, model } = await gated()
    const up = await openSocket(url)
    up.send({ type: 'run', ref: 'go', query: '你好', id: 'r' })
    const started = await up.next()
    expect(started).toMatchObject({ type: 'started', ref: 'go', run: 'r' })
    const down = await openStream(`${url}/api/stream?session=${String(started.session)}`)
    await down.until('stream_start')
    model.say('你')
    expect(textOf(await down.until('message'))).toBe('你')
    up.send({ type: 'stop', ref: 's', run: 'r' })
    expect(await up.next()).toMatchObject({ type: 'ended', ref: 's', run: 'r', end: { status: 'stopped' } })
    expect((await down.next()).event).toBe('stream_end')
    up.send({ type: 'ping', ref: 'p' })
    expect(await up.next()).toEqual({ type: 'pong', ref: 'p' })
  })
})

describe('a message that is rejected gets a code, and the next ones are handled', () => {
  it.each([
    ['not JSON', '{"query":', 'invalid_json'],
    ['not an object', '[]', 'invalid_request'],
    ['no query', '{}', 'query_missing'],
    ['an unknown type', '{"type":"subscribe"}', 'invalid_request'],
    ['a type that is an object', '{"type":{}}', 'invalid_request'],
    ['an unknown session', '{"type":"attach","session":"nobody"}', 'session_not_found'],
    ['a position that is none', '{"type":"attach","session":"s","from":"x"}', 'position_invalid'],
    ['a position of another log', '{"type":"attach","session":"s","from":"k3f9a2xq-1"}', 'position_foreign'],
    ['an unknown run', '{"type":"stop","run":"nobody"}', 'run_not_found'],
    ['an id that is none', '{"type":"stop","run":"a b"}', 'invalid_id'],
    ['a detach of what is not attached', '{"type":"detach","session":"s"}', 'not_attached'],
    ['an ack of what is not attached', '{"type":"ack","session":"s","id":"k3f9a2xq-1"}', 'not_attached'],
    ['an ack of nothing', '{"type":"ack","id":"k3f9a2xq-1"}', 'invalid_request'],
    ['an ack that is no position', '{"type":"ack","session":"s","id":"1"}', 'position_invalid'],
    ['a publication without data', '{"type":"publish","channel":"c"}', 'invalid_event'],
    ['a publication into nothing', '{"type":"publish","data":1}', 'invalid_channel'],
    ['an unknown model', '{"query":"x","model":"nobody"}', 'model_not_found'],
  ])('%s', async (_what, text, code) => {
    const { url, millrace, errors } = await startServer()
    await millrace.engine.append('s', [])
    const socket = await openSocket(url)
    socket.send(text)
    expect(await socket.next()).toMatchObject({ type: 'error', error: { code } })
    socket.send({ type: 'ping' })
    expect(await socket.next()).toEqual({ type: 'pong' })
    expect(errors).toEqual([])
  })

  it('responds with the ref of the message', async () => {
    const { url } = await startServer()
    const socket = await openSocket(url)
    socket.send({ type: 'attach', ref: 'mine', session: 'nobody' })
    expect(await socket.next()).toMatchObject({ ref: 'mine', error: { code: 'session_not_found' } })
  })
})

it('reads a message in fragments, with a ping between them and a character cut in two', async () => {
  const { url } = await startServer()
  const socket = await openSocket(url)
  const bytes = Buffer.from('{"query":"你好","model":"sim:echo?tps=0"}')
  const pong = once(socket.client, 'pong')
  socket.client.send(bytes.subarray(0, 11), { fin: false, binary: false })
  socket.client.ping('between')
  socket.client.send(bytes.subarray(11), { fin: true, binary: false })
  expect(String((await pong)[0])).toBe('between')
  expect(await socket.next()).toEqual({ text: '你好' })
})

describe('the handshake', () => {
  const refused = async (url: string, path: string, headers: Record<string, string>) => {
    const client = new WebSocket(url.replace('http', 'ws') + path, { headers })
    const [, response] = await once(client, 'unexpected-response')
    return (response as { statusCode: number }).statusCode
  }

  it.each([
    ['https://evil.example'],
    ['null'],
    ['http://127.0.0.1.evil.example'],
    ['http://127.0.0.1@evil.example'],
    ['http://evil.example/127.0.0.1'],
  ])('rejects a page from %s', async (origin) => {
    const { url } = await startServer()
    expect(await refused(url, '/ws/chat', { origin })).toBe(403)
  })

  it('accepts its own pages, also from another port, and clients that are not browsers', async () => {
    const { url } = await startServer()
    for (const headers of [{ origin: url }, { origin: 'http://127.0.0.1:3000' }, {}]) await openSocket(url, [], { headers })
  })

  it('rejects another path', async () => {
    const { url } = await startServer()
    expect(await refused(url, '/ws/other', {})).toBe(404)
  })

  it('that is rejected says when to retry, and does not hold its socket if the client does not close', async () => {
    const { millrace, url } = await startServer({ limits: { connectionsPerAddress: 1 } })
    await openSocket(url)
    const host = createServer(millrace.handler).on('upgrade', millrace.upgrade).listen(0, '127.0.0.1')
    onTestFinished(() => void host.close())
    await once(host, 'listening')
    const accepted = once(host, 'connection')
    const client = connect({ port: (host.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
    onTestFinished(() => void client.destroy())
    client.write('GET /ws/chat HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
    const [socket] = (await accepted) as [Socket]
    const [answer] = await Promise.all([text(client), once(socket, 'close')])
    expect(answer).toMatch(/^HTTP\/1\.1 429 .*\r\nretry-after: 1\r\n.*"too_many_connections"/s)
  })

  it('never negotiates compression, whatever is offered', async () => {
    const { url } = await startServer()
    const { client } = await openSocket(url, [], { perMessageDeflate: true })
    expect(client.extensions).toBe('')
  })

  it('selects the offered protocol, or none', async () => {
    const { url } = await startServer()
    expect((await openSocket(url, ['other', 'millrace.v1'])).client.protocol).toBe('millrace.v1')
    expect((await openSocket(url)).client.protocol).toBe('')
  })
})

describe('heartbeats', () => {
  it('are sent as messages to clients that asked for them, and never to others', async () => {
    const model = gatedModel()
    const { url } = await startServer({ models: [model], model: 'gated', heartbeatMs: 60 })
    const [plain, asked] = [await openSocket(url), await openSocket(url, ['millrace.v1'])]
    const [first, second] = [await asked.next(), await asked.next()] as { clock: number }[]
    expect([first, second]).toEqual(Array(2).fill({ type: 'heartbeat', clock: expect.any(Number) }))
    expect(second?.clock).toBeGreaterThan(first?.clock as number)
    plain.send({ query: 'x' })
    model.say('hello')
    expect(await plain.next()).toEqual({ text: 'hello' })
  })

  it('detect a vanished client within two heartbeats', async () => {
    const { url, millrace } = await startServer({ heartbeatMs: 100 })
    const socket = await openSocket(url)
    // Half open: the connection exists, and nobody responds.
    ;(socket.client as unknown as { _socket: { pause(): void } })._socket.pause()
    await expect.poll(() => millrace.connections).toBe(0)
  })
})

describe('a reader that stops reading', () => {
  it('resumes exactly where it was when it reads again', async () => {
    const { url, millrace } = await startServer()
    await millrace.engine.append('s', [])
    const socket = await openSocket(url)
    socket.send({ type: 'attach', session: 's' })
    await socket.next()
    socket.client.pause()
    await millrace.run({
      session: 's',
      async *source() {
        for (let n = 1; n <= 3000; n++) {
          yield `${n}${'.'.repeat(2000)} `
          if (n % 50 === 0) await new Promise(setImmediate)
        }
      },
    })
    socket.client.resume()
    const messages = await socket.until(({ event }) => event === 'stream_end')
    expect(saidIn(messages).replaceAll('.', '')).toBe(counted(1, 3000))
  })
})

it('a broken handshake never ends the process', async () => {
  const { url, port } = await startServer()
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.write(
    'GET /ws/chat HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: x\r\nsec-websocket-version: 99\r\n\r\n',
  )
  await once(socket, 'data')
  socket.resetAndDestroy()
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
})

it.each([
  ['//[', '404 not_found'],
  ['http://[/ws/chat', '400 malformed_http'],
])('rejects a handshake at %s, which is not a URL', async (target, refusal) => {
  const { port } = await startServer()
  const headers = { host: 'localhost', connection: 'upgrade, close', upgrade: 'websocket' }
  expect(await ask(port, `GET ${target}`, headers)).toBe(refusal)
})
