/** The client in networks that treat transports differently, and at its own limits. */
import { chatOf } from '@millrace/client/chat'
import { describe, expect, it, onTestFinished } from 'vitest'
import { oneTo, quickTimings, readNumbers, startWorld, status } from '../src/client/world.ts'

/** A network in which a WebSocket is neither opened nor refused. */
class SilentWebSocket {
  binaryType = ''
  onopen = null
  onmessage = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  onerror = null
  send(): void {}
  close(): void {}
}

describe('a client that chooses its transport', () => {
  it('goes from a WebSocket that says nothing to SSE, remembers it, and says why', async () => {
    const { connect, counter } = await startWorld()
    const timings = { ...quickTimings('ws'), firstBytesMs: 150 }
    const client = connect('auto', { isTwoWay: true, WebSocket: SilentWebSocket, timings })
    expect(client.explainTransport()).toEqual({ transport: 'ws', reason: 'traffic goes both ways' })
    counter.letTo(5)
    const session = client.session()
    const reading = readNumbers(session)
    await status(client, ({ state, transport }) => state === 'live' && transport === 'sse')
    await session.run({ query: '5' })
    expect(await reading).toEqual(oneTo(5))
    expect(client.explainTransport()).toMatchObject({ transport: 'sse', reason: expect.stringContaining('ws is avoided') })
  })

  it('goes to SSE where the host itself forbids a WebSocket', async () => {
    const { connect } = await startWorld()
    class ForbiddenWebSocket extends SilentWebSocket {
      constructor() {
        super()
        throw new DOMException('not from here', 'SecurityError')
      }
    }
    const client = connect('auto', { isTwoWay: true, WebSocket: ForbiddenWebSocket })
    const reading = readNumbers(client.session())
    expect(client.connection.current.state).toBe('connecting')
    await status(client, ({ state, transport }) => state === 'live' && transport === 'sse')
    client.close()
    expect(await reading).toEqual([])
  })

  it.each([
    ['to their end', Number.POSITIVE_INFINITY],
    ['until there is enough for it to hand on', 2000],
  ])('polls through a proxy that holds streams back %s', async (_name, bytes) => {
    const { connect, counter, proxy } = await startWorld()
    const client = connect('auto', { timings: { ...quickTimings('auto'), firstBytesMs: 1300 } })
    const session = client.session()
    await session.run({ query: '29' })
    counter.letTo(20)
    // The bytes of a stream come when there are many; those of an answer that has ended come when it ends.
    proxy.bufferStreams(bytes)
    expect(await readNumbers(session, (number) => counter.letTo(number < 20 ? 20 : 29))).toEqual(oneTo(29))
    expect(client.explainTransport().transport).toBe('poll')
  })
})

describe('a gateway that refuses by itself', () => {
  /** Answers for a server that is being exchanged, as an ingress does. */
  const gateway = () => {
    let isUp = false
    const refused: string[] = []
    const refusing: typeof fetch = async (address, request) => {
      if (isUp) return fetch(address, request)
      refused.push((address as URL).searchParams.get('live') ?? (address as URL).pathname)
      return new Response('default backend - 404', { status: 404 })
    }
    const rise = () => {
      isUp = true
    }
    return { refused, refusing, rise }
  }

  it('ends no reading: each transport is tried, then all of them slowly, until the server is there', async () => {
    const { connect, counter, millrace } = await startWorld()
    await millrace.engine.append('s', [])
    class ClosingWebSocket extends SilentWebSocket {
      constructor() {
        super()
        queueMicrotask(() => this.onclose?.({ code: 1008, reason: 'policy' }))
      }
    }
    const { refused, refusing, rise } = gateway()
    const client = connect('auto', { isTwoWay: true, WebSocket: ClosingWebSocket, fetch: refusing })
    const session = client.session('s')
    const reading = readNumbers(session)
    await expect.poll(() => refused.filter((what) => what === 'poll').length).toBeGreaterThan(1)
    expect(refused).toContain('/api/stream')
    expect(client.connection.current).toMatchObject({ state: 'reconnecting', error: { code: 'refused' } })
    // Not as fast as they come.
    expect(client.connection.current.retryAt).toBeDefined()
    rise()
    await status(client, ({ state }) => state === 'live')
    counter.letTo(3)
    await session.run({ query: '3' })
    expect(await reading).toEqual(oneTo(3))
  })

  it('does not end a conversation of the hooks', async () => {
    const { connect } = await startWorld()
    const { refusing, rise } = gateway()
    const store = chatOf(connect('sse', { fetch: refusing }).session())
    onTestFinished(store.subscribe(() => {}))
    await expect.poll(() => store.current).toMatchObject({ status: 'loading', error: { code: 'refused' } })
    rise()
    await expect.poll(() => store.current.status).toBe('live')
  })
})

