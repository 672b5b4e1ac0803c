/** Share links: they read one session, live, over every transport, until they are revoked, and do nothing else. */
import { describe, expect, it } from 'vitest'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { data, openStream } from './support/stream.ts'
import { bearer, secret, sign } from './support/tokens.ts'

const adminKey = 'an-admin-key-of-a-test'

async function start() {
  const server = await startServer({ access: { tokens: { secret }, adminKey }, model: 'sim:hang?after=1' })
  const { url } = server
  const ada = bearer(await sign())
  const answer = await postJson(`${url}/api/chat`, { query: 'x', id: 'r' }, { accept: 'application/json', ...ada })
  const { session } = (await answer.json()) as { session: string }
  const path = `/api/sessions/${session}/shares`
  const share = async (body: object = {}, headers = ada) => {
    const response = await postJson(`${url}${path}`, body, headers)
    return { status: response.status, ...((await response.json()) as { id: string; token: string; expiresAt: number }) }
  }
  const call = async (method: string, at: string, headers: Record<string, string>, body?: object) => {
    const sent = body && { body: JSON.stringify(body), headers: { ...headers, 'content-type': 'application/json' } }
    const response = await fetch(`${url}${at}`, { method, headers, ...sent })
    const text = await response.text()
    return [response.status, /"code":"(\w+)"/.exec(text)?.[1], text] as const
  }
  const getTicket = async (headers: Record<string, string>) =>
    (JSON.parse((await call('POST', '/api/tickets', headers, {}))[2]) as { ticket: string }).ticket
  return { ...server, ada, session, path, share, call, getTicket }
}

/** Readers of the session over each transport; each has read the first text. */
async function openAll({ url, session, getTicket }: Awaited<ReturnType<typeof start>>, headers: Record<string, string>) {
  const address = `${url}/api/stream?session=${session}`
  const streams = [await openStream(address, { headers }), await openStream(`${address}&ticket=${await getTicket(headers)}`)]
  for (const stream of streams) await stream.until('message')
  const sockets = [await openSocket(url, [], { headers }), await openSocket(url, [], {}, `?ticket=${await getTicket(headers)}`)]
  for (const socket of sockets) {
    socket.send({ type: 'attach', session })
    await socket.until(({ event }) => event === 'message')
  }
  return { streams, sockets, polled: () => fetch(`${address}&live=poll&from=now`, { headers }) }
}

