/** Revoking users, tokens and sessions: open connections end, and what was given before opens nothing. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MillraceOptions, type Revocation, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { entrances } from './support/entrances.ts'
import { gatedEngine } from './support/gated-engine.ts'
import { postJson, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { data, openStream } from './support/stream.ts'
import { bearer, nowSeconds, secret, sign } from './support/tokens.ts'

const adminKey = 'an-admin-key-of-a-test'

async function start(options: MillraceOptions = {}) {
  const server = await startServer({ access: { tokens: { secret }, adminKey }, ...options })
  for (const session of ['s', 't']) await server.millrace.engine.append(session, [])
  return server
}

/** Issued a minute ago. */
const issued = (claims: Parameters<typeof sign>[0] = {}) => sign({ iat: nowSeconds() - 60, ...claims })

/** One connection over each transport that stays open. How each ended is known when it has. */
async function openAll(url: string, headers: Record<string, string>, session = 's') {
  const address = `${url}/api/stream?session=${session}`
  const socket = await openSocket(url, [], { headers })
  socket.send({ type: 'attach', session })
  await socket.until(({ type }) => type === 'attached')
  const streams = await Promise.all(
    [address, `${url}/api/chat?query=x&session=${session}`].map((each) => openStream(each, { headers })),
  )
  // The model is silent from now on, so that the long-poll waits.
  await Promise.all(streams.map((stream) => stream.until('message')))
  const polled = fetch(`${address}&live=poll&wait=30&from=now`, { headers })
  return {
    async ends() {
      const [code, reason] = await socket.closed
      const answer = await polled
      const events = await Promise.all(streams.map(async (stream) => (await stream.rest()).at(-1)))
      return {
        ws: [code, reason],
        poll: [answer.status, ((await answer.json()) as { error: { code: string } }).error.code],
        sse: events.map((event) => event?.event === 'error' && (data(event).error as { code: string }).code),
      }
    },
  }
}

const statuses = async (url: string, headers: Record<string, string>) =>
  Promise.all(Object.values(entrances).map(async (enter) => (await enter(url, headers)).code))
const nobody = (code: string | undefined) => [code, code, code, code]

describe.each<[string, Revocation]>([
  ['a user', { sub: 'ada' }],
  ['a token', { tokenId: 'token-1' }],
])('revoking %s', (_what, revocation) => {
  it('ends its connections over every transport, and rejects its requests', async () => {
    const model = 'sim:hang?after=1'
    const { url, millrace } = await start({ model })
    const headers = bearer(await issued({ jti: 'token-1' }))
    const [own, others] = [
      await openAll(url, headers),
      await openAll(url, bearer(await issued({ sub: 'bob', jti: 'token-2' })), 't'),
    ]
    await expect.poll(() => millrace.connections).toBe(8)
    await millrace.access.revoke(revocation)
    expect(await own.ends()).toEqual({
      ws: [4401, 'token_revoked'],
      poll: [401, 'token_revoked'],
      sse: ['token_revoked', 'token_revoked'],
    })
    await expect.poll(() => millrace.connections).toBe(4)
    expect(await statuses(url, headers)).toEqual(nobody('token_revoked'))
    expect((await postJson(`${url}/api/publish`, { channel: 'c', data: 1 }, headers)).status).toBe(401)
    expect((await postJson(`${url}/api/tickets`, {}, headers)).status).toBe(401)
    // Of another user, and later of the same.
    for (const token of [await issued({ sub: 'bob', jti: 'token-2' }), await sign({ iat: nowSeconds() + 60, jti: 'token-3' })])
      expect(await statuses(url, bearer(token))).toEqual(nobody(undefined))
    await millrace.access.revoke({ sub: 'bob' })
    expect((await others.ends()).ws).toEqual([4401, 'token_revoked'])
  })

  it('takes its tickets away, used and unused', async () => {
    const { url, millrace } = await start()
    const credentials = bearer(await issued({ jti: 'token-1' }))
    const issue = async () =>
      ((await (await postJson(`${url}/api/tickets`, {}, credentials)).json()) as { ticket: string }).ticket
    const [unused, used] = [await issue(), await issue()]
    const { headers } = await entrances.sse(url, {}, `&ticket=${used}`)
    const cookie = headers.get('set-cookie')?.split(';')[0] as string
    await millrace.access.revoke(revocation)
    expect((await entrances.sse(url, {}, `&ticket=${unused}`)).code).toBe('token_revoked')
    expect((await entrances.sse(url, { cookie }, `&ticket=${used}`)).code).toBe('token_revoked')
  })

  it('lets no connection be renewed with it', async () => {
    const { url, millrace } = await start()
    const later = await sign({ iat: nowSeconds() + 60, jti: 'token-3' })
    const socket = await openSocket(url, [], { headers: bearer(later) })
    await millrace.access.revoke(revocation)
    socket.send({ type: 'renew', token: await issued({ jti: 'token-1' }) })
    expect(await socket.next()).toMatchObject({ type: 'error', error: { code: 'token_revoked' } })
  })
})

