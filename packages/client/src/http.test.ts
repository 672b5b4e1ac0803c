/** Deadlines and tokens: whatever the server, or the application, does not answer is given up and said. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { connect, MillraceError, type TokenRequest } from './index.ts'

/** A server that does with each request what the test says. */
async function serve(answer: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(answer as never)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const quick = { answerMs: 100, backoffFirstMs: 1, backoffLongestMs: 5 }

function open(url: string, options: Parameters<typeof connect>[1] = {}) {
  const timings = { backoffFirstMs: 1, backoffLongestMs: 5 }
  const client = connect(url, { transport: 'sse', timings, ...options })
  onTestFinished(() => client.close())
  return client
}

describe('a request that is not answered', () => {
  it('is given up with `silent`, whatever it is', async () => {
    const client = open(await serve(() => {}), { timings: quick })
    const session = client.session('s')
    const { sessions } = client
    const requests = [
      session.read(),
      client.session().read(),
      sessions.list(),
      sessions.rename('s', 't'),
      sessions.delete('s'),
      sessions.export('s'),
      session.run({ query: 'q', isRetried: false }),
    ]
    await Promise.all(requests.map((request) => expect(request).rejects.toMatchObject({ code: 'silent', retryable: true })))
  })

  it('is given up when its body stops in the middle', async () => {
    const { sessions } = open(await serve((_request, response) => response.write('{"sessions":')), { timings: quick })
    await expect(sessions.list()).rejects.toMatchObject({ code: 'silent' })
  })

  it('is not given up while its body goes on, however slowly', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const writer = writable.getWriter()
    const list = open('http://host/', { fetch: async () => new Response(readable) }).sessions.list()
    for (const part of ['{"sess', 'ions"', ':[', ']}']) {
      // Written when it was taken.
      await writer.write(new TextEncoder().encode(part))
      await vi.advanceTimersByTimeAsync(19_999)
    }
    await writer.close()
    expect(await list).toEqual({ sessions: [] })
  })

  it('ends at its deadline though its body goes on', async () => {
    const url = await serve((_request, response) => {
      const timer = setInterval(() => response.write(' '), 10)
      response.on('close', () => clearInterval(timer))
    })
    const { sessions, session } = open(url, { timings: { requestMs: 100 } })
    for (const call of [sessions.list(), sessions.delete('s'), session('s').read()])
      await expect(call).rejects.toMatchObject({ code: 'deadline_exceeded', retryable: true })
  })

  it('ends at once when its signal is aborted', async () => {
    const abort = new AbortController()
    const client = open(await serve(() => abort.abort()))
    await expect(client.session('s').read({ signal: abort.signal })).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('a token', () => {
  /** Lets in who has this one. */
  const guard = (good: string, code?: string) =>
    serve((request, response) => {
      if (request.headers.authorization === `Bearer ${good}`) return response.end('{"sessions":[]}')
      response.statusCode = 401
      response.end(JSON.stringify({ error: { code, message: 'no', retryable: false } }))
    })

  it.each([
    ['token_expired', 'expired'],
    ['unauthorized', 'rejected'],
    [undefined, 'rejected'],
  ] as const)('that is rejected with %s is requested again, with the reason %s', async (code, reason) => {
    const reasons: string[] = []
    const token = ({ reason }: TokenRequest) => {
      reasons.push(reason)
      return reason === 'first' ? 'old' : 'new'
    }
    const client = open(await guard('new', code), { token })
    expect(await client.sessions.list()).toEqual({ sessions: [] })
    await expect(client.session('s').run({ query: 'q' })).resolves.toBeDefined()
    expect(reasons).toEqual(['first', reason, 'first', reason])
  })

  it('that is rejected twice is an error for readers and for commands', async () => {
    let asked = 0
    const client = open(await guard('other', 'unauthorized'), { token: () => `${++asked}` })
    const refusal = { code: 'unauthorized', status: 401, retryable: false }
    await expect(client.session('s').events().next()).rejects.toMatchObject(refusal)
    expect(asked).toBe(2)
    await expect(client.session('s').run({ query: 'q' })).rejects.toMatchObject(refusal)
    expect(client.connection.current).toMatchObject({ state: 'closed', error: refusal })
  })

  it('is not the reason for a refusal that was aborted before it had been read', async () => {
    const abort = new AbortController()
    const url = await serve((_request, response) => {
      response.statusCode = 401
      response.write('{"error":')
    })
    const fetch: typeof globalThis.fetch = async (...request) => {
      const response = await globalThis.fetch(...request)
      setImmediate(() => abort.abort())
      return response
    }
    const codes: string[] = []
    const client = open(url, { fetch, onUnauthenticated: ({ code }) => codes.push(code) })
    await expect(client.session('s').fetch('api/x', { signal: abort.signal })).rejects.toMatchObject({ code: 'unreachable' })
    expect(codes).toEqual([])
  })

  it('that cannot be had is seen, with the cause, and asked for again', async () => {
    const cause = new Error('no network')
    const token = vi
      .fn<() => Promise<string>>()
      .mockRejectedValueOnce(cause)
      .mockRejectedValueOnce(cause)
      .mockResolvedValue('new')
    const client = open(await guard('new'), { token })
    await expect(client.sessions.list()).rejects.toMatchObject({ code: 'token_failed', cause })
    const seen: unknown[] = []
    client.connection.subscribe(({ error }) => seen.push(error))
    await client.channel('c').publish(1)
    expect(seen[0]).toMatchObject({ code: 'token_failed', cause })
    expect(client.connection.current.error).toBeUndefined()
  })

  it('that the application will not give ends what wants one', async () => {
    const token = () => Promise.reject(new MillraceError('signed_out', { retryable: false }))
    const client = open(await guard('new'), { token })
    await expect(client.session('s').events().next()).rejects.toMatchObject({ code: 'signed_out' })
    await expect(client.channel('c').publish(1)).rejects.toMatchObject({ code: 'signed_out' })
  })

  it('that never comes is `silent`', async () => {
    const client = open('http://127.0.0.1:1', { token: () => new Promise(() => {}), timings: quick })
    await expect(client.sessions.list()).rejects.toMatchObject({ code: 'silent' })
  })
})

describe('a page', () => {
  it('uses a WebSocket, which its browser does not count, also with a token', () => {
    vi.stubGlobal('document', new EventTarget())
    onTestFinished(() => void vi.unstubAllGlobals())
    const auto = { transport: 'auto' } as const
    expect(open('http://host/', auto).explainTransport().transport).toBe('ws')
    expect(open('http://host/', { ...auto, token: () => 't' }).explainTransport().transport).toBe('ws')
  })
})

describe('a server that is never reached', () => {
  beforeEach(() => void vi.stubGlobal('location', { href: 'http://page.example/chat', origin: 'http://page.example' }))
  afterEach(() => void vi.unstubAllGlobals())

  const waitFor = (client: ReturnType<typeof open>, words: string) =>
    expect
      .poll(() => client.connection.current.error)
      .toMatchObject({ code: 'unreachable', message: expect.stringContaining(words) })

  it.each(['reading', 'sending'])('from a page of another origin is said to be that, while %s', async (what) => {
    const client = open('http://127.0.0.1:1')
    const session = client.session()
    if (what === 'reading') void session.events().next()
    else session.run({ query: 'q' }).catch(() => {})
    await waitFor(client, 'origin')
    expect(client.connection.current.state).toBe(what === 'reading' ? 'reconnecting' : 'idle')
  })

  it('from its own origin, or reached before, is only away', async () => {
    const url = await serve((_request, response) => response.destroy())
    vi.stubGlobal('location', { href: `${url}/chat`, origin: url })
    const client = open('.')
    void client.session().events().next()
    await expect.poll(() => client.connection.current.attempt).toBeGreaterThan(4)
    expect(client.connection.current.error?.message).not.toContain('origin')
  })
})

describe('where there is no page', () => {
  it('nothing is asked of the network before something is read or sent, and a relative address is refused then', async () => {
    const fetch = vi.fn()
    const client = open('.', { fetch, transport: 'auto' })
    const session = client.session()
    expect(session.id).toMatch(/^[0-9a-f]{32}$/)
    const refusal = { code: 'unreachable', retryable: false, message: expect.stringContaining('absolute') }
    await expect(session.read()).rejects.toMatchObject(refusal)
    await expect(session.run({ query: 'q' })).rejects.toMatchObject(refusal)
    await expect(session.events().next()).rejects.toMatchObject(refusal)
    expect(fetch).not.toHaveBeenCalled()
  })
})
