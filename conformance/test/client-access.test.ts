/** Tokens of the client, over every transport: from the first request to renewal, revocation and refusal. */
import { type ConnectOptions, connect, type MillraceError, type TokenRequest } from '@millrace/client'
import { createMillrace, type MillraceOptions } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { nowSeconds, signToken, tokenSecret } from './support/tokens.ts'

const transports = ['sse', 'ws', 'hybrid', 'poll'] as const
const timings = { backoffFirstMs: 1, backoffLongestMs: 50 }

async function startServer(options: MillraceOptions = {}) {
  const millrace = createMillrace({ access: { tokens: { secret: tokenSecret } }, model: 'sim:count?n=3&tps=0', ...options })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const publish = (data: number) => millrace.publish({ channel: 'c', data })
  return { millrace, url, publish }
}

function open(url: string, options: ConnectOptions, give: (request: TokenRequest) => string) {
  const reasons: string[] = []
  const token = (request: TokenRequest) => {
    reasons.push(request.reason)
    return give(request)
  }
  const client = connect(url, { timings, token, ...options })
  onTestFinished(() => client.close())
  const events = client.channel('c', { from: 'start' }).events()
  const values = async (count: number) => {
    const found: unknown[] = []
    while (found.length < count) found.push(((await events.next()).value as { data: unknown }).data)
    return found
  }
  return { client, reasons, values }
}

