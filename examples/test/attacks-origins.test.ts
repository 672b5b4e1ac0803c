/** Pages of other sites, on every host: what a visitor's browser sends for them, with the visitor's login, has no effect. */
import { once } from 'node:events'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { createMillrace, type Millrace, type MillraceOptions } from 'millrace'
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { type Host, hosts } from './support/hosts.ts'

const app = 'https://app.example.com'
const login = { cookie: 'login=ada' }
const json = { 'content-type': 'application/json' }
const browser = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)' }

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

type Headers = Readonly<Record<string, string | readonly string[]>>

/** Exactly these headers, as a browser sends them and `fetch` does not. */
async function send(port: number, line: string, headers: Headers, body = ''): Promise<Answer> {
  const [method = '', path = ''] = line.split(' ')
  const outgoing = request({ port, host: '127.0.0.1', method, path, headers: headers as IncomingHttpHeaders, agent: false })
  outgoing.end(body)
  const answered = Promise.race([once(outgoing, 'response'), once(outgoing, 'upgrade')])
  const [response] = (await answered) as [IncomingMessage]
  const isOpen = response.statusCode === 101 || response.headers['content-type']?.startsWith('text/event-stream') === true
  const said = isOpen && response.statusCode === 101 ? '' : await text(response)
  outgoing.destroy()
  return { status: response.statusCode ?? 0, headers: response.headers, body: said }
}

async function start(name: string, options: MillraceOptions): Promise<{ millrace: Millrace; host: Host }> {
  const millrace = createMillrace({
    model: 'sim:count?n=2&tps=0',
    authenticate: ({ headers }) => (headers.get('cookie') === login.cookie ? { id: 'ada' } : undefined),
    ...options,
  })
  const host = await hosts[name]?.(millrace)
  if (host === undefined) throw new Error(`There is no host ${name}.`)
  onTestFinished(async () => {
    await millrace.close()
    await host.close()
  })
  return { millrace, host }
}

