/** The admin API of one server: what an operator sees and does. Several servers: conformance/test/admin-nodes.test.ts. */
import { once } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { adminKey, startAdmin } from './support/admin.ts'
import { gatedModel } from './support/gated-model.ts'
import { startRun } from './support/server.ts'
import { openStream } from './support/stream.ts'
import { bearer, secret, sign } from './support/tokens.ts'

interface Listed {
  readonly connections: { readonly id: string; readonly transport: string; readonly principal: string; readonly logs: string[] }[]
  readonly total: number
  readonly next?: string
}

describe('connections', () => {
  it('are listed newest first, filtered and in pages', async () => {
    const { url, read, millrace } = await startAdmin()
    await millrace.engine.append('s', [])
    const shop = await millrace.keys.create({ name: 'shop' })
    for (let index = 0; index < 5; index++) await openStream(`${url}/api/stream?channel=c${index}`)
    await openStream(`${url}/api/stream?session=s`, { headers: bearer(shop.key) })
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/chat?session=s`)
    onTestFinished(() => socket.terminate())
    await once(socket, 'open')
    socket.send('{"type":"attach","session":"s"}')
    await once(socket, 'message')
    const logs: string[][] = []
    for (let before = ''; ; ) {
      const page = await read<Listed>(`/connections?limit=3${before}`)
      expect(page.total).toBe(7)
      expect(page.connections.length).toBeLessThanOrEqual(3)
      logs.push(...page.connections.map((each) => each.logs))
      if (page.next === undefined) break
      before = `&before=${page.next}`
    }
    expect(logs).toEqual([['s'], ['s'], ['channel/c4'], ['channel/c3'], ['channel/c2'], ['channel/c1'], ['channel/c0']])
    const found = async (query: string) => (await read<Listed>(`/connections?${query}`)).total
    expect(await found('transport=ws')).toBe(1)
    expect(await found(`principal=key:${shop.id}`)).toBe(1)
    expect(await found('session=s')).toBe(2)
    expect(await found('channel=c1')).toBe(1)
    expect(await found('address=127.0.0.1')).toBe(7)
    expect(await found('address=10.0.0.1')).toBe(0)
    expect(await found('session=s&transport=sse')).toBe(1)
  })

  it('are disconnected by id, principal, session, channel or address, with a code', async () => {
    const { url, call, read, millrace, changes } = await startAdmin()
    const { id, key } = await millrace.keys.create({ name: 'shop' })
    const open = (path: string, headers = {}) => openStream(`${url}/api/stream?${path}`, { headers })
    const [a, b, c] = [await open('channel=a'), await open('channel=b', bearer(key)), await open('channel=c')]
    const [newest] = (await read<Listed>('/connections')).connections
    const disconnect = async (body: object) => (await call('POST', '/connections/disconnect', body)).body.disconnected
    expect(await disconnect({ id: newest?.id, code: 'forbidden' })).toBe(1)
    expect((await c.rest()).at(-1)).toMatchObject({ event: 'error', data: expect.stringContaining('"forbidden"') })
    expect(await disconnect({ principal: `key:${id}` })).toBe(1)
    expect((await b.rest()).at(-1)?.data).toContain('"connection_closed"')
    expect(await disconnect({ channel: 'nobody' })).toBe(0)
    expect(await disconnect({ channel: 'a', transport: 'ws' })).toBe(0)
    expect(await disconnect({ address: '127.0.0.1' })).toBe(1)
    expect((await a.rest()).at(-1)?.data).toContain('"connection_closed"')
    expect(changes[0]).toEqual({
      principal: 'key:admin',
      address: '127.0.0.1',
      request: 'POST /api/admin/connections/disconnect',
      input: { id: newest?.id, code: 'forbidden' },
    })
  })

  it('are never all disconnected by a request that forgot which', async () => {
    const { url, call, read } = await startAdmin()
    await openStream(`${url}/api/stream?channel=a`)
    for (const body of [{}, { code: 'forbidden' }, { sesion: 's' }])
      expect(await call('POST', '/connections/disconnect', body)).toMatchObject({ status: 400 })
    expect((await read<Listed>('/connections')).total).toBe(1)
  })
})

describe('runs', () => {
  it('are listed while they are in progress and after their end, and are stopped', async () => {
    const model = gatedModel()
    const { url, call, read, changes } = await startAdmin({ models: [model], model: 'gated' })
    const { run, session } = await startRun(url, { query: 'x' })
    const { runs } = await read<{ runs: object[] }>('/runs?status=streaming')
    expect(runs).toMatchObject([{ run, session, models: ['gated'], principal: 'anonymous', status: 'streaming' }])
    expect(await call('POST', `/runs/${run}/stop`)).toMatchObject({ status: 200, body: { status: 'stopped' } })
    const after = await read<{ runs: object[]; nodes: object[] }>(`/runs?session=${session}&model=gated`)
    expect(after.runs).toMatchObject([{ run, status: 'stopped', usage: {}, timings: {}, endedAt: expect.any(Number) }])
    expect(after.nodes).toEqual([{ node: expect.any(String), answered: true }])
    expect((await read<{ runs: object[] }>('/runs?principal=ada')).runs).toEqual([])
    expect(await call('POST', '/runs/nothing/stop')).toMatchObject({ status: 404 })
    expect(changes.map(({ request, input, code }) => [request, input, code])).toEqual([
      ['POST /api/admin/runs/:id/stop', { id: run }, undefined],
      ['POST /api/admin/runs/:id/stop', { id: 'nothing' }, 'run_not_found'],
    ])
  })

  it('are in pages, the newest first', async () => {
    const { url, read } = await startAdmin()
    const started: string[] = []
    for (let index = 0; index < 5; index++) started.unshift((await startRun(url, { query: 'x' })).run)
    const first = await read<{ runs: { run: string }[]; next: string }>('/runs?limit=3')
    const second = await read<{ runs: { run: string }[]; next?: string }>(`/runs?limit=3&before=${first.next}`)
    expect([...first.runs, ...second.runs].map(({ run }) => run).sort()).toEqual(started.sort())
    expect(second.next).toBeUndefined()
  })
})

describe('logs', () => {
  it('of sessions are listed with their owners', async () => {
    const { url, read } = await startAdmin({ access: { adminKey, tokens: { secret } } })
    for (const sub of ['ada', 'bob', 'ada']) await startRun(url, { query: 'x' }, bearer(await sign({ sub })))
    const ownersOf = async (query: string) =>
      (await read<{ sessions: { owner: string }[] }>(`/sessions?${query}`)).sessions.map(({ owner }) => owner).sort()
    expect(await ownersOf('')).toEqual(['ada', 'ada', 'bob'])
    expect(await ownersOf('owner=ada')).toEqual(['ada', 'ada'])
    expect(await ownersOf('owner=cai')).toEqual([])
  })

  it('of sessions and channels are listed and read in pages', async () => {
    const { url, read, call } = await startAdmin()
    const { session } = await startRun(url, { query: 'what is it?' })
    for (let index = 1; index <= 5; index++) {
      const body = { channel: 'room:1', data: index === 5 ? { $binary: 'AAEC' } : index }
      expect(await call('POST', '/publish', body)).toMatchObject({ status: 200 })
    }
    expect(await read<{ sessions: object[] }>('/sessions')).toMatchObject({ sessions: [{ id: session, title: 'what is it?' }] })
    expect(await read('/channels?prefix=room:')).toEqual({
      channels: [{ channel: 'room:1', start: expect.stringMatching(/-0$/), head: expect.stringMatching(/-5$/) }],
    })
    const { logs } = await read<{ logs: { log: string; kind: string }[] }>('/logs?limit=200')
    expect(logs).toContainEqual({ log: 'channel/room:1', kind: 'channel' })
    expect(logs).toContainEqual({ log: session, kind: 'session' })
    expect(logs).toContainEqual({ log: 'catalog/sessions', kind: 'internal' })
    const values: unknown[] = []
    for (let from = 'start'; ; ) {
      const page = await read<{ events: { data: unknown }[]; position: string; head: string }>(
        `/events?log=channel/room:1&limit=2&from=${from}`,
      )
      values.push(...page.events.map(({ data }) => data))
      if (page.position === page.head) break
      from = page.position
    }
    expect(values).toEqual([1, 2, 3, 4, { $binary: 'AAEC' }])
    const newest = await read<{ events: object[] }>('/events?log=channel/room:1&last=2')
    expect(newest.events).toMatchObject([{ event: 'message', data: 4 }, { data: { $binary: 'AAEC' } }])
    expect((await read<{ events: { event: string }[] }>(`/events?log=${session}`)).events[0]?.event).toBe('stream_start')
  })

  it('are listed in pages by name', async () => {
    const { millrace, read } = await startAdmin()
    for (const channel of ['a', 'b', 'c', 'd', 'e']) await millrace.publish({ channel, data: 1 })
    const names: string[] = []
    for (let after: string | undefined = ''; after !== undefined; ) {
      const page: { channels: { channel: string }[]; next?: string } = await read(`/channels?limit=2&after=${after}`)
      names.push(...page.channels.map(({ channel }) => channel))
      after = page.next
    }
    expect(names).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('that hold keys and tickets are not read', async () => {
    const { millrace, call } = await startAdmin()
    await millrace.keys.create({ name: 'a' })
    for (const log of ['access/keys', 'access/tickets', 'catalog/sessions', 'channel/', '../access/keys'])
      expect(await call('GET', `/events?log=${encodeURIComponent(log)}`)).toMatchObject({
        status: expect.toSatisfy((s) => s === 403 || s === 404),
      })
    expect(await call('GET', '/events?log=nothing')).toMatchObject({ status: 404 })
    expect(await call('GET', '/events?log=s&from=x')).toMatchObject({ status: 404 })
  })

  it('are written without a record of what was published', async () => {
    const { call, changes } = await startAdmin()
    await call('POST', '/publish', { channel: 'c', data: 'private words' })
    expect(changes).toMatchObject([{ request: 'POST /api/admin/publish', input: { channel: 'c', event: 'message' } }])
    expect(JSON.stringify(changes)).not.toContain('private words')
  })
})

describe('keys', () => {
  it('are created, listed without themselves, and revoked', async () => {
    const { url, call, read, changes } = await startAdmin()
    const { status, body } = await call('POST', '/keys', { name: 'shop', may: ['session.read'] })
    const { key, ...described } = body as { key: string; id: string }
    expect([status, key]).toEqual([201, expect.stringMatching(/^mr_[\w-]{55}$/)])
    expect(await read('/keys')).toEqual({ keys: [described] })
    expect((await fetch(`${url}/api/models`, { headers: bearer(key) })).status).toBe(200)
    expect(await call('DELETE', `/keys/${described.id}`)).toEqual({ status: 200, body: { id: described.id } })
    expect((await fetch(`${url}/api/models`, { headers: bearer(key) })).status).toBe(401)
    expect(await call('DELETE', `/keys/${described.id}`)).toMatchObject({ status: 404 })
    expect(JSON.stringify(changes)).not.toContain(key)
    expect(changes.map(({ request }) => request)).toEqual([
      'POST /api/admin/keys',
      ...Array(2).fill('DELETE /api/admin/keys/:id'),
    ])
  })

  it('never allow more than their creator has', async () => {
    const { call, millrace } = await startAdmin()
    const { key } = await millrace.keys.create({ name: 'helpdesk', may: ['admin.keys', 'session.*'] })
    const create = async (may?: string[]) => (await call('POST', '/keys', { name: 'x', ...(may && { may }) }, key)).status
    expect(await create(['session.read', 'session.*', 'admin.keys'])).toBe(201)
    for (const may of [['admin.*'], ['admin.read'], ['run.start'], ['session.read', 'ticket.create'], [], undefined])
      expect([may, await create(may)]).toEqual([may, 403])
  })

  it.each([
    ['a user', { may: ['admin.keys', 'run.start'] }],
    ['a key of one model', { may: ['admin.keys', 'run.start', 'model.use:sim:*'] }],
    ['a key with limits', { may: ['admin.keys', 'run.start'], limits: { runsPerMinute: 1 } }],
  ])('never lose the bounds of their creator: %s', async (who, grants) => {
    const { call, millrace } = await startAdmin({ access: { adminKey, tokens: { secret } } })
    const isUser = who === 'a user'
    const credential = isUser ? await sign({ millrace: grants }) : (await millrace.keys.create({ name: 'x', ...grants })).key
    expect(await call('POST', '/keys', { name: 'y', may: ['run.start'] }, credential)).toMatchObject({ status: 403 })
  })

  it('open tickets for one connection', async () => {
    const { url, call, millrace } = await startAdmin({ access: { adminKey, allowAnonymous: false } })
    await millrace.engine.append('s', [])
    const { body } = await call('POST', '/tickets', { sub: 'ada', may: ['session.read'] })
    expect((await openStream(`${url}/api/stream?session=s&ticket=${String(body.ticket)}`)).response.status).toBe(200)
  })

  it('and tickets are listed without themselves, and a ticket is revoked until it is used', async () => {
    const { url, call, read, millrace } = await startAdmin({ access: { adminKey, allowAnonymous: false } })
    await millrace.engine.append('s', [])
    const issue = async (sub: string) => String((await call('POST', '/tickets', { sub, ttl: 60 })).body.ticket)
    const [first, second] = [await issue('ada'), await issue('bob')]
    const { tickets } = await read<{ tickets: { id: string; principal: string }[] }>('/tickets')
    expect(tickets.map(({ principal }) => principal)).toEqual(['bob', 'ada'])
    expect(JSON.stringify(tickets)).not.toContain(first.split('.')[1])
    const [bob, ada] = tickets.map(({ id }) => id)
    expect(await call('DELETE', `/tickets/${ada}`)).toEqual({ status: 200, body: { id: ada } })
    expect((await fetch(`${url}/api/stream?session=s&ticket=${first}`)).status).toBe(401)
    await openStream(`${url}/api/stream?session=s&ticket=${second}`)
    for (const id of [ada, bob, 'aaaaaaaa-1']) expect(await call('DELETE', `/tickets/${id}`)).toMatchObject({ status: 404 })
    expect(await read('/tickets')).toEqual({ tickets: [] })
  })

  it('and what was revoked is listed in pages, the newest first', async () => {
    const { call, read } = await startAdmin()
    for (const body of [{ sub: 'ada' }, { session: 's' }, { tokenId: 'a b/c' }]) await call('POST', '/revocations', body)
    interface Page {
      readonly revocations: readonly { readonly name: string }[]
      readonly next?: string
    }
    const one = await read<Page>('/revocations?limit=2')
    const two = await read<Page>(`/revocations?limit=2&before=${one.next}`)
    expect([...one.revocations, ...two.revocations].map(({ name }) => name).sort()).toEqual(['a b/c', 'ada', 's'])
    expect([one.revocations.length, two.next]).toEqual([2, undefined])
  })

  it('and users are revoked with what they have open', async () => {
    const { url, call, millrace, changes } = await startAdmin()
    const { body } = await call('POST', '/tickets', { sub: 'ada' })
    await millrace.engine.append('s', [])
    const stream = await openStream(`${url}/api/stream?session=s&ticket=${String(body.ticket)}`)
    expect(await call('POST', '/revocations', { sub: 'ada' })).toEqual({ status: 201, body: { sub: 'ada' } })
    expect((await stream.rest()).at(-1)?.data).toContain('"token_revoked"')
    for (const wrong of [{}, { sub: 'a', session: 's' }, { user: 'ada' }])
      expect(await call('POST', '/revocations', wrong)).toMatchObject({ status: 400 })
    expect(changes.filter(({ request }) => request === 'POST /api/admin/revocations')[0]?.input).toEqual({ sub: 'ada' })
  })
})

describe('draining', () => {
  it('accepts no clients and runs, lets runs continue, and is undone', async () => {
    const model = gatedModel()
    const { url, call, read } = await startAdmin({ models: [model], model: 'gated' })
    const { session } = await startRun(url, { query: 'x' })
    const stream = await openStream(`${url}/api/stream?session=${session}`)
    const { servers } = await read<{ servers: { node: string }[] }>('/nodes')
    const [node] = servers.map((each) => each.node)
    expect(await call('POST', `/nodes/${node}/drain`)).toMatchObject({
      status: 200,
      body: { drainingSince: expect.any(Number), runs: 1 },
    })
    expect((await fetch(`${url}/readyz`)).status).toBe(503)
    for (const path of ['/api/models', `/api/stream?session=${session}`, '/api/chat?query=x'])
      expect((await fetch(`${url}${path}`)).status).toBe(503)
    // It shares its engine with nobody, so nobody could take the reader over.
    model.say({ text: 'still here' })
    model.finish()
    expect((await stream.until('stream_end')).some(({ data }) => data.includes('still here'))).toBe(true)
    expect(await call('DELETE', `/nodes/${node}/drain`)).toMatchObject({ status: 200, body: { runs: 0 } })
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    expect(await call('POST', '/nodes/nobody/drain')).toMatchObject({ status: 404 })
  })
})

describe('changes', () => {
  it('are recorded with who made them, in pages, the newest first', async () => {
    const { call, read, millrace } = await startAdmin()
    const helpdesk = await millrace.keys.create({ name: 'helpdesk', may: ['admin.publish'] })
    for (let data = 1; data <= 4; data++) await call('POST', '/publish', { channel: `c${data}`, data }, helpdesk.key)
    await call('DELETE', '/keys/nothing')
    interface Page {
      readonly changes: readonly { principal: string; request: string; input: { channel?: string }; code?: string }[]
      readonly next?: number
    }
    const first = await read<Page>('/changes?limit=2')
    expect(first.changes).toMatchObject([
      { principal: 'key:admin', request: 'DELETE /api/admin/keys/:id', input: { id: 'nothing' }, code: 'not_found' },
      { principal: `key:${helpdesk.id}`, request: 'POST /api/admin/publish', input: { channel: 'c4' }, address: '127.0.0.1' },
    ])
    const second = await read<Page>(`/changes?limit=2&before=${first.next}`)
    const third = await read<Page>(`/changes?limit=2&before=${second.next}`)
    expect([...second.changes, ...third.changes].map(({ input }) => input.channel)).toEqual(['c3', 'c2', 'c1'])
    expect(third.next).toBeUndefined()
    expect((await read<Page>('/changes')).changes).toHaveLength(5)
  })
})

describe('usage', () => {
  const today = new Date().toISOString().slice(0, 10)
  interface Page {
    readonly usage: readonly { day: string; principal: string; runs: number; outputTokens: number; models: object }[]
    readonly next?: string
  }

  it('is that of each principal and day, in pages', async () => {
    const { url, read } = await startAdmin({ access: { adminKey, tokens: { secret } } })
    for (const sub of ['ada', 'bob', 'cai']) {
      const { run } = await startRun(url, { query: 'x' }, bearer(await sign({ sub })))
      await fetch(`${url}/api/runs/${run}/stop`, { method: 'POST', headers: bearer(await sign({ sub })) })
    }
    const first = await read<Page>('/usage?limit=2')
    expect(first.usage).toMatchObject([
      { day: today, principal: 'ada', runs: 1, models: [{ model: 'sim:count?n=5&tps=0', lanes: 1 }] },
      { day: today, principal: 'bob', runs: 1 },
    ])
    const second = await read<Page>(`/usage?limit=2&after=${encodeURIComponent(first.next ?? '')}`)
    expect(second.usage.map(({ principal }) => principal)).toEqual(['cai'])
    expect(second.next).toBeUndefined()
    expect((await read<Page>(`/usage?principal=bob&from=${today}`)).usage).toHaveLength(1)
    expect((await read<Page>('/usage?from=2020-01-01&to=2020-01-31')).usage).toEqual([])
  })

  it.each(['from=2020-01-02&to=2020-01-01', 'from=2020-01-01&to=2020-03-01', 'from=yesterday'])(
    'is not that of %s',
    async (query) => {
      const { call } = await startAdmin()
      expect(await call('GET', `/usage?${query}`)).toMatchObject({ status: 400 })
    },
  )
})

describe('the configuration', () => {
  it('is what the server was given, without its secrets', async () => {
    const { read } = await startAdmin({
      access: { adminKey, tokens: { secret }, origins: ['https://app.example.com'] },
      webhooks: [{ url: 'http://localhost:1/', secret: `whsec_${Buffer.alloc(32).toString('base64')}` }],
      limits: { runsPerNode: 7 },
    })
    const { settings } = await read<{ settings: { key: string; value: unknown; source: string }[] }>('/configuration')
    const of = (key: string) => settings.find((each) => each.key === key)
    expect(of('limits.runsPerNode')).toEqual({ key: 'limits.runsPerNode', value: 7, source: 'code' })
    expect(of('heartbeatMs')).toEqual({ key: 'heartbeatMs', value: 15_000, source: 'default' })
    expect(of('access.origins')).toMatchObject({ value: ['https://app.example.com'] })
    for (const key of ['access.adminKey', 'access.tokens', 'webhooks']) expect(of(key)).toMatchObject({ value: '(secret)' })
    for (const hidden of [adminKey, secret]) expect(JSON.stringify(settings)).not.toContain(hidden)
    expect(of('port')).toBeUndefined()
  })

  it('is shown with the flag, variable or file of each setting where the command has started it', async () => {
    const configuration = [{ key: 'port', value: 4600, source: 'flag', from: '--port' }] as const
    const { read } = await startAdmin({ configuration })
    expect(await read('/configuration')).toMatchObject({ settings: configuration })
  })
})
