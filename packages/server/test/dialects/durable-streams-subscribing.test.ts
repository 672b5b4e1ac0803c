/** Who may subscribe to Durable Streams, to what, and what is rejected. */
import { describe, expect, it } from 'vitest'
import { startServer } from '../support/server.ts'
import { bearer, secret, sign } from '../support/tokens.ts'
import { acknowledge, actionOf, type Client, clientOf, open, pull, subscribing } from './support/subscribing.ts'

describe('a subscription that was deleted', () => {
  it('is nobody’s any more, and one with the same id is another', async () => {
    const client = await open()
    await client.send('PUT', 'wakes', [])
    await client.subscribe('a', pull())
    await client.append('jobs/1', { n: 1 })
    const { body: claim } = await client.send('POST', actionOf('a', 'claim'), { worker: 'x' })
    expect((await client.send('DELETE', '__ds/subscriptions/a')).status).toBe(204)
    expect(await acknowledge(client, 'a', claim)).toMatchObject({
      status: 404,
      body: { error: { code: 'SUBSCRIPTION_NOT_FOUND' } },
    })
    expect((await client.subscribe('a', pull())).status).toBe(201)
    expect(await acknowledge(client, 'a', claim)).toMatchObject({ status: 401, body: { error: { code: 'TOKEN_INVALID' } } })
    expect(await client.subscribe('a', pull({ pattern: 'other/*' }))).toMatchObject({
      status: 409,
      body: { error: { code: 'SUBSCRIPTION_ALREADY_EXISTS' } },
    })
  })
})

describe('a request', () => {
  it.each<[string, object]>([
    ['INVALID_REQUEST', {}],
    ['INVALID_REQUEST', { type: 'webhook', pattern: 'a' }],
    ['INVALID_REQUEST', { type: 'pull-wake', pattern: 'a' }],
    ['INVALID_REQUEST', { ...pull(), pattern: undefined }],
    ['INVALID_REQUEST', pull({ pattern: 'a*b' })],
    ['INVALID_REQUEST', pull({ streams: ['__ds/x'] })],
    ['INVALID_REQUEST', pull({ wake_stream: '__ds' })],
    ['INVALID_REQUEST', pull({ streams: ['wakes'] })],
    ['INVALID_REQUEST', pull({ lease_ttl_ms: 999 })],
    ['WEBHOOK_URL_REJECTED', { type: 'webhook', pattern: 'a', webhook: { url: 'nowhere' } }],
    ...[
      'http://example.com/x',
      'https://10.0.0.1/x',
      'https://[::1]/x',
      'https://localhost/x',
      'https://metadata.internal/x',
      'http://169.254.169.254/latest',
      'https://ada:secret@example.com/x',
      'file:///etc/passwd',
    ].map((url): [string, object] => ['WEBHOOK_URL_REJECTED', { type: 'webhook', pattern: 'a', webhook: { url } }]),
  ])('gets %s for %j', async (code, body) => {
    const { subscribe, millrace } = await open()
    expect(await subscribe('a', body)).toMatchObject({ status: 400, body: { error: { code } } })
    expect(await millrace.engine.list('subscription/')).toEqual([])
  })

  it('for more than 256 subscriptions is rejected', async () => {
    const { subscribe } = await open({ limits: { publishesPerSecond: 10_000 } })
    for (let n = 0; n < 256; n++) expect((await subscribe(`a${n}`, pull())).status).toBe(201)
    expect(await subscribe('b', pull())).toMatchObject({ status: 429, body: { error: { code: 'TOO_MANY_SUBSCRIPTIONS' } } })
    expect((await subscribe('a1', pull())).status).toBe(200)
  })

  it('for more than 1,000 streams is rejected, and changes nothing', async () => {
    const { subscribe, send, find } = await open()
    const streams = Array.from({ length: 1000 }, (_, n) => `s${n}`)
    expect((await subscribe('a', pull({ streams }))).status).toBe(201)
    const more = await send('POST', actionOf('a', 'streams'), { streams: ['one'] })
    expect(more).toMatchObject({ status: 429, body: { error: { code: 'TOO_MANY_SUBSCRIPTIONS' } } })
    expect((await find('a')).streams).toHaveLength(1000)
  })

  it('about the stream of the wakes, or an id that is none, is rejected', async () => {
    const { subscribe, send } = await open()
    await subscribe('a', pull())
    const invalid = { status: 400, body: { error: { code: 'INVALID_REQUEST' } } }
    expect(await send('POST', actionOf('a', 'streams'), { streams: ['wakes'] })).toMatchObject(invalid)
    for (const id of ['a%20b', 'a%2Fb', 'x'.repeat(129)]) {
      expect(await subscribe(id, pull())).toMatchObject(invalid)
      expect(await send('GET', `__ds/subscriptions/${id}`)).toMatchObject(invalid)
    }
  })

  it('finds nothing where the operator has not switched them on', async () => {
    const { subscribe } = await open({ durableStreams: {} })
    expect((await subscribe('a', pull())).status).toBe(404)
  })
})

it('the keys of webhooks are for everybody, for five minutes', async () => {
  const { url } = await open()
  const { status, headers } = await fetch(`${url}/ds/streams/__ds/jwks.json`)
  expect([status, headers.get('content-type'), headers.get('cache-control')]).toEqual([
    200,
    'application/jwk-set+json',
    'public, max-age=300',
  ])
})

describe('with authentication', () => {
  const start = async () => {
    const channels = { 'stream/*': { read: 'users', publish: 'users' }, 'stream/secret/*': {} } as const
    const server = await startServer({ ...subscribing, channels, access: { tokens: { secret } } })
    const may = ['channel.*', 'subscription.manage']
    const tokens = await Promise.all([sign(), sign({ sub: 'ops', millrace: { may } })])
    const [user, operator] = tokens.map((token) => clientOf(server.url, bearer(token))) as [Client, Client]
    return { user, operator, stranger: clientOf(server.url) }
  }

  it('only those subscribe who have the permission, to streams that they may read', async () => {
    const { user, operator, stranger } = await start()
    const status = async (client: Client, body: object) => {
      const { status, body: answer } = await client.subscribe('a', body)
      return [status, answer.error?.code]
    }
    expect(await status(stranger, pull())).toEqual([401, 'UNAUTHENTICATED'])
    expect(await status(user, pull())).toEqual([403, 'FORBIDDEN'])
    expect(await status(operator, pull({ pattern: 'secret/*' }))).toEqual([403, 'FORBIDDEN'])
    expect(await status(operator, pull({ streams: ['secret/a'] }))).toEqual([403, 'FORBIDDEN'])
    expect(await status(operator, pull({ wake_stream: 'secret/a' }))).toEqual([403, 'FORBIDDEN'])
    expect(await status(operator, pull())).toEqual([201, undefined])
  })

  it('the token of a wake is all that its worker needs', async () => {
    const { user, operator, stranger } = await start()
    await operator.send('PUT', 'wakes', [])
    await operator.subscribe('a', pull())
    await user.append('jobs/1', { n: 1 })
    expect((await stranger.send('POST', actionOf('a', 'claim'), { worker: 'x' })).status).toBe(401)
    const { body: claim } = await operator.send('POST', actionOf('a', 'claim'), { worker: 'x' })
    for (const token of ['', 'x', `${claim.token}x`, claim.token.replace(/^\d+/, '9')])
      expect(await acknowledge(stranger, 'a', { ...claim, token })).toMatchObject({
        status: 401,
        body: { error: { code: 'TOKEN_INVALID' } },
      })
    expect(await acknowledge(stranger, 'a', claim)).toMatchObject({ status: 200 })
  })
})