const handshake = {
  connection: 'upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}

/** What such a page may try, each with an effect that can be looked for. */
const attempts: readonly (readonly [line: string, headers: Headers, body?: string])[] = [
  ['GET /api/chat?query=x&id=r', {}],
  ['POST /api/chat', json, '{"query":"x","id":"r"}'],
  // What a form can send without a preflight.
  ['POST /api/chat', { 'content-type': 'text/plain' }, '{"query":"x","id":"r"}'],
  ['POST /api/sessions', json, '{"id":"s"}'],
  ['POST /api/publish', json, '{"channel":"c","data":1}'],
  ['POST /api/tickets', json, '{}'],
  ['GET /api/models', {}],
  ['OPTIONS /api/chat', { 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' }],
  ['GET /ws/chat', handshake],
]

const foreign: Readonly<Record<string, Headers>> = {
  'of another site': { origin: 'https://evil.example' },
  'of another site that names itself like the app': { origin: 'https://app.example.com.evil.example' },
  'of the app on another port': { origin: 'https://app.example.com:8443' },
  'of the app without TLS': { origin: 'http://app.example.com' },
  'below the app': { origin: 'https://sub.app.example.com' },
  'in a sandbox': { origin: 'null' },
  'with two origins': { origin: [app, 'https://evil.example'] },
  'with a list as its origin': { origin: `${app}, https://evil.example` },
  'that hides its origin, and says cross-site': { 'sec-fetch-site': 'cross-site' },
}

let tried = 0
afterAll(() =>
  process.stdout.write(`attacks from pages of other sites: ${tried} attempts with a login, 0 accepted, 0 reflected\n`),
)

describe.each(Object.keys(hosts))('with a login by cookie, on %s', (name) => {
  describe.each([
    ['an allow-list', { access: { origins: [app] } }],
    ['no allow-list', {}],
  ])('and %s', (_what, options) => {
    it.each(Object.entries(foreign))('a page %s starts, reads and opens nothing', async (_page, from) => {
      const { millrace, host } = await start(name, options)
      for (const [line, headers, body] of attempts) {
        if (line === 'GET /ws/chat' && !host.hasWebSocket) continue
        const answer = await send(host.port, line, { ...login, ...browser, ...headers, ...from }, body)
        tried += 1
        expect([line, answer.status, answer.headers['access-control-allow-origin']]).toEqual([line, 403, undefined])
      }
      expect(millrace.findRun('r')).toBeUndefined()
      expect(await millrace.readSession('s')).toBeUndefined()
      expect(await millrace.engine.inspect('channel/c')).toBeUndefined()
    })
  })

  it('a page that a browser without Sec-Fetch-Site does not name starts no run by GET', async () => {
    const { millrace, host } = await start(name, { access: { origins: [app] } })
    const answer = await send(host.port, 'GET /api/chat?query=x&id=r', { ...login, ...browser, host: '192.0.2.1' })
    expect([answer.status, millrace.findRun('r')]).toEqual([403, undefined])
  })

  it('without the login everything is 401, also for the app', async () => {
    const { host } = await start(name, { access: { origins: [app] } })
    for (const [line, headers, body] of attempts) {
      if (line.startsWith('OPTIONS') || (line === 'GET /ws/chat' && !host.hasWebSocket)) continue
      expect([line, (await send(host.port, line, { ...headers, origin: app }, body)).status]).toEqual([line, 401])
    }
  })
})

describe.each(Object.keys(hosts))('an allowed page of another origin, on %s', (name) => {
  const allowed = {
    'access-control-allow-origin': app,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': expect.stringMatching('millrace-stream'),
    vary: expect.stringMatching(/\borigin\b/i),
  }

  it('reads JSON, streams and errors', async () => {
    const { host } = await start(name, { access: { origins: [app] } })
    const from = { ...login, ...browser, origin: app, 'sec-fetch-site': 'cross-site' }
    const errors = vi.spyOn(console, 'error')
    const cases: [string, number, string?][] = [
      ['GET /api/models', 200],
      ['GET /api/chat?query=x', 200],
      ['GET /api/stream?session=absent&live=poll', 404],
      ['GET /api/absent', 404],
      ['DELETE /api/models', 405],
      ['POST /api/chat', 400, '{"query":""}'],
    ]
    for (const [line, status, body] of cases) {
      const answer = await send(host.port, line, { ...from, ...(body && json) }, body)
      expect([line, answer.status, answer.headers]).toEqual([line, status, expect.objectContaining(allowed)])
    }
    const refused = await send(host.port, 'GET /api/models', { ...browser, origin: app })
    expect([refused.status, refused.headers]).toEqual([401, expect.objectContaining(allowed)])
    // Hono's `serve`, which another host of this process calls, must not write a stream's response again.
    expect(errors).not.toHaveBeenCalled()
  })

  it('gets its preflight answered, which has no credentials', async () => {
    const { host } = await start(name, { access: { origins: [app] } })
    const asked = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' }
    const answer = await send(host.port, 'OPTIONS /api/chat', { ...browser, origin: app, ...asked })
    expect([answer.status, answer.body]).toEqual([204, ''])
    expect(answer.headers).toMatchObject({
      ...allowed,
      'access-control-allow-methods': expect.stringMatching('POST'),
      'access-control-allow-headers': expect.stringMatching('authorization, content-type'),
    })
  })

  it('is nobody where no origins are configured, and no response is marked', async () => {
    const { host } = await start(name, {})
    const answer = await send(host.port, 'GET /api/models', { ...login, ...browser, 'sec-fetch-site': 'same-site', origin: app })
    expect([answer.status, answer.headers['access-control-allow-origin'], answer.headers.vary]).toEqual([
      200,
      undefined,
      undefined,
    ])
  })
})

describe.each(Object.keys(hosts))('the host rule, on %s', (name) => {
  it('rejects a browser whose page may have rebound its DNS name, and every name but the configured ones', async () => {
    const rebound = { ...browser, host: 'evil.example', origin: 'http://evil.example' }
    const { host, millrace } = await start(name, {})
    for (const [line, headers, body] of attempts) {
      if (line === 'GET /ws/chat' && !host.hasWebSocket) continue
      const answer = await send(host.port, line, { ...login, ...headers, ...rebound }, body)
      expect([line, answer.status, answer.body]).toEqual([line, 403, expect.stringMatching('host_not_allowed')])
    }
    expect(millrace.findRun('r')).toBeUndefined()
    const named = await start(name, { hostNames: ['app.example.com'] })
    const ask = async (own: string) => (await send(named.host.port, 'GET /api/models', { ...login, host: own })).status
    expect([await ask('app.example.com'), await ask('localhost'), await ask('other.example.com')]).toEqual([200, 200, 403])
  })
})

describe.each(['node:http', 'Express', 'Fastify'])('on %s, WebSockets of other paths', (name) => {
  it("are the host's, whatever page they are from", async () => {
    const { host } = await start(name, { access: { origins: [app] }, hostNames: ['app.example.com'] })
    host.server?.on('upgrade', (incoming, socket) => {
      if (incoming.url === '/own') socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nx-of: host\r\n\r\n')
    })
    const own = await send(host.port, 'GET /own', { ...handshake, origin: 'https://evil.example' })
    expect([own.status, own.headers['x-of']]).toEqual([101, 'host'])
    expect((await send(host.port, 'GET /ws/chat', { ...handshake, origin: 'https://evil.example' })).status).toBe(403)
  })
})
