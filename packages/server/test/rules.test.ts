/** Rules of channels and models, over every transport. */
import { anonymous, type MillraceOptions } from 'millrace'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { postJson, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { data, openStream } from './support/stream.ts'
import { bearer, secret, sign } from './support/tokens.ts'

const adminKey = 'an-admin-key-of-a-test'
const access = { tokens: { secret }, adminKey, allowAnonymous: true }
const channels = {
  'room:*': { read: 'users', publish: 'users' },
  'news:*': { read: 'anyone', publish: 'role:editor', history: 'users' },
} as const

async function start(options: MillraceOptions = {}) {
  const server = await startServer({ access, ...options })
  const { url } = server
  const codeOf = async (response: Response) => {
    const { error } = (await response.json()) as { error?: { code: string } }
    return error?.code ?? response.status
  }
  return {
    ...server,
    codeOf,
    ada: bearer(await sign()),
    editor: bearer(await sign({ millrace: { may: ['channel.*', 'role:editor'] } })),
    publish: async (channel: string, headers = {}) => codeOf(await postJson(`${url}/api/publish`, { channel, data: 1 }, headers)),
    read: async (channel: string, headers = {}, query = '') =>
      codeOf(await fetch(`${url}/api/stream?channel=${channel}&live=poll&wait=0${query}`, { headers })),
    say: async (message: object, headers = {}) => {
      const socket = await openSocket(url, [], { headers })
      socket.send(message)
      const { type, error } = (await socket.next()) as { type: string; error?: { code: string } }
      return error?.code ?? type
    },
  }
}

describe('rules of channels', () => {
  it('decide who reads and publishes, over every transport', async () => {
    const { url, ada, editor, publish, read, say, millrace } = await start({ channels })
    expect([await publish('room:1', ada), await publish('room:1')]).toEqual([200, 'forbidden'])
    expect([await publish('news:1', editor), await publish('news:1', ada)]).toEqual([200, 'forbidden'])
    expect([await publish('other', ada), await publish('other', bearer(adminKey))]).toEqual(['forbidden', 200])
    expect([await read('room:1', ada), await read('room:1'), await read('news:1'), await read('other', ada)]).toEqual([
      200,
      'forbidden',
      200,
      'forbidden',
    ])
    for (const [message, expected] of [
      [{ type: 'attach', channel: 'room:1' }, 'forbidden'],
      [{ type: 'attach', channel: 'news:1' }, 'attached'],
      [{ type: 'publish', channel: 'news:1', data: 1 }, 'forbidden'],
    ] as const)
      expect([message, await say(message)]).toEqual([message, expected])
    expect((await fetch(`${url}/api/stream?channel=room:1`)).status).toBe(403)
    expect(await (await fetch(`${url}/api/stream?channel=room:1&channel=news:1&live=poll&wait=0`)).text()).toContain(
      '"code":"forbidden"',
    )
    // The code of the host is bound by none.
    await millrace.publish({ channel: 'other', data: 1 })
  })

  it('hold on a server without authentication too', async () => {
    const { publish, read } = await start({ access: {}, channels: { 'quotes:*': { read: 'anyone', publish: 'nobody' } } })
    expect([await read('quotes:1'), await publish('quotes:1'), await read('other')]).toEqual([200, 'forbidden', 'forbidden'])
  })

  it('are overruled by the host alone, and never beyond a token', async () => {
    const authorize = () => 'allow' as const
    const { publish, read, ada } = await start({ channels, authorize })
    expect([await publish('other', ada), await read('other')]).toEqual([200, 200])
    const bound = bearer(await sign({ millrace: { channels: ['room:*'], may: ['channel.read'] } }))
    expect([await read('other', bound), await publish('room:1', bound)]).toEqual(['forbidden', 'forbidden'])
  })

  it('cannot be passed with a role that a user gives himself', async () => {
    const { url, ada } = await start({ channels })
    const response = await postJson(`${url}/api/tickets`, { may: ['channel.publish', 'role:editor'] }, ada)
    expect(response.status).toBe(403)
  })

  it('let readers without history begin with the next event, and resume soon after', async () => {
    const { url, ada, read, millrace } = await start({ channels })
    const channel = 'news:1'
    for (const text of ['old', 'older']) await millrace.publish({ channel, data: text })
    const address = `${url}/api/stream?channel=${channel}`
    const poll = async (query: string, headers = {}) => (await fetch(`${address}&live=poll&wait=0${query}`, { headers })).text()
    expect(await poll('', ada)).toContain('old')
    expect(await poll('')).not.toContain('old')
    const stream = await openStream(address)
    const socket = await openSocket(url)
    socket.send({ type: 'attach', channel })
    await socket.next()
    await expect.poll(() => millrace.connections).toBe(2)
    await millrace.publish({ channel, data: 'new' })
    const event = await stream.next()
    expect([event.data, (await socket.next())['data']]).toEqual(['"new"', 'new'])
    await millrace.publish({ channel, data: 'next' })
    expect(await poll(`&from=${event.id}`)).toContain('next')
    const now = Date.now()
    vi.spyOn(Date, 'now').mockImplementation(() => now + 3 * 60_000)
    try {
      expect(await read(channel, {}, `&from=${event.id}`)).toBe('position_expired')
    } finally {
      vi.restoreAllMocks()
    }
    expect(data(await stream.next())).toBe('next')
  })

  it('that are none are rejected at the start, unknown keys too', async () => {
    for (const wrong of [{ 'room:*': { presence: 'users' } }, { 'a*b': { read: 'users' } }, { a: { read: 'friends' } }])
      await expect(start({ channels: wrong as never })).rejects.toThrow('channels')
  })
})

describe('models', () => {
  const models = { mine: { name: 'mine', async *stream() {} }, dear: { name: 'dear', async *stream() {} } }
  const options = { models, model: 'mine', modelsByName: { dear: 'role:editor', 'sim:*': 'users' } } as const
  const listed = async (url: string, headers = {}) =>
    (await (await fetch(`${url}/api/models`, { headers })).json()) as { default?: string; models: { name: string }[] }
  const names = async (url: string, headers = {}) => (await listed(url, headers)).models.map(({ name }) => name)
  const ask = async (url: string, headers: object, body: object) => {
    const response = await postJson(`${url}/api/chat`, { query: 'x', ...body }, { accept: 'application/json', ...headers })
    return ((await response.json()) as { error?: { code: string } }).error?.code ?? response.status
  }

  it('are none for strangers beside users, unless a rule gives them one', async () => {
    const { url } = await start({ models, model: 'mine' })
    expect(await listed(url)).toEqual({ models: [] })
    expect(await ask(url, {}, {})).toBe('forbidden')
    for (const model of ['mine', 'dear', 'auto', 'builtin:guide', 'sim:count'])
      expect(await ask(url, {}, { model })).toBe('model_not_found')
    const hosted = await start({
      models,
      model: 'mine',
      access: {},
      authenticate: () => anonymous,
      modelsByName: { mine: 'anyone' },
    })
    expect(await listed(hosted.url)).toMatchObject({ default: 'mine', models: [{ name: 'mine' }] })
    expect([await ask(hosted.url, {}, {}), await ask(hosted.url, {}, { model: 'dear' })]).toEqual([202, 'model_not_found'])
  })

  it('are shown and given to each as the rules say, over HTTP and sockets', async () => {
    const { url, ada, say } = await start(options)
    const editor = bearer(await sign({ sub: 'eve', millrace: { may: ['run.*', 'session.*', 'role:editor'] } }))
    expect(await names(url, ada)).not.toContain('dear')
    expect(await names(url, editor)).toContain('dear')
    expect([await ask(url, ada, { model: 'dear' }), await ask(url, editor, { model: 'dear' })]).toEqual(['model_not_found', 202])
    expect([await say({ type: 'run', query: 'x', model: 'dear' }, ada), await say({ query: 'x', model: 'dear' }, ada)]).toEqual([
      'model_not_found',
      'model_not_found',
    ])
    expect(await ask(url, ada, { models: ['mine', 'dear'] })).toBe('model_not_found')
  })

  it('are those that the token names, also of an answer that is continued', async () => {
    const { url, millrace } = await start({
      ...options,
      models: {
        ...models,
        mine: {
          name: 'mine',
          async *stream() {
            yield 'half'
            throw new Error('no')
          },
        },
      } as never,
    })
    const only = async (...patterns: string[]) => bearer(await sign({ millrace: { may: ['run.*', 'session.*', ...patterns] } }))
    const sim = await only('model.use:sim:*')
    expect(await listed(url, sim)).not.toHaveProperty('default')
    expect([
      await ask(url, sim, {}),
      await ask(url, sim, { model: 'mine' }),
      await ask(url, sim, { model: 'sim:count?n=1&tps=0' }),
    ]).toEqual(['forbidden', 'model_not_found', 202])
    const { session, id } = await millrace.ask({ query: 'x', owner: 'ada' })
    await millrace.findRun(id)?.ended
    const next = async (headers: object) => {
      const response = await postJson(`${url}/api/runs/${id}/continue`, { session }, { accept: 'application/json', ...headers })
      return ((await response.json()) as { error?: { code: string } }).error?.code ?? response.status
    }
    expect([await next(sim), await next(await only('model.use:mine'))]).toEqual(['model_not_found', 202])
  })

  it('are not reached by another name, nor by resuming what somebody else has asked', async () => {
    vi.stubEnv('OPENAI_API_KEY', 'none')
    onTestFinished(() => void vi.unstubAllEnvs())
    const { url, millrace, ada } = await start({ ...options, modelsByName: { 'sim:*': 'users', 'sim:hang': 'role:editor' } })
    const editor = bearer(await sign({ sub: 'eve', millrace: { may: ['run.*', 'session.*', 'role:editor'] } }))
    expect(await ask(url, ada, { model: 'auto' })).toBe('model_not_found')
    const { session } = await millrace.ask({ query: 'x' })
    expect(await ask(url, editor, { session, id: 'r', model: 'sim:hang' })).toBe(202)
    await postJson(`${url}/api/runs/r/stop`, {}, editor)
    const resume = async (headers: object) =>
      (await postJson(`${url}/api/runs/r/continue`, {}, { accept: 'application/json', ...headers })).status
    expect([await resume(ada), await resume(editor)]).toEqual([404, 202])
  })

  it('of a ticket are never more than those of its token', async () => {
    const { url } = await start(options)
    const token = bearer(await sign({ millrace: { may: ['run.start', 'session.read', 'model.use:sim:*'] } }))
    const ticketFor = async (body: object) => {
      const response = await postJson(`${url}/api/tickets`, body, token)
      return [response.status, ((await response.json()) as { ticket: string }).ticket] as const
    }
    expect((await ticketFor({ may: ['run.start', 'model.use:mine'] }))[0]).toBe(403)
    const [, ticket] = await ticketFor({ may: ['run.start', 'session.read'] })
    expect((await fetch(`${url}/api/chat?query=x&model=mine&ticket=${ticket}`)).status).toBe(404)
    const [, other] = await ticketFor({ may: ['run.start', 'session.read'] })
    const answer = await fetch(`${url}/api/chat?query=x&model=sim:count?n=1&ticket=${other}`)
    await answer.body?.cancel()
    expect(answer.status).toBe(200)
  })
})