it('a token that does not say when it was issued stays revoked with its user', async () => {
  const { url, millrace } = await start()
  await millrace.access.revoke({ sub: 'ada' })
  expect(await statuses(url, bearer(await sign()))).toEqual(nobody('token_revoked'))
})

it('revoking a session ends its readers and hides it, but not from servers with a key', async () => {
  const { url, millrace } = await start({ model: 'sim:hang?after=1' })
  const headers = bearer(await issued())
  const [own, others] = [await openAll(url, headers), await openAll(url, headers, 't')]
  await expect.poll(() => millrace.connections).toBe(8)
  await millrace.access.revoke({ session: 's' })
  const again = 'connection_closed'
  expect(await own.ends()).toEqual({ ws: [4503, again], poll: [503, again], sse: [again, again] })
  for (const enter of [entrances.sse, entrances.poll]) expect((await enter(url, headers)).code).toBe('session_not_found')
  expect((await fetch(`${url}/api/sessions/s`, { headers })).status).toBe(404)
  expect((await postJson(`${url}/api/chat`, { query: 'x', session: 's' }, headers)).status).toBe(404)
  const socket = await openSocket(url, [], { headers })
  socket.send({ type: 'attach', session: 's' })
  expect(await socket.next()).toMatchObject({ type: 'error', error: { code: 'session_not_found' } })
  expect((await entrances.sse(url, bearer(adminKey))).status).toBe(200)
  // It was shared with him again.
  expect((await entrances.sse(url, bearer(await sign({ iat: nowSeconds() + 1 })))).status).toBe(200)
  await millrace.access.revoke({ session: 't' })
  expect((await others.ends()).ws).toEqual([4503, again])
})

it('an API key that is revoked ends its connections too', async () => {
  const { url, millrace } = await start({ model: 'sim:hang?after=1' })
  const { id, key } = await millrace.keys.create({ name: 'shop' })
  const { ends } = await openAll(url, bearer(key))
  await millrace.keys.revoke(id)
  expect((await ends()).ws).toEqual([4401, 'token_revoked'])
})

it('a revocation that comes between the credential and the connection is not missed', async () => {
  const deciding = Promise.withResolvers<void>()
  const isAsked = Promise.withResolvers<void>()
  const { url, millrace } = await start({
    authorize() {
      isAsked.resolve()
      return deciding.promise
    },
  })
  const entered = entrances.sse(url, bearer(await issued()))
  await isAsked.promise
  await millrace.access.revoke({ sub: 'ada' })
  deciding.resolve()
  expect((await entered).code).toBe('token_revoked')
})

it('nobody comes in before the engine has said who is revoked', async () => {
  const engine = gatedEngine()
  const { url } = await start({ engine })
  engine.hold()
  let isIn = false
  const entered = entrances.http(url, bearer(await issued())).then(() => {
    isIn = true
  })
  await expect.poll(() => engine.held).toBeGreaterThan(0)
  expect(isIn).toBe(false)
  engine.release()
  await entered
})

it('a restarted server remembers', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const first = await start({ engine: sqliteEngine({ folder }) })
  await first.millrace.access.revoke({ sub: 'ada' })
  await first.millrace.close()
  const second = await start({ engine: sqliteEngine({ folder }) })
  expect((await entrances.http(second.url, bearer(await issued()))).code).toBe('token_revoked')
})

it('what cannot be revoked is rejected', async () => {
  const { millrace } = await start()
  for (const wrong of [{}, { sub: 'a', session: 's' }, { sub: 'anonymous' }, { sub: 'key:admin' }, { sub: '' }, { user: 'ada' }])
    await expect(millrace.access.revoke(wrong as Revocation)).rejects.toMatchObject({ code: 'invalid_request' })
  const open = await startServer()
  await expect(open.millrace.access.revoke({ sub: 'ada' })).rejects.toMatchObject({ code: 'invalid_request' })
})
