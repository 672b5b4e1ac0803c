/** Tickets: one connection by an address alone, without a credential that somebody could use again. */
import { type AccessOptions, type Caller, type Engine, type MillraceOptions, memoryEngine, sqliteEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { entrances, streams } from './support/entrances.ts'
import { makeFolder } from './support/process.ts'
import { postJson, startServer } from './support/server.ts'
import { data, openStream } from './support/stream.ts'
import { bearer, nowSeconds, secret, sign } from './support/tokens.ts'

const adminKey = 'an-admin-key-of-a-test'
const access: AccessOptions = { tokens: { secret }, adminKey }

async function start(options: MillraceOptions = {}) {
  const callers: Caller[] = []
  const server = await startServer({ access, authorize: (caller) => void callers.push(caller), ...options })
  await server.millrace.engine.append('s', [])
  return { ...server, callers }
}

interface Issued {
  readonly ticket: string
  readonly expiresAt: number
}

async function getTicket(url: string, credential: string, body: object = {}): Promise<Issued> {
  const response = await postJson(`${url}/api/tickets`, body, bearer(credential))
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`)
  return (await response.json()) as Issued
}

const statusOf = async (url: string, body: object, headers: Record<string, string>) =>
  (await postJson(`${url}/api/tickets`, body, headers)).status

describe('a ticket', () => {
  it.each(streams)('opens one connection over %s, for the user of the token', async (transport) => {
    const { url, callers } = await start()
    const exp = nowSeconds() + 60
    const before = Date.now()
    const { ticket, expiresAt } = await getTicket(url, await sign({ exp, millrace: { may: ['session.read'] } }))
    expect(expiresAt - before).toBeGreaterThanOrEqual(30_000)
    expect(expiresAt - Date.now()).toBeLessThanOrEqual(30_000)
    callers.length = 0
    const { status, headers } = await entrances[transport](url, {}, `&ticket=${ticket}`)
    expect([status, headers.get('referrer-policy')]).toEqual(transport === 'ws' ? [101, null] : [200, 'no-referrer'])
    if (transport !== 'ws')
      expect(callers[0]?.principal).toEqual({ id: 'ada', kind: 'user', may: ['session.read'], expiresAt: exp * 1000 })
    for (const again of streams) {
      const { status, code, headers } = await entrances[again](url, {}, `&ticket=${ticket}`)
      expect([again, status, code]).toEqual([again, 401, 'ticket_rejected'])
      expect(headers.get('referrer-policy')).toBe('no-referrer')
    }
  })

  it('starts a run by GET', async () => {
    const { url } = await start()
    const { ticket } = await getTicket(url, await sign())
    const stream = await openStream(`${url}/api/chat?query=x&ticket=${ticket}`)
    expect((await stream.until('stream_end')).map(({ event }) => event)).toContain('message')
  })

  it.each(['memory', 'sqlite'])('is used by only one of many at the same time, over %s', async (name) => {
    const folder = makeFolder()
    const { url } = await start({ engine: name === 'sqlite' ? sqliteEngine({ folder }) : memoryEngine() })
    const { ticket } = await getTicket(url, await sign())
    const uses = await Promise.all(
      Array.from({ length: 24 }, (_, index) => entrances[streams[index % 3] as 'sse'](url, {}, `&ticket=${ticket}`)),
    )
    expect(uses.filter(({ status }) => status !== 401)).toHaveLength(1)
  })

  it('expires, by the clock of the engine', async () => {
    let now = 1_000_000
    const { url } = await start({ engine: memoryEngine({ now: () => now }) })
    const { ticket } = await getTicket(url, await sign(), { ttl: 5 })
    now += 5001
    for (const transport of streams)
      expect((await entrances[transport](url, {}, `&ticket=${ticket}`)).code).toBe('ticket_rejected')
    const later = await getTicket(url, await sign(), { ttl: 5 })
    now += 4999
    expect((await entrances.sse(url, {}, `&ticket=${later.ticket}`)).status).toBe(200)
  })

  it('is not valid for longer than the token', async () => {
    const { url } = await start()
    const exp = nowSeconds() + 10
    expect((await getTicket(url, await sign({ exp }))).expiresAt).toBe(exp * 1000)
    // In its leeway a token still lets in, but is worth no ticket.
    expect(await statusOf(url, {}, bearer(await sign({ exp: nowSeconds() - 10 })))).toBe(401)
  })

  it('that was changed or made up is rejected', async () => {
    const { url } = await start()
    const { ticket } = await getTicket(url, await sign())
    const [position = '', own = ''] = ticket.split('.')
    const [epoch = ''] = position.split('-')
    const other = (await getTicket(url, await sign())).ticket.split('.')[1]
    for (const wrong of [
      '',
      'x',
      `${ticket}x`,
      `${position}.${other}`,
      `${epoch}-99.${own}`,
      `${epoch}-0.${own}`,
      `${'0'.repeat(epoch.length)}-1.${own}`,
      `${position}.${'_'.repeat(43)}`,
      'x'.repeat(8000),
    ])
      for (const transport of streams)
        expect([wrong, (await entrances[transport](url, {}, `&ticket=${wrong}`)).code]).toEqual([wrong, 'ticket_rejected'])
    // None of it has used the ticket.
    expect((await entrances.sse(url, {}, `&ticket=${ticket}`)).status).toBe(200)
  })

  it('is accepted at no other address', async () => {
    const { url } = await start()
    const { ticket } = await getTicket(url, await sign())
    for (const [method, path] of [
      ['GET', '/api/sessions'],
      ['GET', '/api/models'],
      ['POST', '/api/chat'],
      ['HEAD', '/api/stream'],
      ['POST', '/api/tickets'],
    ] as const) {
      const response = await fetch(`${url}${path}?ticket=${ticket}`, { method })
      expect([path, response.status]).toEqual([path, 401])
    }
    expect((await entrances.sse(url, {}, `&ticket=${ticket}`)).status).toBe(200)
  })

  it.each(streams)('is neither looked at nor used beside an Authorization header, over %s', async (transport) => {
    const { url } = await start()
    const { ticket } = await getTicket(url, await sign())
    const enter = (headers: Record<string, string>) => entrances[transport](url, headers, `&ticket=${ticket}`)
    expect((await enter(bearer(await sign({ exp: 1 })))).code).toBe('token_expired')
    expect((await enter(bearer(await sign()))).code).toBeUndefined()
    expect((await enter({})).code).toBeUndefined()
  })

  it('is kept only as a hash', async () => {
    const { url, millrace } = await start()
    const { ticket } = await getTicket(url, await sign())
    await entrances.sse(url, {}, `&ticket=${ticket}`)
    const { head } = (await millrace.engine.inspect('access/tickets')) ?? {}
    const { events } = await millrace.engine.read('access/tickets', { epoch: head?.epoch ?? '', offset: 0 })
    expect(events.map(({ type }) => type)).toEqual(['issued', 'used'])
    expect(JSON.stringify(events)).not.toContain(ticket.split('.')[1])
  })

  it('is not accepted while the engine fails, and can be used afterwards', async () => {
    const engine = memoryEngine()
    let isDown = false
    const failing: Engine = { ...engine, inspect: (log) => (isDown ? Promise.reject(new Error('down')) : engine.inspect(log)) }
    const { url } = await start({ engine: failing })
    const { ticket } = await getTicket(url, await sign())
    isDown = true
    expect((await entrances.poll(url, {}, `&ticket=${ticket}`)).status).toBe(500)
    isDown = false
    expect((await entrances.poll(url, {}, `&ticket=${ticket}`)).status).toBe(200)
  })
})

describe('a used ticket', () => {
  it.each(['sse', 'poll'] as const)('resumes over %s with the cookie of its first use, and only with that', async (transport) => {
    const { url } = await start()
    const enter = entrances[transport]
    const { ticket } = await getTicket(url, await sign())
    const first = await enter(url, {}, `&ticket=${ticket}`)
    const cookie = first.headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(/^millrace-ticket=[\w-]{43}; Path=\/api\/stream; Max-Age=\d+; HttpOnly; SameSite=Strict$/)
    const mine = cookie.split(';')[0] as string
    for (let reconnect = 0; reconnect < 3; reconnect++) {
      const again = await enter(url, { cookie: `other=1; ${mine}; last=2` }, `&ticket=${ticket}`)
      expect([again.status, again.headers.get('set-cookie')]).toEqual([200, null])
    }
    for (const foreign of [
      {},
      { cookie: '' },
      { cookie: `millrace-ticket=${'x'.repeat(43)}` },
      { cookie: `x${mine}` },
    ] as object[])
      expect((await enter(url, foreign as Record<string, string>, `&ticket=${ticket}`)).code).toBe('ticket_rejected')
    // The cookie alone is no credential, and a page of another site cannot use it.
    expect((await enter(url, { cookie: mine })).code).toBe('unauthenticated')
    expect((await enter(url, { cookie: mine, origin: 'https://evil.example' }, `&ticket=${ticket}`)).status).toBe(403)
    expect((await entrances.ws(url, { cookie: mine }, `&ticket=${ticket}`)).code).toBe('ticket_rejected')
  })

  it('resumes beside the other tickets of its browser, which has one cookie', async () => {
    const { url } = await start()
    const [one, two] = [await getTicket(url, await sign()), await getTicket(url, await sign({ sub: 'bob' }))]
    const first = await entrances.sse(url, {}, `&ticket=${one.ticket}`)
    const cookie = first.headers.get('set-cookie')?.split(';')[0] as string
    const second = await entrances.sse(url, { cookie }, `&ticket=${two.ticket}`)
    expect(second.headers.get('set-cookie')?.split(';')[0]).toBe(cookie)
    for (const { ticket } of [one, two]) expect((await entrances.sse(url, { cookie }, `&ticket=${ticket}`)).status).toBe(200)
  })

  it('was used by a WebSocket resumes nothing', async () => {
    const { url } = await start()
    const { ticket } = await getTicket(url, await sign())
    await entrances.ws(url, {}, `&ticket=${ticket}`)
    const cookie = `millrace-ticket=${'x'.repeat(43)}`
    expect((await entrances.sse(url, { cookie }, `&ticket=${ticket}`)).code).toBe('ticket_rejected')
  })

  it('has a cookie on web-standard hosts and behind TLS too', async () => {
    const { millrace, url } = await start({ access: { ...access, trustedProxies: ['127.0.0.1'] } })
    const { ticket } = await getTicket(url, await sign())
    const behind = await entrances.sse(url, { 'x-forwarded-proto': 'https' }, `&ticket=${ticket}`)
    expect(behind.headers.get('set-cookie')).toMatch(/; Secure$/)
    const other = await getTicket(url, await sign())
    const address = `https://host/api/stream?session=s&ticket=${other.ticket}`
    const response = await millrace.fetch(new Request(address))
    await response.body?.cancel()
    expect(response.headers.get('set-cookie')).toMatch(/; Secure$/)
    expect(response.headers.get('referrer-policy')).toBe('no-referrer')
  })

  it('continues the stream after the last event that was read', async () => {
    const { url, millrace } = await start()
    const { ticket } = await getTicket(url, await sign())
    const address = `${url}/api/stream?channel=c&ticket=${ticket}`
    await millrace.publish({ channel: 'c', data: 1 })
    const first = await openStream(address)
    const cookie = first.response.headers.get('set-cookie')?.split(';')[0] as string
    const { id } = await first.next()
    first.close()
    await millrace.publish({ channel: 'c', data: 2 })
    const second = await openStream(address, { headers: { cookie, 'last-event-id': id } })
    expect(data(await second.next())).toBe(2)
  })
})

