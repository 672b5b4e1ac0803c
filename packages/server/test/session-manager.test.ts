import { describe, expect, it } from 'vitest'
import { startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { openStream } from './support/stream.ts'

describe('the readers of a session', () => {
  it('are listed for every transport, and removed when they disconnect', async () => {
    const { url, millrace } = await startServer()
    for (const session of ['a', 'b']) await millrace.engine.append(session, [])
    const stream = await openStream(`${url}/api/stream?session=a`)
    const socket = await openSocket(url)
    for (const session of ['a', 'b']) {
      socket.send({ type: 'attach', session })
      await socket.next()
    }
    const abort = new AbortController()
    void fetch(`${url}/api/stream?session=a&live=poll`, { signal: abort.signal }).catch(() => {})
    await expect.poll(() => millrace.listConnections('a').map(({ transport }) => transport)).toEqual(['sse', 'ws', 'poll'])
    expect(millrace.listConnections('b')).toEqual([
      {
        id: expect.any(String),
        transport: 'ws',
        principal: 'anonymous',
        address: '127.0.0.1',
        since: expect.any(Number),
        sessions: ['a', 'b'],
        acknowledged: {},
      },
    ])
    socket.send({ type: 'attach', session: 'b', from: 'now' })
    await socket.next()
    expect(millrace.listConnections('b')).toHaveLength(1)
    socket.send({ type: 'detach', session: 'b' })
    await socket.next()
    expect(millrace.listConnections('b')).toEqual([])
    stream.close()
    abort.abort()
    socket.client.terminate()
    await expect.poll(() => millrace.connections).toBe(0)
  })

  it('are bounded, over all transports together, and a rejected one disturbs nobody', async () => {
    const { url, millrace } = await startServer({ limits: { connectionsPerSession: 2 } })
    await millrace.engine.append('a', [])
    const [stream, socket] = [await openStream(`${url}/api/stream?session=a`), await openSocket(url)]
    socket.send({ type: 'attach', session: 'a' })
    await socket.next()
    const refused = await fetch(`${url}/api/stream?session=a`)
    expect([refused.status, await refused.json()]).toMatchObject([429, { error: { code: 'too_many_connections' } }])
    expect((await fetch(`${url}/api/stream?session=a&live=poll`)).status).toBe(429)
    const other = await openSocket(url)
    other.send({ type: 'attach', session: 'a' })
    expect(await other.next()).toMatchObject({ type: 'error', error: { code: 'too_many_connections' } })
    await millrace.run({ session: 'a', source: ['still heard'] })
    await Promise.all([stream.until('stream_end'), socket.until(({ event }) => event === 'stream_end')])
  })

  it('are rejected in the handshake beyond the connections of one address', async () => {
    const { url } = await startServer({ limits: { connectionsPerAddress: 1 } })
    await openSocket(url)
    await expect(openSocket(url)).rejects.toThrow('429')
  })
})