describe('a share link', () => {
  it('reads its session over every transport, and what is written later', async () => {
    const server = await start()
    const { url, session, share, call, ada } = server
    const { status, token } = await share()
    expect(status).toBe(201)
    const reader = bearer(token)
    const { streams, sockets, polled } = await openAll(server, reader)
    for (const at of [`/api/sessions/${session}`, `/api/sessions/${session}/export`])
      expect((await call('GET', at, reader))[0]).toBe(200)
    const polling = polled()
    await expect.poll(() => server.millrace.connections).toBe(5)
    await call('POST', '/api/runs/r/stop', ada)
    for (const stream of streams)
      expect(data((await stream.until('stream_end')).at(-1) as never)).toMatchObject({ status: 'stopped' })
    for (const socket of sockets) await socket.until(({ event }) => event === 'stream_end')
    expect(await (await polling).text()).toContain('stream_end')
    expect(await (await fetch(`${url}/api/models`, { headers: reader })).json()).toEqual({ models: [] })
  })

  it('does nothing else', async () => {
    const { url, share, call, session, ada } = await start()
    const { token } = await share()
    const reader = bearer(token)
    const other = await startRun(url, { query: 'x' }).catch(() => undefined)
    expect(other).toBeUndefined()
    for (const [method, at, body] of [
      ['POST', '/api/chat', { query: 'x' }],
      ['POST', '/api/chat', { query: 'x', session }],
      ['GET', `/api/chat?query=x&session=${session}`],
      ['POST', '/api/runs/r/stop', {}],
      ['POST', '/api/runs/none/stop', {}],
      ['POST', '/api/runs/r/continue', {}],
      ['GET', '/api/sessions'],
      ['POST', '/api/sessions', {}],
      ['PATCH', `/api/sessions/${session}`, { title: 'x' }],
      ['DELETE', `/api/sessions/${session}`],
      ['POST', `/api/sessions/${session}/shares`, {}],
      ['GET', `/api/sessions/${session}/shares`],
      ['GET', '/api/stream?channel=c'],
      ['POST', '/api/publish', { channel: 'c', data: 1 }],
      ['POST', '/api/tickets', { may: ['run.start'] }],
      ['POST', '/api/tickets', { sub: 'ada' }],
      ['POST', '/api/tickets', { sessions: ['*'] }],
      ['GET', '/api/admin/sessions'],
    ] as const)
      expect([method, at, (await call(method, at, reader, body))[0]]).toEqual([method, at, 403])
    const socket = await openSocket(url, [], { headers: reader })
    for (const message of [
      { query: 'x' },
      { query: 'x', session },
      { type: 'stop', run: 'r' },
      { type: 'publish', channel: 'c', data: 1 },
    ]) {
      socket.send(message)
      expect(await socket.next()).toMatchObject({ type: 'error', error: { code: 'forbidden' } })
    }
    const [, , created] = await call('POST', '/api/sessions', ada, {})
    const { id } = JSON.parse(created) as { id: string }
    expect((await call('GET', `/api/sessions/${id}`, reader))[1]).toBe('session_not_found')
    expect((await call('GET', `/api/stream?session=${id}&live=poll&wait=0`, reader))[1]).toBe('session_not_found')
  })

  it('ends for its readers when it is revoked, and only it', async () => {
    const server = await start()
    const { share, call, path, ada, millrace } = server
    const [first, second] = [await share(), await share()]
    const [own, others] = [await openAll(server, bearer(first.token)), await openAll(server, bearer(second.token))]
    const polling = own.polled()
    await expect.poll(() => millrace.connections).toBe(9)
    const startedAt = performance.now()
    expect((await call('DELETE', `${path}/${first.id}`, ada))[0]).toBe(200)
    for (const socket of own.sockets) expect(await socket.closed).toEqual([4401, 'token_revoked'])
    for (const stream of own.streams) expect((await stream.rest()).at(-1)?.data).toContain('token_revoked')
    expect((await polling).status).toBe(401)
    expect(performance.now() - startedAt).toBeLessThan(2000)
    expect((await call('GET', `/api/sessions/${server.session}`, bearer(first.token)))[1]).toMatch(/token_re(vok|ject)ed/)
    expect(millrace.connections).toBe(4)
    expect(others.sockets.every(({ client }) => client.readyState === client.OPEN)).toBe(true)
    expect((await call('DELETE', `${path}/${first.id}`, ada))[1]).toBe('not_found')
    expect(JSON.parse((await call('GET', path, ada))[2])).toEqual({
      shares: [{ id: second.id, createdAt: expect.any(Number), expiresAt: second.expiresAt }],
    })
  })

  it('is worth nothing with another secret, another session, or after its session was deleted', async () => {
    const { share, call, session, ada, millrace } = await start()
    const { token } = await share()
    const [head, tail] = token.split('.') as [string, string]
    for (const wrong of [`${head}.${'x'.repeat(43)}`, `${head}.`, head, `ms_other.${tail}`, 'ms_', `ms_../${session}.${tail}`])
      expect([wrong, (await call('GET', `/api/sessions/${session}`, bearer(wrong)))[1]]).toEqual([wrong, 'token_rejected'])
    millrace.findRun('r')?.stop()
    await call('DELETE', `/api/sessions/${session}`, ada)
    await call('POST', '/api/sessions', ada, { id: session })
    expect((await call('GET', `/api/sessions/${session}`, bearer(token)))[1]).toBe('token_rejected')
  })

  it('has opened nothing of a session that another user creates under the id of a deleted one', async () => {
    const { url, call, getTicket, ada } = await start()
    const bob = bearer(await sign({ sub: 'bob' }))
    await call('POST', '/api/sessions', ada, { id: 'notes' })
    const [, , made] = await call('POST', '/api/sessions/notes/shares', ada, {})
    const reader = bearer((JSON.parse(made) as { token: string }).token)
    const address = `${url}/api/stream?session=notes&live=poll&wait=0&ticket=${await getTicket(reader)}`
    const cookie = (await fetch(address)).headers.get('set-cookie')?.split(';')[0] as string
    expect((await fetch(address, { headers: { cookie } })).status).toBe(200)
    const socket = await openSocket(url, [], { headers: reader })
    await call('DELETE', '/api/sessions/notes', ada)
    await call('POST', '/api/sessions', bob, { id: 'notes' })
    expect((await fetch(address, { headers: { cookie } })).status).toBe(404)
    socket.send({ type: 'attach', session: 'notes' })
    expect(await socket.next()).toMatchObject({ error: { code: 'session_not_found' } })
  })

  it('is made by the owner and by operators only, for sessions that have an owner', async () => {
    const { share, path, call, ada, millrace } = await start()
    expect((await share({}, bearer(await sign({ sub: 'bob' })))).status).toBe(404)
    expect((await share({}, bearer(adminKey))).status).toBe(201)
    for (const body of [{ ttl: 1 }, { ttl: 1e9 }, { ttl: '60' }, { may: ['run.start'] }])
      expect((await share(body)).status).toBe(400)
    const { session } = await millrace.ask({ query: 'x' })
    expect((await call('POST', `/api/sessions/${session}/shares`, ada, {}))[1]).toBe('invalid_request')
    for (let count = 1; count < 100; count++) await millrace.sessions.shares.create(path.split('/')[3] as string)
    expect((await share()).status).toBe(400)
    const open = await startServer()
    expect((await postJson(`${open.url}/api/sessions/${session}/shares`, {})).status).toBe(400)
  })
})
