/** The host's own login, the pages that are allowed, and the address of a client. */
import { type AuthenticateHook, anonymous, type Caller, createMillrace, MillraceError } from 'millrace'
import { describe, expect, it } from 'vitest'
import { entrances } from './support/entrances.ts'
import { startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { bearer, secret, sign } from './support/tokens.ts'

async function enterEach(url: string, headers: Record<string, string>): Promise<number[]> {
  return Promise.all(Object.values(entrances).map(async (enter) => (await enter(url, headers)).status))
}

describe("the host's own login", () => {
  it('decides first, over every transport, with the details of the request', async () => {
    const seen: unknown[] = []
    const authenticate: AuthenticateHook = async ({ transport, path, headers, origin, isSecure, address, node }) => {
      seen.push([transport, path, origin, isSecure, address, node?.headers.cookie])
      return headers.get('cookie') === 'login=ada' ? { id: 'ada', may: ['session.read'] } : undefined
    }
    const { url, millrace } = await startServer({ authenticate })
    await millrace.engine.append('s', [])
    expect(await enterEach(url, { cookie: 'login=ada', origin: url })).toEqual([200, 200, 200, 101])
    expect(await enterEach(url, { cookie: 'login=eve' })).toEqual([401, 401, 401, 401])
    const [first] = seen
    expect(first).toEqual(['http', '/api/models', url, false, '127.0.0.1', 'login=ada'])
    expect(seen.filter((each) => (each as string[])[0] === 'ws')).toHaveLength(2)
    expect((await fetch(`${url}/api/sessions`, { headers: { cookie: 'login=ada' } })).status).toBe(403)
  })

  it('leaves a request that it does not recognize to the tokens', async () => {
    const { url } = await startServer({ authenticate: () => undefined, access: { tokens: { secret } } })
    expect((await fetch(`${url}/api/models`, { headers: bearer(await sign()) })).status).toBe(200)
    expect((await fetch(`${url}/api/models`)).status).toBe(401)
  })

  it('can let strangers in, and reject with an error of its own', async () => {
    const authenticate: AuthenticateHook = ({ headers }) => {
      if (headers.has('x-banned')) throw new MillraceError('forbidden')
      return anonymous
    }
    const { url } = await startServer({ authenticate })
    expect((await fetch(`${url}/api/models`)).status).toBe(200)
    expect((await fetch(`${url}/api/models`, { headers: { 'x-banned': '1' } })).status).toBe(403)
  })

  it('that fails lets nobody in, and is reported', async () => {
    for (const authenticate of [
      () => ({ id: 'anonymous' }),
      () => ({ id: 'key:shop' }),
      () => Promise.reject(new Error('the database is down')),
      () => ({ id: '' }),
      () => ({ name: 'ada' }) as never,
    ] satisfies AuthenticateHook[]) {
      const { url, millrace, errors } = await startServer({ authenticate })
      await millrace.engine.append('s', [])
      expect(await enterEach(url, {})).toEqual([500, 500, 500, 500])
      expect(errors).toHaveLength(4)
      expect(await (await fetch(`${url}/api/models`)).text()).not.toContain('database')
    }
  })

  it('is not asked for requests of pages of other sites, whatever their cookies', async () => {
    let asked = 0
    const authenticate: AuthenticateHook = () => {
      asked += 1
      return { id: 'ada' }
    }
    const { url } = await startServer({ authenticate })
    const cookie = 'login=ada'
    for (const origin of ['https://evil.example', 'null', url.replace('127.0.0.1', '127.0.0.1.evil.example')])
      expect(await enterEach(url, { cookie, origin })).toEqual([403, 403, 403, 403])
    expect(await enterEach(url, { cookie, 'sec-fetch-site': 'cross-site' })).toEqual([403, 403, 403, 403])
    expect(asked).toBe(0)
  })
})

describe('an allow-list of origins', () => {
  it('allows these exactly, and the pages of the server', async () => {
    const { url, millrace } = await startServer({ access: { origins: ['https://app.example.com'] } })
    await millrace.engine.append('s', [])
    const welcome = [200, 200, 200, 101]
    for (const headers of [
      { origin: 'https://app.example.com' },
      { origin: 'https://app.example.com', 'sec-fetch-site': 'cross-site' },
      { origin: url },
      { 'sec-fetch-site': 'same-origin', origin: 'https://chat.example.com' },
      {},
    ])
      expect([headers, await enterEach(url, headers as Record<string, string>)]).toEqual([headers, welcome])
    for (const headers of [
      { origin: 'http://app.example.com' },
      { origin: 'https://app.example.com:8443' },
      { origin: 'https://app.example.com.evil.example' },
      { origin: 'https://evil.example', 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site' },
      { origin: 'null' },
      { origin: 'https://app.example.com@evil.example' },
      { origin: `${url.slice(0, url.lastIndexOf(':'))}:1` },
    ])
      expect([headers, await enterEach(url, headers as Record<string, string>)]).toEqual([headers, [403, 403, 403, 403]])
  })

  it.each(['https://app.example.com/', 'app.example.com', '*', 'null', 'https://*.example.com/x'])(
    'does not take %s',
    (origin) => {
      expect(() => createMillrace({ access: { origins: [origin] } })).toThrow(/origin/)
    },
  )
})

it('believes only the configured proxies about the address of a client', async () => {
  const callers: Caller[] = []
  const authorize = (caller: Caller) => void callers.push(caller)
  const forwarded = { 'x-forwarded-for': '6.6.6.6, 9.9.9.9, 10.0.0.7', 'x-forwarded-proto': 'https' }
  for (const [trustedProxies, address, isSecure] of [
    [[], '127.0.0.1', false],
    [['10.0.0.0/8'], '127.0.0.1', false],
    [['127.0.0.1'], '10.0.0.7', true],
    [['127.0.0.0/8', '10.0.0.0/8'], '9.9.9.9', true],
  ] as const) {
    const { url, millrace } = await startServer({ access: { trustedProxies }, authorize })
    await entrances.poll(url, forwarded)
    expect(callers.at(-1)).toMatchObject({ address, isSecure })
    await openSocket(url, [], { headers: forwarded })
    expect(millrace.listConnections().map((connection) => connection.address)).toContain(address)
  }
})

it('a verified token is not verified again', async () => {
  const callers: Caller[] = []
  const { url } = await startServer({ access: { tokens: { secret } }, authorize: (caller) => void callers.push(caller) })
  const token = await sign()
  for (const _again of [1, 2]) await entrances.poll(url, bearer(token))
  expect(callers[1]?.principal).toBe(callers[0]?.principal)
  await entrances.poll(url, bearer(await sign({ jti: 'other' })))
  expect(callers[2]?.principal).not.toBe(callers[0]?.principal)
})
