/** Who may come in with a JSON Web Token, over every transport; and every token that must not. */
import { createHmac, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JWTPayload } from 'jose'
import type { AccessOptions, Caller, TokenIssuer } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { entrances } from './support/entrances.ts'
import { ask } from './support/raw.ts'
import { startServer } from './support/server.ts'
import { bearer, forge, keySet, keys, nowSeconds, pem, secret, sign } from './support/tokens.ts'

async function start(access: AccessOptions = { tokens: { secret } }) {
  const callers: Caller[] = []
  const authorize = (caller: Caller) => void callers.push(caller)
  const server = await startServer({ access, authorize })
  await server.millrace.engine.append('s', [])
  return { ...server, callers, principal: () => callers.at(-1)?.principal }
}

/** The status of each entrance. */
async function tryAll(url: string, headers: Record<string, string>): Promise<Record<string, string>> {
  const tries = Object.entries(entrances).map(async ([name, enter]) => {
    const { status, code } = await enter(url, headers)
    return [name, code === undefined ? String(status) : `${status} ${code}`]
  })
  return Object.fromEntries(await Promise.all(tries))
}

const everywhere = (answer: string) => ({ http: answer, sse: answer, poll: answer, ws: answer })
const welcome = { http: '200', sse: '200', poll: '200', ws: '101' }

describe('a server with authentication', () => {
  it('rejects requests without credentials, also for addresses that do not exist', async () => {
    const { url } = await start()
    for (const headers of [{}, { authorization: 'Basic YTpi' }, { cookie: 'session=1' }])
      expect(await tryAll(url, headers)).toEqual(everywhere('401 unauthenticated'))
    for (const path of ['/api/openapi.json', '/api/nothing', '/api/chat?query=x', '/api/sessions?ticket=x&token=x']) {
      const response = await fetch(`${url}${path}`)
      expect([path, response.status, response.headers.get('www-authenticate')]).toEqual([path, 401, 'Bearer realm="millrace"'])
    }
    const { headers } = await entrances.ws(url, {})
    expect(headers.get('www-authenticate')).toBe('Bearer realm="millrace"')
  })

  it.each([
    'GET /%61pi/models',
    'GET //api/models',
    'GET /api//models',
    'GET /API/models',
    'GET /api/models/',
    'GET /./api/models',
    'GET /healthz/../api/models',
    'GET /api/models%00',
    'GET /api/models;/healthz',
    'GET /api/models?/healthz',
    'HEAD /api/models',
    'OPTIONS /api/models',
    'POST /api/sessions',
    'DELETE /api/sessions/s',
    'GET /ws/../api/models',
  ])('has no way around it: %s', async (line) => {
    const { port } = await start()
    expect(await ask(port, line, { host: 'localhost', 'x-original-url': '/healthz' })).toMatch(/^40[0-4]/)
  })

  it('answers for its health and documents to everybody', async () => {
    const { url } = await start()
    for (const path of ['/healthz', '/docs/errors']) expect((await fetch(`${url}${path}`)).status).toBe(200)
    expect((await fetch(`${url}/ws/chat`)).status).toBe(426)
  })

  it('knows who asks by the claims of the token', async () => {
    const { url, principal } = await start()
    const exp = nowSeconds() + 60
    const millrace = {
      may: ['session.*', 'run.start'],
      sessions: ['s', 'ada-*'],
      channels: ['room:*'],
      limits: { runsInFlight: 3 },
    }
    expect(await tryAll(url, bearer(await sign({ exp, jti: 'j', millrace })))).toEqual(welcome)
    expect(principal()).toEqual({ id: 'ada', kind: 'user', ...millrace, expiresAt: exp * 1000, tokenId: 'j' })
  })

  it('bounds the connections of one user, and lists them by its id', async () => {
    const { url, millrace } = await start()
    await tryAll(url, bearer(await sign({ sub: 'bob' })))
    expect(millrace.listConnections().map(({ principal }) => principal)).toContain('bob')
  })

  it('works behind a web-standard host', async () => {
    const { millrace } = await start()
    const ask = (headers: Record<string, string>) => millrace.fetch(new Request('https://host/api/models', { headers }))
    expect((await ask({})).status).toBe(401)
    expect((await ask(bearer(await sign()))).status).toBe(200)
  })
})