describe('a client over a WebSocket', () => {
  // What happened: the answer to the server's ping waited behind the backlog, and the reader was cut as half-open, again and again.
  it('reads over a thin line what takes longer than heartbeats, without a reconnection', async () => {
    const { connect, millrace, proxy } = await startWorld({ heartbeatMs: 500 })
    const data = 'x'.repeat(2000)
    const last = 10
    for (let n = 0; n < last; n++) await millrace.publish({ channel: 'c', data })
    proxy.shape({ bytesPerSecond: 10_000 })
    const client = connect('ws', { timings: { ...quickTimings('ws'), firstBytesMs: 3000, silenceMs: 1200 } })
    const states = new Set<string>()
    client.connection.subscribe(({ state }) => states.add(state))
    let seen = 0
    for await (const _event of client.channel('c', { from: 'start' }).events()) if (++seen === last) break
    expect(states).not.toContain('reconnecting')
    expect(proxy.accepted).toBe(1)
  })
})

describe('a hybrid client', () => {
  it('goes on reading when it loses the way up, and asks by POST where WebSocket is blocked', async () => {
    const { connect, counter, millrace } = await startWorld()
    const sockets: WebSocket[] = []
    let isBlocked = false
    const client = connect('hybrid', {
      WebSocket: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(isBlocked ? 'ws://127.0.0.1:1' : url, protocols)
          sockets.push(this)
        }
      } as never,
    })
    const statuses: string[] = []
    client.connection.subscribe(({ state }) => statuses.push(state))
    const session = client.session()
    await session.run({ query: '6' })
    counter.letTo(3)
    const numbers = await readNumbers(session, async (number) => {
      if (number !== 3) return
      isBlocked = true
      for (const socket of sockets) socket.close(4508)
      await session.run({ query: '0' })
      expect(statuses.at(-1)).toBe('live')
      counter.letTo(6)
    })
    expect(numbers.slice(0, 3)).toEqual(oneTo(3))
    expect(statuses).not.toContain('reconnecting')
    expect((await millrace.readSession(session.id))?.runs).toHaveLength(2)
  })
})

describe('a client at its limits', () => {
  it('asks for a token for every connection, also the second', async () => {
    const { connect, counter, proxy } = await startWorld()
    let tokens = 0
    const sent: (string | null)[] = []
    const client = connect('sse', {
      token: () => `token-${++tokens}`,
      fetch(address, request) {
        if ((address as URL).pathname === '/api/stream') sent.push(new Headers(request?.headers).get('authorization'))
        return fetch(address, request)
      },
    })
    const session = client.session()
    await session.run({ query: '2' })
    counter.letTo(1)
    await readNumbers(session, (number) => {
      if (number === 1) proxy.cut()
      counter.letTo(2)
    })
    expect(sent).toHaveLength(2)
    expect(new Set(sent).size).toBe(2)
  })

  it('queues a hundred commands and rejects the next one; queued ones reject when the client closes', async () => {
    const { connect, proxy } = await startWorld()
    proxy.refuse(true)
    const client = connect('sse')
    const session = client.session('held')
    const waiting = Array.from({ length: 100 }, () => session.run({ query: '1' }))
    const ends = Promise.allSettled(waiting)
    await expect(session.run({ query: '1' })).rejects.toMatchObject({ code: 'outbox_full', retryable: true })
    client.close()
    expect(await ends).toEqual(
      waiting.map(() => expect.objectContaining({ reason: expect.objectContaining({ code: 'closed' }) })),
    )
    expect(client.connection.current.state).toBe('closed')
    expect(() => client.session()).toThrow(expect.objectContaining({ code: 'closed' }))
    await expect(session.events().next()).rejects.toMatchObject({ code: 'closed' })
  })

  it('reads all of what is more than it holds, though its reader is slow', async () => {
    const { connect, counter, millrace } = await startWorld()
    const session = connect('ws').session()
    const run = session.run({ query: '2500' })
    await run
    counter.letTo(2500)
    let isFirst = true
    const numbers = await readNumbers(session, async () => {
      if (isFirst) await expect.poll(() => millrace.findRun(run.id)?.end).toBeDefined()
      isFirst = false
    })
    expect(numbers).toEqual(oneTo(2500))
  })

  it('names the right call in the error for a second reader, or a typo', async () => {
    const { connect } = await startWorld()
    const client = connect('sse')
    const session = client.session('one')
    session.events()
    expect(() => session.events()).toThrow(/leave\(\)/)
    expect(() => client.session('one', { from: 'start' })).toThrow(/leave\(\)/)
    expect(() => client.session('two', { from: 'begin' })).toThrow(expect.objectContaining({ code: 'position_invalid' }))
    expect(() => client.setTransport('carrier-pigeon' as never)).toThrow(/auto, ws, sse, hybrid, poll/)
  })

  it('stops reading when its signal is aborted, also before it began', async () => {
    const { connect, millrace } = await startWorld()
    const session = connect('sse').session()
    await session.run({ query: '0' })
    const abort = new AbortController()
    for await (const { type } of session.events({ signal: abort.signal })) if (type === 'stream_end') abort.abort()
    await expect.poll(() => millrace.connections).toBe(0)
    expect(await session.events({ signal: abort.signal }).next()).toMatchObject({ done: true })
  })
})