describe.each(transports)('over %s, a share link', (transport) => {
  it('shows its session to a client without a user, until it is revoked', async () => {
    const { url } = await startServer()
    const owner = open(url, { transport }, () => signToken()).client.session()
    await owner.run({ query: 'x' })
    const { id, token, expiresAt, createdAt } = await owner.share({ expiresIn: 60 })
    expect(expiresAt - createdAt).toBe(60_000)
    const { client } = open(url, { transport, onUnauthenticated: () => {} }, () => token)
    const events = client.session(owner.id, { from: 'start' }).events()
    expect((await events.next()).value).toMatchObject({ type: 'stream_start', data: { query: 'x' } })
    await owner.unshare(id)
    const end = async () => {
      while (!(await events.next()).done);
    }
    await expect(end()).rejects.toMatchObject({ code: 'token_rejected' })
    await expect(owner.unshare(id)).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe.each(transports)('over %s, a token', (transport) => {
  it('comes with what is read and with what is sent', async () => {
    const seen = new Set<string>()
    const { url } = await startServer({
      authorize: ({ principal, transport }, action) => void seen.add(`${principal.id} ${transport} ${action}`),
    })
    const { client, values, reasons } = open(url, { transport }, () => signToken())
    await client.channel('c').publish(1)
    expect(await values(1)).toEqual([1])
    const session = client.session()
    await session.run({ query: 'x' })
    await session.read()
    const [down, up] = [transport === 'ws' ? 'ws' : 'http', transport === 'ws' || transport === 'hybrid' ? 'ws' : 'http']
    for (const each of [`ada ${down} channel.read`, `ada ${up} channel.publish`, `ada ${up} run.start`])
      expect([...seen]).toContain(each)
    expect([...seen].filter((each) => !each.startsWith('ada '))).toEqual([])
    expect(new Set(reasons)).toEqual(new Set(['first']))
  })

  it('that is rejected is asked for once more, and then the error is final', async () => {
    const { url } = await startServer()
    const refused: string[] = []
    const onUnauthenticated = ({ code }: MillraceError) => void refused.push(code)
    const { client, values, reasons } = open(url, { transport, onUnauthenticated }, () => 'nonsense')
    await expect(values(1)).rejects.toMatchObject({ code: 'token_rejected', status: 401 })
    expect(new Set(refused)).toEqual(new Set(['token_rejected']))
    expect(client.connection.current).toMatchObject({ state: 'closed', error: { code: 'token_rejected' } })
    expect(reasons).toEqual(['first', 'rejected'])
    await expect(client.channel('c').publish(1)).rejects.toMatchObject({ code: 'token_rejected' })
    expect(reasons).toEqual(['first', 'rejected', 'first', 'rejected'])
  })

  it('that has expired is replaced', async () => {
    const { url, publish } = await startServer()
    await publish(1)
    const onUnauthenticated = () => expect.unreachable()
    const { values, reasons } = open(url, { transport, onUnauthenticated }, ({ reason }) =>
      signToken(reason === 'expired' ? {} : { exp: nowSeconds() - 3600 }),
    )
    expect(await values(1)).toEqual([1])
    expect(reasons.slice(0, 2)).toEqual(['first', 'expired'])
  })

  it('that may not read is not asked for again', async () => {
    const { url } = await startServer()
    const { client, values, reasons } = open(url, { transport }, () => signToken({ millrace: { may: ['session.read'] } }))
    await expect(values(1)).rejects.toMatchObject({ code: 'forbidden' })
    await expect(client.channel('c').publish(1)).rejects.toMatchObject({ code: 'forbidden' })
    expect(new Set(reasons)).toEqual(new Set(['first']))
    expect(reasons.length).toBeLessThanOrEqual(3)
  })

  it('of a share link reads its session, and starts nothing in it', async () => {
    const { millrace, url } = await startServer()
    const { session, ended } = await millrace.ask({ query: 'to be shared', owner: 'ada' })
    await ended
    const { token } = await millrace.sessions.shares.create(session)
    const client = connect(url, { timings, transport, token: () => token })
    onTestFinished(() => client.close())
    const shared = client.session(session)
    const seen: string[] = []
    for await (const { type } of shared.events()) if (seen.push(type) > 0 && type === 'stream_end') break
    expect([seen[0], seen.at(-1)]).toEqual(['stream_start', 'stream_end'])
    expect((await shared.read()).runs).toMatchObject([{ query: 'to be shared' }])
    await expect(shared.run({ query: 'x' })).rejects.toMatchObject({ code: 'forbidden' })
    await expect(client.session('another').read()).rejects.toMatchObject({ code: 'session_not_found' })
  })

  it('that is revoked is replaced, and every event arrives once', async () => {
    const { millrace, url, publish } = await startServer()
    const { values, reasons } = open(url, { transport }, ({ reason }) => signToken({ jti: reason }))
    await publish(1)
    expect(await values(1)).toEqual([1])
    await millrace.access.revoke({ tokenId: 'first' })
    await expect.poll(() => reasons).toContain('rejected')
    for (const value of [2, 3]) await publish(value)
    expect(await values(2)).toEqual([2, 3])
  })

  it('that stays revoked ends the reading', async () => {
    const { millrace, url, publish } = await startServer()
    const { values } = open(url, { transport }, () => signToken())
    await publish(1)
    await values(1)
    await millrace.access.revoke({ sub: 'ada' })
    await expect(values(1)).rejects.toMatchObject({ code: 'token_revoked', status: 401 })
  })

  it('is ignored by an open server', async () => {
    const { url, publish } = await startServer({ access: {} })
    await publish(1)
    expect(await open(url, { transport }, () => 'x').values(1)).toEqual([1])
  })
})

describe.each(['sse', 'ws', 'hybrid'] as const)('a connection over %s whose token expires', (transport) => {
  it('gets another one, and goes on without a cut', async () => {
    const { millrace, url, publish } = await startServer()
    const { values, reasons } = open(url, { transport }, ({ reason }) =>
      signToken(reason === 'first' ? { exp: nowSeconds() + 3 } : {}),
    )
    await publish(1)
    expect(await values(1)).toEqual([1])
    const [before] = millrace.listConnections('channel/c')
    await expect.poll(() => reasons.includes('expired'), { timeout: 10_000 }).toBe(true)
    await publish(2)
    expect(await values(1)).toEqual([2])
    expect(millrace.listConnections('channel/c').map(({ id }) => id)).toEqual([before?.id])
  })
})

describe.each(['sse', 'ws'] as const)('a connection over %s of a user with a cookie', (transport) => {
  it('is renewed by the cookie', async () => {
    const paths: string[] = []
    const { millrace, url, publish } = await startServer({
      access: {},
      authenticate({ path }) {
        paths.push(path)
        // Only now he has logged in again.
        const isRenewal = path === '/api/tickets' || path.endsWith('/renew')
        return { id: 'ada', expiresAt: Date.now() + (isRenewal ? 60_000 : -20_000) }
      },
    })
    const client = connect(url, { transport, timings })
    onTestFinished(() => client.close())
    const events = client.channel('c', { from: 'start' }).events()
    await publish(1)
    await events.next()
    const [before] = millrace.listConnections('channel/c')
    const renewal = transport === 'ws' ? '/api/tickets' : `/api/connections/${before?.id}/renew`
    await expect.poll(() => paths).toContain(renewal)
    await publish(2)
    await events.next()
    expect(millrace.listConnections('channel/c').map(({ id }) => id)).toEqual([before?.id])
  })
})
