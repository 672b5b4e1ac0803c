/** Tokens that expire while a connection is open: it is asked for another, and goes on or is closed. */
import type { MillraceOptions } from 'millrace'
import { describe, expect, it } from 'vitest'
import { entrances } from './support/entrances.ts'
import { postJson, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { data, openStream } from './support/stream.ts'
import { bearer, nowSeconds, secret, sign } from './support/tokens.ts'

const adminKey = 'an-admin-key-of-a-test'

async function start(options: MillraceOptions = {}) {
  const server = await startServer({ access: { tokens: { secret }, adminKey }, ...options })
  await server.millrace.engine.append('s', [])
  const publish = (value: number) => server.millrace.publish({ channel: 'c', data: value })
  return { ...server, publish }
}

/** Expired, and accepted for five more seconds. */
const inLeeway = () => sign({ exp: nowSeconds() - 25 })
/** Expires when the one above is no longer accepted. */
const soonExpired = () => sign({ exp: nowSeconds() + 6 })

async function openReader(url: string, token: string) {
  const stream = await openStream(`${url}/api/stream?channel=c`, { headers: bearer(token) })
  const id = stream.response.headers.get('millrace-stream') as string
  const renew = (credential: string) => postJson(`${url}/api/connections/${id}/renew`, {}, bearer(credential))
  return { ...stream, id, renew }
}

async function openAttached(url: string, token: string) {
  const socket = await openSocket(url, [], { headers: bearer(token) })
  socket.send({ type: 'attach', channel: 'c' })
  await socket.until(({ type }) => type === 'attached')
  return socket
}

// Each waits until its token is no longer accepted, so they wait side by side.
describe('a token in its last five seconds', () => {
  const closesStream = async () => {
    const { url, millrace } = await start()
    const { next, rest, id } = await openReader(url, await inLeeway())
    const asked = await next()
    expect([asked.event, asked.id, data(asked)]).toEqual(['renew', '', { connection: id }])
    const [closed, ...more] = await rest()
    expect([closed?.event, closed?.id, more]).toEqual(['error', '', []])
    expect(data(closed as never)).toMatchObject({ error: { code: 'token_expired', retryable: false } })
    await expect.poll(() => millrace.connections).toBe(0)
  }

  const closesSocket = async () => {
    const { url, millrace } = await start()
    const { until, closed } = await openAttached(url, await inLeeway())
    await until(({ type }) => type === 'renew')
    expect(await closed).toEqual([4401, 'token_expired'])
    await expect.poll(() => millrace.connections).toBe(0)
  }

  const renewsStream = async () => {
    const { url, publish } = await start()
    const reader = await openReader(url, await inLeeway())
    await publish(1)
    expect((await reader.until('renew')).length).toBeLessThanOrEqual(2)
    const response = await reader.renew(await soonExpired())
    expect([response.status, await response.json()]).toEqual([200, { expiresAt: expect.any(Number) }])
    await publish(2)
    await reader.until('renew')
    await publish(3)
    while (reader.events.at(-1)?.data !== '3') await reader.next()
    const values = reader.events.filter(({ event }) => event === 'message').map((event) => JSON.parse(event.data))
    expect(values).toEqual([1, 2, 3])
  }

  const renewsSocket = async (kind: 'token' | 'ticket') => {
    const { url, publish } = await start()
    const socket = await openAttached(url, await inLeeway())
    await socket.until(({ type }) => type === 'renew')
    await publish(1)
    const token = await soonExpired()
    const issue = async () => (await (await postJson(`${url}/api/tickets`, {}, bearer(token))).json()) as { ticket: string }
    const credential = kind === 'token' ? { token } : { ticket: (await issue()).ticket }
    socket.send({ type: 'renew', ref: 'r', ...credential })
    await socket.until(({ type }) => type === 'renewed')
    expect(socket.received.at(-1)).toEqual({ type: 'renewed', ref: 'r', expiresAt: expect.any(Number) })
    await publish(2)
    await socket.until(({ type }) => type === 'renew')
    await publish(3)
    await socket.until(({ event, data }) => event === 'message' && data === 3)
    expect(socket.received.filter(({ type }) => type === 'event').map(({ data }) => data)).toEqual([1, 2, 3])
  }

  const endsPolls = async () => {
    const { url } = await start()
    const token = await inLeeway()
    expect((await entrances.poll(url, bearer(token))).status).toBe(200)
    await expect.poll(async () => (await entrances.poll(url, bearer(token))).code).toBe('token_expired')
    expect((await entrances.poll(url, bearer(await sign()))).status).toBe(200)
  }

  it('is asked for another, and its connection closed after the leeway', async () => {
    await Promise.all([closesStream(), closesSocket(), endsPolls()])
  })

  it('is followed by another token or ticket, and nothing is lost or repeated', async () => {
    await Promise.all([renewsStream(), renewsSocket('token'), renewsSocket('ticket')])
  })
})

describe('a stream whose token expires', () => {
  it('is renewed by its own user only, and not for more than the token may', async () => {
    const { url } = await start()
    const reader = await openReader(url, await sign())
    const codeOf = async (token: string) => {
      const response = await reader.renew(token)
      return [response.status, ((await response.json()) as { error?: { code: string } }).error?.code]
    }
    expect(await codeOf(await sign({ sub: 'eve' }))).toEqual([403, 'forbidden'])
    expect(await codeOf(adminKey)).toEqual([403, 'forbidden'])
    expect(await codeOf(await sign({ millrace: { channels: ['d'] } }))).toEqual([403, 'forbidden'])
    expect(await codeOf(await sign({ millrace: { may: ['session.read'] } }))).toEqual([403, 'forbidden'])
    expect(await codeOf('nonsense')).toEqual([401, 'token_rejected'])
    expect(await codeOf(await inLeeway())).toEqual([401, 'token_expired'])
    expect(await codeOf(await sign())).toEqual([200, undefined])
  })

  it('is found by its name only', async () => {
    const { url } = await start()
    const renew = async (id: string, headers: Record<string, string>) =>
      (await postJson(`${url}/api/connections/${id}/renew`, {}, headers)).status
    const credentials = bearer(await sign())
    expect(await renew('x', credentials)).toBe(404)
    expect(await renew('x.y', credentials)).toBe(404)
    expect(await renew('x'.repeat(101), credentials)).toBe(400)
    expect(await renew('x', {})).toBe(401)
    const open = await start({ access: {} })
    expect((await postJson(`${open.url}/api/connections/x/renew`, {})).status).toBe(401)
  })
})

describe('a WebSocket whose token expires', () => {
  it('is renewed by its own user only, and then may what the new token may', async () => {
    const { url } = await start()
    const socket = await openAttached(url, await sign())
    const ask = async (message: object) => {
      socket.send({ ref: 'r', ...message })
      const [answer] = (await socket.until(({ ref }) => ref === 'r')).slice(-1)
      return (answer?.error as { code: string } | undefined)?.code ?? answer?.type
    }
    const renew = (token: string) => ask({ type: 'renew', token })
    expect(await renew(await sign({ sub: 'eve' }))).toBe('forbidden')
    expect(await renew(adminKey)).toBe('forbidden')
    expect(await renew(await sign({ exp: nowSeconds() - 40 }))).toBe('token_expired')
    expect(await renew(await inLeeway())).toBe('token_expired')
    expect(await renew('nonsense')).toBe('token_rejected')
    expect(await renew(await sign({ millrace: { channels: ['d'] } }))).toBe('forbidden')
    expect(await ask({ type: 'publish', channel: 'c', data: 1 })).toBe('published')
    expect(await renew(await sign({ millrace: { may: ['channel.read'] } }))).toBe('renewed')
    expect(await ask({ type: 'publish', channel: 'c', data: 1 })).toBe('forbidden')
    expect(await ask({ type: 'renew', token: 'x'.repeat(8193) })).toBe('invalid_request')
    expect(await ask({ type: 'renew' })).toBe('invalid_request')
  })

  it('on an open server renews whatever it sends', async () => {
    const { url } = await startServer()
    const socket = await openSocket(url)
    socket.send({ type: 'renew', token: 'x' })
    expect(await socket.next()).toEqual({ type: 'renewed' })
  })
})

it('the host says when its own users expire', async () => {
  let expiresAt = Date.now() - 20_000
  const { url, millrace } = await startServer({ authenticate: () => ({ id: 'ada', expiresAt }) })
  const { until } = await openReader(url, '-')
  await until('renew')
  expiresAt = Date.now() + 60_000
  const id = millrace.listConnections()[0]?.id
  expect((await fetch(`${url}/api/connections/${id}/renew`, { method: 'POST' })).status).toBe(200)
})
