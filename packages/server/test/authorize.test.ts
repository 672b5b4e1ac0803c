import { type Authorize, MillraceError } from 'millrace'
import { describe, expect, it } from 'vitest'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'

describe('authorize', () => {
  it('is called before every attach, replay and command, over every transport', async () => {
    let allowed = true
    const asked: string[] = []
    const authorize: Authorize = ({ principal }, action, { session }) => {
      asked.push(`${principal.id} ${action} ${session === undefined ? 'new' : 'known'}`)
      if (!allowed) throw new MillraceError('forbidden')
    }
    const { url, millrace } = await startServer({ authorize })
    const { session, position } = await startRun(url, { query: 'x', id: 'r' })
    await millrace.findRun('r')?.ended
    const socket = await openSocket(url)
    for (const source of [{ session }, { channel: 'c' }]) {
      socket.send({ type: 'attach', from: 'now', ...source })
      expect(await socket.next()).toMatchObject({ type: 'attached' })
    }
    allowed = false
    asked.length = 0
    const requests = [
      () => fetch(`${url}/api/chat?query=x`),
      () => fetch(`${url}/api/chat?query=x&session=${session}`),
      () => fetch(`${url}/api/chat?query=x`, { headers: { 'last-event-id': `${session}:${position}` } }),
      () => fetch(`${url}/api/stream?session=${session}`),
      () => fetch(`${url}/api/stream?session=${session}&live=poll`),
      () => fetch(`${url}/api/sessions/${session}`),
      () => postJson(`${url}/api/sessions`, {}),
      () => postJson(`${url}/api/runs/r/stop`, {}),
    ]
    for (const request of requests) expect((await request()).status).toBe(403)
    for (const message of [
      { query: 'x' },
      { type: 'run', query: 'x' },
      { type: 'attach', session },
      { type: 'stop', run: 'r' },
      { type: 'continue', run: 'r', session },
      { type: 'ack', session, id: position },
      { type: 'ack', channel: 'c', id: position },
      { type: 'detach', session },
      { type: 'detach', channel: 'c' },
      { type: 'publish', channel: 'c', data: 1 },
    ]) {
      socket.send(message)
      expect(await socket.next()).toMatchObject({ type: 'error', error: { code: 'forbidden' } })
    }
    expect(asked).toEqual([
      'anonymous run.start new',
      'anonymous run.start known',
      'anonymous session.read known',
      'anonymous session.read known',
      'anonymous session.read known',
      'anonymous session.read known',
      'anonymous session.create new',
      'anonymous run.stop known',
      'anonymous run.start new',
      'anonymous run.start new',
      'anonymous session.read known',
      'anonymous run.stop known',
      'anonymous run.start known',
      'anonymous session.read known',
      'anonymous channel.read new',
      'anonymous session.read known',
      'anonymous channel.read new',
      'anonymous channel.publish new',
    ])
    expect(millrace.listConnections().map(({ sessions, acknowledged }) => [sessions, acknowledged])).toEqual([
      [[session, 'channel/c'], {}],
    ])
  })

  it('gets the details of the request, over every transport', async () => {
    const seen: unknown[] = []
    const authorize: Authorize = ({ principal, transport, address, path, headers }) => {
      seen.push([principal, transport, address, path, headers.get('x-tenant')])
    }
    const { url, millrace } = await startServer({ authorize })
    const headers = { 'x-tenant': 'mill' }
    await fetch(`${url}/api/sessions?limit=1`, { headers })
    const socket = await openSocket(url, [], { headers }, '?session=s')
    socket.send({ type: 'attach', channel: 'c' })
    await socket.next()
    await millrace.fetch(new Request('http://host/api/sessions', { headers }))
    const anonymous = { id: 'anonymous', kind: 'anonymous' }
    expect(seen).toEqual([
      [anonymous, 'http', '127.0.0.1', '/api/sessions', 'mill'],
      [anonymous, 'ws', '127.0.0.1', '/ws/chat', 'mill'],
      [anonymous, 'http', undefined, '/api/sessions', 'mill'],
    ])
  })

  it('does not return a run by its id to a caller that may not read its session', async () => {
    const authorize: Authorize = (_caller, action) => {
      if (action === 'session.read') throw new MillraceError('forbidden')
    }
    const { url, millrace } = await startServer({ authorize })
    await millrace.ask({ query: 'x', id: 'secret' })
    expect((await fetch(`${url}/api/chat?query=x&id=secret`)).status).toBe(403)
  })
})

describe('models that clients may request by name', () => {
  const mine = { name: 'mine', async *stream() {} }
  const names = async (url: string) =>
    ((await (await fetch(`${url}/api/models`)).json()) as { models: { name: string }[] }).models.map(({ name }) => name)

  it('are the ones given in options, the default and the guide, if the host closes the others', async () => {
    const { url, millrace } = await startServer({ models: [mine], model: 'sim:count?n=2&tps=0', modelsByName: [] })
    for (const model of ['mine', 'sim:count?n=2&tps=0', 'auto', 'builtin:guide']) await startRun(url, { query: 'x', model })
    for (const model of ['sim:count', 'sim:count?n=1000000', 'openai:gpt-6-luna', 'nobody']) {
      const refused = await postJson(`${url}/api/chat`, { query: 'x', models: ['mine', model] })
      expect([refused.status, await refused.json()]).toMatchObject([404, { error: { code: 'model_not_found' } }])
      const socket = await openSocket(url)
      for (const type of [undefined, 'run']) {
        socket.send({ type, query: 'x', model })
        expect(await socket.next()).toMatchObject({ error: { code: 'model_not_found' } })
      }
    }
    expect(await names(url)).toEqual(['sim:count?n=2&tps=0', 'mine', 'builtin:guide'])
    // The host's own code may name any model.
    await millrace.ask({ query: 'x', models: ['sim:count'] })
  })

  it.each([[undefined], [['sim']], [['*']]])('include simulated ones with modelsByName %j', async (modelsByName) => {
    const { url } = await startServer({ models: [mine], model: 'mine', ...(modelsByName && { modelsByName }) })
    await startRun(url, { query: 'x', model: 'sim:count?n=2&tps=0' })
    expect(await names(url)).toContain('sim:count')
  })
})