describe('what a token allows', () => {
  const may = ['session.read', 'run.start', 'channel.read']
  it.each([
    ['GET', '/api/stream?session=s&live=poll&wait=0', { may }, 200],
    ['GET', '/api/stream?session=s&live=poll&wait=0', { may: ['session.*'] }, 200],
    ['GET', '/api/stream?session=s&live=poll&wait=0', { may: ['admin.*'] }, 200],
    ['GET', '/api/stream?session=s&live=poll&wait=0', { may: ['run.start'] }, 403],
    ['GET', '/api/stream?session=s&live=poll&wait=0', { sessions: ['s'] }, 200],
    ['GET', '/api/stream?session=s&live=poll&wait=0', { sessions: ['a*', 't'] }, 404],
    ['GET', '/api/stream?channel=room:1&live=poll&wait=0', { channels: ['room:*'] }, 200],
    ['GET', '/api/stream?channel=room&live=poll&wait=0', { channels: ['room:*'] }, 403],
    ['GET', '/api/chat?query=x&session=t', { sessions: ['s'] }, 404],
    ['GET', '/api/chat?query=x', { sessions: ['s'] }, 403],
    ['GET', '/api/chat?query=x', { may: ['session.read'] }, 403],
    ['GET', '/api/sessions', { may: ['session.read'] }, 403],
    ['POST', '/api/sessions', { may }, 403],
    ['DELETE', '/api/sessions/s', { may }, 403],
  ])('%s %s with %j: %i', async (method, path, millrace, status) => {
    const { url } = await start()
    const response = await fetch(`${url}${path}`, { method, headers: bearer(await sign({ millrace })) })
    await response.body?.cancel()
    expect(response.status).toBe(status)
  })
})

describe('keys', () => {
  const algorithms = Object.keys(keys) as (keyof typeof keys)[]

  it.each(algorithms)('in PEM verify %s, and nothing else', async (alg) => {
    const { url } = await start({ tokens: { publicKey: pem(keys[alg].publicKey) } })
    for (const other of algorithms) {
      const token = await sign({}, { key: keys[other].privateKey, header: { alg: other } })
      expect(await tryAll(url, bearer(token))).toEqual(other === alg ? welcome : everywhere('401 token_rejected'))
    }
  })

  it.each(algorithms)('of a key set verify %s', async (alg) => {
    const { url: jwks, requests } = await startProvider({ one: keys[alg].publicKey })
    const { url } = await start({ tokens: { jwks } })
    const token = await sign({}, { key: keys[alg].privateKey, header: { alg, kid: 'one' } })
    expect(await tryAll(url, bearer(token))).toEqual(welcome)
    // A key that is not in the set is asked for at most once in a while.
    for (const kid of ['two', 'three']) {
      const unknown = await sign({}, { key: keys[alg].privateKey, header: { alg, kid } })
      expect((await entrances.http(url, bearer(unknown))).code).toBe('token_rejected')
    }
    expect(requests()).toBe(1)
  })

  it('that cannot be fetched are the fault of nobody who asks, and are reported', async () => {
    const elsewhere = await startProvider({ one: keys.EdDSA.publicKey })
    for (const listener of [
      (_request, response) => response.writeHead(500).end(),
      (_request, response) => response.writeHead(302, { location: elsewhere.url }).end(),
      (_request, response) => response.end('{"keys":"none"}'),
      (_request, response) => response.end(`{"keys":[],"more":"${'x'.repeat(300_000)}"}`),
    ] satisfies RequestListener[]) {
      const { url, errors } = await start({ tokens: { jwks: await serve(listener) } })
      const token = await sign({}, { key: keys.EdDSA.privateKey, header: { alg: 'EdDSA' } })
      const { status, code, text } = await entrances.http(url, bearer(token))
      expect([status, code]).toEqual([503, 'keys_unavailable'])
      expect(text).not.toContain('127.0.0.1')
      expect(errors).toHaveLength(1)
    }
    // A redirect is not followed.
    expect(elsewhere.requests()).toBe(0)
  })

  it.each([
    { secret: 'x'.repeat(31) },
    { secret, publicKey: pem(keys.EdDSA.publicKey) },
    {},
    { publicKey: 'nonsense' },
    { publicKey: keys.RS256.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() },
    { publicKey: pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey) },
    { publicKey: pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey) },
    { jwks: 'http://keys.example/jwks.json' },
    { jwks: 'ftp://keys.example/jwks.json' },
  ] satisfies TokenIssuer[])('that no server should use are rejected at the start: %o', async (tokens) => {
    await expect(startServer({ access: { tokens } })).rejects.toThrow(/key|secret|Keys/)
  })
})