describe('a ticket for a user', () => {
  it('is given to a backend with its key, with what it says', async () => {
    const { url, callers } = await start()
    const before = Date.now()
    const grants = { may: ['session.read'], sessions: ['s'], channels: ['room:*'], limits: { runsInFlight: 1 } }
    const { ticket } = await getTicket(url, adminKey, { sub: 'bob', ttl: 10, connectionTtl: 60, ...grants })
    await entrances.sse(url, {}, `&ticket=${ticket}`)
    const { principal } = callers.at(-1) as Caller
    const times = { issuedAt: expect.any(Number), expiresAt: expect.any(Number) }
    expect(principal).toEqual({ id: 'bob', kind: 'user', ...grants, ...times })
    expect((principal.expiresAt ?? 0) - before).toBeGreaterThanOrEqual(60_000)
    expect((principal.expiresAt ?? 0) - before).toBeLessThan(70_000)
  })

  it('has nothing of the administrator, unless the administrator says so', async () => {
    const { url, callers } = await start()
    const { ticket } = await getTicket(url, adminKey, { sub: 'bob' })
    await entrances.sse(url, {}, `&ticket=${ticket}`)
    expect(callers.at(-1)?.principal).toMatchObject({ id: 'bob', kind: 'user' })
    expect(callers.at(-1)?.principal.may).toBeUndefined()
  })

  it('has no more than its issuer', async () => {
    const { url, millrace, callers } = await start()
    const { key } = await millrace.keys.create({ name: 'a', may: ['ticket.create', 'session.*'] })
    const user = await sign({ millrace: { may: ['session.read', 'run.start'], sessions: ['a*'], channels: ['c'] } })
    const plain = await sign()
    for (const [credential, body, status] of [
      [key, { sub: 'bob' }, 201],
      [key, { sub: 'bob', may: ['session.read', 'session.*'] }, 201],
      [key, { sub: 'bob', may: ['run.start'] }, 403],
      [key, { sub: 'bob', may: ['admin.*'] }, 403],
      [user, {}, 201],
      [user, { may: ['session.read'], sessions: ['ab', 'a*'], channels: ['c'] }, 201],
      [user, { may: ['session.*'] }, 403],
      [user, { sessions: ['*'] }, 403],
      [user, { sessions: ['b'] }, 403],
      [user, { channels: ['c*'] }, 403],
      [user, { limits: { runsInFlight: 99 } }, 403],
      [user, { sub: 'bob' }, 403],
      [plain, { sub: 'bob' }, 403],
      [plain, { may: ['ticket.create'] }, 403],
      [plain, { may: ['admin.*'] }, 403],
      [plain, { may: ['session.read'] }, 201],
      [adminKey, { sub: 'anonymous' }, 400],
      [adminKey, { sub: 'key:admin' }, 400],
      [adminKey, { sub: 'bob', mai: [] }, 400],
      [adminKey, { sub: 'bob', ttl: 301 }, 400],
    ] as const)
      expect([body, await statusOf(url, body, bearer(credential))]).toEqual([body, status])
    const { ticket } = await getTicket(url, key, { sub: 'bob' })
    await entrances.sse(url, {}, `&ticket=${ticket}`)
    // Not the right to get tickets.
    expect(callers.at(-1)?.principal.may).toEqual(['session.*'])
  })

  it('is given to nobody without credentials, on an open server too', async () => {
    const { url, millrace } = await startServer()
    for (const headers of [{}, bearer(await sign())] as Record<string, string>[])
      expect(await statusOf(url, {}, headers)).toBe(401)
    expect(await millrace.engine.inspect('access/tickets')).toBeUndefined()
    expect(await statusOf((await start()).url, {}, {})).toBe(401)
  })
})

it('an open server ignores credentials, as before', async () => {
  const { url, millrace } = await startServer()
  await millrace.engine.append('s', [])
  for (const [name, enter] of Object.entries(entrances))
    expect([name, (await enter(url, bearer('nonsense'), '&ticket=nonsense')).status]).toEqual([name, name === 'ws' ? 101 : 200])
})
