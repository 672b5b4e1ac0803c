/** Whose a session is: its owner's on every transport and command; for everybody else it does not exist. */
import { MillraceError, type MillraceOptions, memoryEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { bearer, secret, sign } from './support/tokens.ts'

const adminKey = 'an-admin-key-of-a-test'

async function start(options: MillraceOptions = {}) {
  const server = await startServer({ access: { tokens: { secret }, adminKey }, ...options })
  const as = async (sub: string, millrace?: object) => bearer(await sign({ sub, ...(millrace && { millrace }) }))
  const [ada, bob] = [await as('ada'), await as('bob')]
  const ask = async (headers: Record<string, string>, body: object = {}) => {
    const response = await postJson(`${server.url}/api/chat`, { query: 'x', ...body }, { accept: 'application/json', ...headers })
    return { status: response.status, body: (await response.json()) as Record<string, string> & { error: { code: string } } }
  }
  const call = async (method: string, path: string, headers: Record<string, string>, body?: object) => {
    const init = { method, headers: { ...headers, ...(body && { 'content-type': 'application/json' }) } }
    const response = await fetch(`${server.url}${path}`, { ...init, ...(body && { body: JSON.stringify(body) }) })
    const text = await response.text()
    return [response.status, text.startsWith('{') ? JSON.parse(text) : text] as [number, Record<string, unknown>]
  }
  const listed = async (headers: Record<string, string>, query = '') => {
    const [, { sessions }] = await call('GET', `/api/sessions${query}`, headers)
    return (sessions as { id: string }[]).map(({ id }) => id)
  }
  return { ...server, as, ada, bob, ask, call, listed }
}

describe('a session', () => {
  it('belongs to its owner from its first question on', async () => {
    const { ada, bob, ask, call } = await start()
    const { body } = await ask(ada)
    expect((await call('GET', `/api/sessions/${body['session']}`, ada))[0]).toBe(200)
    expect((await call('GET', `/api/sessions/${body['session']}`, bob))[0]).toBe(404)
  })

  it('that is created by its id belongs to its owner before anything is asked in it', async () => {
    const { ada, bob, call } = await start()
    expect(await call('POST', '/api/sessions', ada, { id: 'notes' })).toEqual([201, { id: 'notes' }])
    expect(await call('POST', '/api/sessions', ada, { id: 'notes' })).toEqual([200, { id: 'notes' }])
    expect((await call('POST', '/api/sessions', bob, { id: 'notes' }))[0]).toBe(404)
    expect((await call('GET', '/api/sessions/notes', bob))[0]).toBe(404)
    expect((await call('GET', '/api/sessions/notes', bearer(adminKey)))[0]).toBe(200)
  })

  it('of nobody is for everybody who has its id, and stays so when a user asks in it', async () => {
    const { ada, bob, ask, call, millrace } = await start()
    const { session } = await millrace.ask({ query: 'x' })
    expect((await ask(ada, { session })).status).toBe(202)
    expect((await call('GET', `/api/sessions/${session}`, bob))[0]).toBe(200)
  })

  it('gets an owner from the code of the host, once', async () => {
    const { ada, bob, call, millrace, listed } = await start()
    const { session, ended } = await millrace.ask({ query: 'x', owner: 'ada' })
    await millrace.run({ session: 'weather', source: ['sun'], owner: 'ada' })
    await ended
    for (const id of [session, 'weather']) {
      expect((await call('GET', `/api/sessions/${id}`, ada))[0]).toBe(200)
      expect((await call('GET', `/api/sessions/${id}`, bob))[0]).toBe(404)
    }
    await expect(millrace.ask({ query: 'x', session, owner: 'bob' })).rejects.toMatchObject({ code: 'session_not_found' })
    await expect.poll(() => listed(ada)).toEqual(expect.arrayContaining([session, 'weather']))
  })

  it('is created for a user by a server that may name users', async () => {
    const { ada, bob, call, millrace } = await start()
    const { key } = await millrace.keys.create({ name: 'shop', may: ['session.*', 'ticket.create'] })
    expect((await call('POST', '/api/sessions', bearer(key), { id: 'order', owner: 'ada' }))[0]).toBe(201)
    expect((await call('POST', '/api/sessions', ada, { id: 'mine', owner: 'bob' }))[0]).toBe(403)
    expect((await call('GET', '/api/sessions/order', ada))[0]).toBe(200)
    expect((await call('GET', '/api/sessions/order', bob))[0]).toBe(404)
    expect((await call('GET', '/api/sessions/order', bearer(key)))[0]).toBe(404)
    const all = await millrace.keys.create({ name: 'support', may: ['session.read', 'admin.sessions'] })
    expect((await call('GET', '/api/sessions/order', bearer(all.key)))[0]).toBe(200)
  })

  it('can be used by a user whose token names it, although another owns it', async () => {
    const { as, ada, ask, call } = await start()
    const { body } = await ask(ada)
    const session = body['session'] as string
    expect((await call('GET', `/api/sessions/${session}`, await as('bob', { sessions: [session] })))[0]).toBe(200)
    const [status] = await call('POST', `/api/sessions/${session}/shares`, await as('bob', { sessions: [session] }), {})
    expect(status).toBe(403)
  })

  it('cannot be opened with a ticket that its user has made for it', async () => {
    const { ada, bob, ask, call } = await start()
    const { body } = await ask(ada)
    const session = body['session'] as string
    const open = async (headers: Record<string, string>) => {
      const [status, { ticket }] = await call('POST', '/api/tickets', headers, { sessions: [session] })
      expect(status).toBe(201)
      return (await call('GET', `/api/stream?session=${session}&live=poll&wait=0&ticket=${ticket as string}`, {}))[0]
    }
    expect(await open(bob)).toBe(404)
    expect(await open(ada)).toBe(200)
  })

  it('can be used by those whom the host allows, and the host knows whose it is', async () => {
    const owners: unknown[] = []
    const { ada, bob, ask, call, as } = await start({
      authorize({ principal }, action, { owner }) {
        if (action === 'session.read') owners.push(owner)
        if (principal.id === 'bob' && owner === 'ada') return Promise.resolve('allow')
        if (principal.id === 'eve') throw new MillraceError('forbidden')
      },
    })
    const { body } = await ask(ada)
    owners.length = 0
    expect((await call('GET', `/api/sessions/${body['session']}`, bob))[0]).toBe(200)
    expect((await call('GET', `/api/sessions/${body['session']}`, await as('carl')))[0]).toBe(404)
    expect((await call('GET', `/api/sessions/${body['session']}`, await as('eve')))[0]).toBe(403)
    expect(owners).toEqual(['ada', 'ada', 'ada'])
  })

  it('keeps its owner when that deletes it and creates it at the same moment', async () => {
    const engine = memoryEngine()
    let create: (() => Promise<unknown>) | undefined
    const remove = engine.delete.bind(engine)
    engine.delete = async (log) => {
      const wasThere = await remove(log)
      if (log === 'notes') await create?.()
      return wasThere
    }
    const { ada, bob, call } = await start({ engine })
    await call('POST', '/api/sessions', ada, { id: 'notes' })
    create = async () => expect(await call('POST', '/api/sessions', ada, { id: 'notes' })).toEqual([201, { id: 'notes' }])
    expect((await call('DELETE', '/api/sessions/notes', ada))[0]).toBe(200)
    expect((await call('GET', '/api/sessions/notes', bob))[0]).toBe(404)
    expect((await call('GET', '/api/sessions/notes', ada))[0]).toBe(200)
  })

  it('is hidden before anything else can reject a request', async () => {
    const { url, ada, bob, ask, call } = await start({ limits: { connections: 1, subscriptions: 1 } })
    const [{ body: hers }, { body: his }] = [await ask(ada), await ask(bob)]
    // His connections and subscriptions are used up, and the id of his run is taken.
    const socket = await openSocket(url, [], { headers: bob })
    socket.send({ type: 'attach', session: his['session'] as string })
    await socket.until(({ type }) => type === 'attached')
    for (const session of [hers['session'] as string, 'missing']) {
      const statuses = [
        (await call('GET', `/api/stream?session=${session}`, bob))[0],
        (await call('GET', `/api/stream?session=${session}&session=none`, bob))[0],
        (await call('POST', '/api/chat', bob, { query: 'x', session }))[0],
        (await ask(bob, { session, id: his['run'] })).status,
        (await call('POST', `/api/runs/${his['run']}/continue`, bob, { session, id: his['run'] }))[0],
      ]
      expect(statuses).toEqual(statuses.map(() => 404))
      socket.send({ type: 'attach', session, ref: session })
      const rejected = (await socket.until(({ ref }) => ref === session)).at(-1)
      expect(rejected).toMatchObject({ error: { code: 'session_not_found' } })
    }
  })

  it('that was deleted can be created by another user', async () => {
    const { ada, bob, call } = await start()
    await call('POST', '/api/sessions', ada, { id: 'notes' })
    expect((await call('DELETE', '/api/sessions/notes', bob))[0]).toBe(404)
    expect((await call('DELETE', '/api/sessions/notes', ada))[0]).toBe(200)
    expect((await call('POST', '/api/sessions', bob, { id: 'notes' }))[0]).toBe(201)
    expect((await call('GET', '/api/sessions/notes', ada))[0]).toBe(404)
  })
})

describe('the list of sessions', () => {
  it('has those of one owner, page by page', async () => {
    const { ada, bob, ask, call, listed, millrace } = await start()
    const ids: string[] = []
    for (const headers of [ada, bob, ada, bob, ada]) {
      const { body } = await ask(headers)
      await millrace.findRun(body['run'] as string)?.ended
      ids.push(body['session'] as string)
    }
    await expect.poll(() => listed(bearer(adminKey))).toEqual(ids.toReversed())
    expect(await listed(bob)).toEqual([ids[3], ids[1]])
    const [, first] = await call('GET', '/api/sessions?limit=2', ada)
    expect((first['sessions'] as { id: string }[]).map(({ id }) => id)).toEqual([ids[4], ids[2]])
    expect(await listed(ada, `?limit=2&before=${first['next'] as number}`)).toEqual([ids[0]])
    const { sessions } = await millrace.sessions.list({ owner: 'bob' })
    expect(sessions.map(({ id }) => id)).toEqual([ids[3], ids[1]])
  })

  it('is empty for strangers who are let in beside users', async () => {
    const { url, ask, listed } = await start({
      access: { tokens: { secret }, allowAnonymous: true },
      modelsByName: { 'sim:*': 'anyone' },
    })
    const { status, body } = await ask({})
    expect(status).toBe(202)
    expect(await listed({})).toEqual([])
    expect((await fetch(`${url}/api/sessions/${body['session']}`)).status).toBe(200)
  })

  it('is complete on an open server, as ever', async () => {
    const { url, listed } = await start({ access: {} })
    const { session } = await startRun(url, { query: 'x' })
    await expect.poll(() => listed({})).toEqual([session])
  })
})

it('a WebSocket asks for the user of its handshake', async () => {
  const { url, ada, bob, call } = await start()
  const socket = await openSocket(url, [], { headers: ada })
  socket.send({ type: 'run', query: 'x' })
  const { session } = (await socket.next()) as { session: string }
  expect((await call('GET', `/api/sessions/${session}`, ada))[0]).toBe(200)
  expect((await call('GET', `/api/sessions/${session}`, bob))[0]).toBe(404)
})