describe('a hostile token', () => {
  const claims = () => ({ sub: 'ada', exp: nowSeconds() + 600 })

  it('without a signature is rejected', async () => {
    for (const tokens of [{ secret }, { publicKey: pem(keys.RS256.publicKey) }]) {
      const { url } = await start({ tokens })
      for (const alg of ['none', 'None', 'nOnE', '', 'HS512', undefined])
        expect(await tryAll(url, bearer(forge({ alg }, claims())))).toEqual(everywhere('401 token_rejected'))
    }
  })

  it('signed by HS256 with the public key as the secret is rejected', async () => {
    const publicKey = pem(keys.RS256.publicKey)
    for (const tokens of [{ publicKey }, { jwks: (await startProvider({ one: keys.RS256.publicKey })).url }]) {
      const { url } = await start({ tokens })
      for (const key of [publicKey, publicKey.trim(), await keySet({ one: keys.RS256.publicKey })]) {
        const unsigned = forge({ alg: 'HS256', kid: 'one' }, claims()).slice(0, -1)
        const token = `${unsigned}.${createHmac('sha256', key).update(unsigned).digest('base64url')}`
        expect(await tryAll(url, bearer(token))).toEqual(everywhere('401 token_rejected'))
      }
    }
  })

  it('that names its own key is verified by the configured ones, and nothing is fetched', async () => {
    const attacker = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const { url: jku, requests } = await startProvider({ one: attacker.publicKey })
    const { url } = await start({ tokens: { publicKey: pem(keys.RS256.publicKey) } })
    const jwk = attacker.publicKey.export({ format: 'jwk' })
    for (const header of [{ jku }, { x5u: jku }, { jwk }, { kid: '../../../dev/null' }, { kid: "' OR 1=1" }, { x5c: ['AAAA'] }]) {
      const unsigned = forge({ alg: 'RS256', ...header }, { ...claims(), iss: jku }).slice(0, -1)
      const token = `${unsigned}.${createSign('sha256').update(unsigned).sign(attacker.privateKey, 'base64url')}`
      expect(await tryAll(url, bearer(token))).toEqual(everywhere('401 token_rejected'))
    }
    expect(requests()).toBe(0)
  })

  it.each([
    ['expired', { exp: nowSeconds() - 31 }, 'token_expired'],
    ['never expiring', { exp: undefined }, 'token_rejected'],
    ['with a time that is no number', { exp: '9999999999' }, 'token_rejected'],
    ['not yet valid', { nbf: nowSeconds() + 90 }, 'token_rejected'],
    ['of another issuer', { iss: 'https://other.example' }, 'token_rejected'],
    ['of no issuer', { iss: undefined }, 'token_rejected'],
    ['for another audience', { aud: 'mail' }, 'token_rejected'],
    ['for no audience', { aud: undefined }, 'token_rejected'],
    ['of nobody', { sub: undefined }, 'token_rejected'],
    ['of an empty name', { sub: '' }, 'token_rejected'],
    ['of a name that is no text', { sub: 7 }, 'token_rejected'],
    ['of the reserved anonymous', { sub: 'anonymous' }, 'token_rejected'],
    ['of the id of an API key', { sub: 'key:admin' }, 'token_rejected'],
    ['with an unknown permission', { millrace: { may: ['session.raed'] } }, 'token_rejected'],
    ['with an unknown claim', { millrace: { mai: [] } }, 'token_rejected'],
    ['with a hostile pattern', { millrace: { sessions: ['(a+)+$'] } }, 'token_rejected'],
  ])('%s is rejected', async (_what, wrong, code) => {
    const { url } = await start({ tokens: { secret, issuer: 'https://id.example', audience: 'chat' } })
    const right = { iss: 'https://id.example', aud: ['chat', 'mail'] }
    expect(await tryAll(url, bearer(await sign(right)))).toEqual(welcome)
    expect(await tryAll(url, bearer(await sign({ ...right, ...wrong } as JWTPayload)))).toEqual(everywhere(`401 ${code}`))
  })

  it('of another purpose, or with an extension that is not understood, is rejected', async () => {
    const { url } = await start()
    for (const header of [{ typ: 'logout+jwt' }, { typ: 'dpop+jwt' }])
      expect((await entrances.http(url, bearer(await sign({}, { header })))).code).toBe('token_rejected')
    const unsigned = forge({ alg: 'HS256', crit: ['x'], x: 1 }, claims()).slice(0, -1)
    const token = `${unsigned}.${createHmac('sha256', secret).update(unsigned).digest('base64url')}`
    expect((await entrances.http(url, bearer(token))).code).toBe('token_rejected')
    expect((await entrances.http(url, bearer(await sign({}, { header: { typ: 'at+jwt' } })))).status).toBe(200)
  })

  it('is accepted up to 30 s late and early: clocks differ', async () => {
    const { url } = await start()
    for (const late of [{ exp: nowSeconds() - 20 }, { nbf: nowSeconds() + 20 }])
      expect(await tryAll(url, bearer(await sign(late)))).toEqual(welcome)
  })

  it('of another issuer with the same key id is rejected', async () => {
    const [one, two] = [keys.EdDSA, generateKeyPairSync('ed25519')]
    const issuers = await Promise.all(
      [one, two].map(async ({ publicKey }, index) => ({
        jwks: (await startProvider({ same: publicKey })).url,
        issuer: `https://${index}.example`,
      })),
    )
    const { url } = await start({ tokens: issuers })
    const from = (iss: string, { privateKey }: { privateKey: KeyObject }) =>
      sign({ iss }, { key: privateKey, header: { alg: 'EdDSA', kid: 'same' } })
    expect(await tryAll(url, bearer(await from('https://0.example', one)))).toEqual(welcome)
    expect(await tryAll(url, bearer(await from('https://1.example', two)))).toEqual(welcome)
    for (const token of [await from('https://1.example', one), await from('https://0.example', two), await from('x', one)])
      expect(await tryAll(url, bearer(token))).toEqual(everywhere('401 token_rejected'))
  })

  it('of 64 KB is rejected before any work', async () => {
    const { url, millrace } = await start()
    const token = await sign({ more: 'x'.repeat(64 * 1024) })
    const headers = bearer(token)
    // The server reads headers up to 16 KiB.
    expect((await entrances.http(url, headers)).status).toBe(431)
    expect((await entrances.ws(url, headers)).status).toBe(431)
    expect((await millrace.fetch(new Request('http://127.0.0.1/api/models', { headers }))).status).toBe(401)
    expect((await entrances.http(url, bearer(await sign({ more: 'x'.repeat(6500) })))).code).toBe('token_rejected')
  })

  it.each([
    'Bearer',
    'Bearer ',
    'bearer a b',
    'Bearer a,b',
    'Bearer \u00e9',
    'Bearer a.b.c',
    'Bearer mr_',
    `Bearer ${'.'.repeat(900)}`,
  ])('that is none is rejected: %s', async (authorization) => {
    const { url } = await start()
    expect(await tryAll(url, { authorization })).toEqual(everywhere('401 token_rejected'))
    const { headers } = await entrances.http(url, { authorization })
    expect(headers.get('www-authenticate')).toBe('Bearer realm="millrace", error="invalid_token"')
  })

  it('is in no error and no report', async () => {
    const { url, errors } = await start()
    const sentinel = 'sentinel-of-a-token'
    const tokens = [
      await sign({ jti: sentinel, sub: sentinel, exp: 1 }),
      await sign({ millrace: { [sentinel]: 1 } }),
      await sign({ millrace: { limits: { [`${sentinel}!`]: 1 } } }),
      forge({ alg: 'HS256', kid: sentinel }, { sub: sentinel }, sentinel),
    ]
    for (const token of tokens) {
      for (const [name, enter] of Object.entries(entrances)) {
        const { status, text, headers } = await enter(url, bearer(token), `&ticket=${sentinel}`)
        expect([name, status]).toEqual([name, 401])
        for (const part of [sentinel, ...token.split('.')])
          expect(`${text} ${JSON.stringify([...headers])}`).not.toContain(part || 'never')
      }
    }
    expect(errors).toEqual([])
  })
})

async function startProvider(byId: Record<string, KeyObject>) {
  const body = await keySet(byId)
  let count = 0
  const url = await serve((_request, response) => {
    count += 1
    response.end(body)
  })
  return { url, requests: () => count }
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
}
