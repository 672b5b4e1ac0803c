/** Attacks on the admin API: by strangers, by users, by tickets, and by pages of other sites. */
import type { MillraceOptions } from 'millrace'
import { describe, expect, it } from 'vitest'
import { adminKey } from './support/admin.ts'
import { postJson, startServer } from './support/server.ts'
import { bearer, secret, sign } from './support/tokens.ts'

interface Operation {
  readonly security?: readonly object[]
}

/** Every route of the admin API, as the server describes them itself. */
async function adminRoutes(url: string, headers: Record<string, string>): Promise<(readonly [method: string, path: string])[]> {
  const document = (await (await fetch(`${url}/api/openapi.json`, { headers })).json()) as {
    paths: Record<string, Record<string, Operation>>
  }
  return Object.entries(document.paths)
    .filter(([path]) => path.startsWith('/api/admin/'))
    .flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => [method.toUpperCase(), path.replace(/\{\w+\}/g, 'x')] as const),
    )
}

/** Input of the routes that have any. Nobody learns from an error of it that the route is there for others. */
const bodies: Record<string, object> = {
  '/api/admin/connections/disconnect': { principal: 'ada' },
  '/api/admin/publish': { channel: 'c', data: 1 },
  '/api/admin/keys': { name: 'a' },
  '/api/admin/tickets': {},
  '/api/admin/revocations': { sub: 'ada' },
}

async function tryAll(url: string, routes: Awaited<ReturnType<typeof adminRoutes>>, headers: Record<string, string>, query = '') {
  const answers = await Promise.all(
    routes.map(async ([method, path]) => {
      const body = method === 'POST' ? bodies[path] : undefined
      const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
      const init = { method, headers: { ...headers, ...type }, ...(body && { body: JSON.stringify(body) }) }
      const response = await fetch(`${url}${path}${path === '/api/admin/events' ? '?log=s&' : '?'}${query}`, init)
      return `${response.status} ${((await response.json()) as { error?: { code: string } }).error?.code}`
    }),
  )
  return [...new Set(answers)]
}

async function start(options: MillraceOptions = {}) {
  const server = await startServer({ access: { adminKey, tokens: { secret } }, ...options })
  return { ...server, routes: await adminRoutes(server.url, bearer(adminKey)) }
}

describe('the admin API', () => {
  it('is closed on an open server, and says how to open it', async () => {
    const { url } = await startServer()
    const routes = await adminRoutes(url, {})
    expect(routes.length).toBeGreaterThan(15)
    expect(await tryAll(url, routes, {})).toEqual(['403 forbidden'])
    expect(await tryAll(url, routes, bearer(adminKey))).toEqual(['403 forbidden'])
    expect(await (await fetch(`${url}/api/admin/nodes`)).text()).toContain('set MILLRACE_ADMIN_KEY')
  })

  it('is closed to strangers, also where anonymous may use the rest', async () => {
    const { url, routes } = await start()
    expect(await tryAll(url, routes, {})).toEqual(['401 unauthenticated'])
    const half = await startServer({ access: { adminKey } })
    expect(await tryAll(half.url, routes, {})).toEqual(['401 unauthenticated'])
    expect((await fetch(`${half.url}/api/models`)).status).toBe(200)
  })

  it('is closed to users and servers without its permissions, whatever else they may do', async () => {
    const { url, routes, millrace } = await start()
    const everything = ['session.*', 'run.*', 'channel.*', 'ticket.create', 'model.use:*']
    const credentials = [
      await sign(),
      await sign({ millrace: { may: everything } }),
      await sign({ sub: 'admin', admin: true, roles: ['admin'], scope: 'admin.*' }),
      (await millrace.keys.create({ name: 'a' })).key,
      (await millrace.keys.create({ name: 'b', may: everything })).key,
    ]
    const owner = bearer(await sign())
    const { id } = (await (await postJson(`${url}/api/sessions`, {}, owner)).json()) as { id: string }
    const share = (await (await postJson(`${url}/api/sessions/${id}/shares`, {}, owner)).json()) as { token: string }
    credentials.push(share.token)
    for (const each of credentials) expect(await tryAll(url, routes, bearer(each))).toEqual(['403 forbidden'])
    console.error(`admin: ${routes.length} routes, 0 opened by ${credentials.length} credentials without permission`)
  })

  it('gives each permission only its own routes', async () => {
    const { url, routes, millrace } = await start()
    await millrace.engine.append('s', [])
    const open = async (may: string[]) => {
      const { key } = await millrace.keys.create({ name: may.join(), may })
      const results = await Promise.all(
        routes.map(async (route) => [route.join(' '), (await tryAll(url, [route], bearer(key)))[0]] as const),
      )
      return results.filter(([, answer]) => answer !== '403 forbidden').map(([route]) => route)
    }
    expect(await open(['admin.content'])).toEqual(['GET /api/admin/events'])
    expect(await open(['admin.connections'])).toEqual(['POST /api/admin/connections/disconnect'])
    expect(await open(['admin.runs'])).toEqual(['POST /api/admin/runs/x/stop'])
    expect(await open(['admin.publish'])).toEqual(['POST /api/admin/publish'])
    expect(await open(['admin.drain'])).toEqual(['POST /api/admin/nodes/x/drain', 'DELETE /api/admin/nodes/x/drain'])
    expect((await open(['admin.read'])).every((route) => route.startsWith('GET '))).toBe(true)
    expect(await open(['admin.read'])).not.toContain('GET /api/admin/events')
  })

  it('is not opened by a ticket, nor by the cookie of one, also of an operator', async () => {
    const { url, routes, millrace } = await start()
    await millrace.engine.append('s', [])
    const { ticket } = (await (await postJson(`${url}/api/tickets`, { ttl: 300 }, bearer(adminKey))).json()) as { ticket: string }
    expect(await tryAll(url, routes, {}, `ticket=${ticket}`)).not.toContain('200 undefined')
    const first = await fetch(`${url}/api/stream?session=s&live=poll&wait=0&ticket=${ticket}`)
    const cookie = first.headers.get('set-cookie')?.split(';')[0] ?? ''
    expect(cookie).toMatch(/^millrace-ticket=/)
    const answers = await tryAll(url, routes, { cookie }, `ticket=${ticket}`)
    expect(answers).toEqual(['401 unauthenticated'])
  })
})

describe('a page of another site', () => {
  /** The host has a login of its own, and its operators a cookie. */
  const startHosted = () =>
    start({
      access: { adminKey, origins: ['https://app.example.com'] },
      authenticate: ({ headers }) =>
        headers.get('cookie') === 'login=operator' ? { id: 'operator', may: ['admin.*'] } : undefined,
    })
  const cookie = { cookie: 'login=operator' }

  it.each([
    ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
    ['another site, of an old browser', { origin: 'https://evil.example' }],
    ['a sandboxed frame', { origin: 'null' }],
    ['the same site', { 'sec-fetch-site': 'same-site', origin: 'https://forum.example.com' }],
    ['an allowed origin', { 'sec-fetch-site': 'cross-site', origin: 'https://app.example.com' }],
    ['an allowed origin of the same site', { 'sec-fetch-site': 'same-site', origin: 'https://app.example.com' }],
  ])('cannot use the cookie of an operator: %s', async (_from, headers) => {
    const { url, routes } = await startHosted()
    expect(await tryAll(url, routes, { ...cookie, ...headers })).toEqual(['403 origin_not_allowed'])
  })

  it('cannot send a form either', async () => {
    const { url, millrace } = await startHosted()
    const body = new URLSearchParams({ name: 'evil' })
    const headers = { ...cookie, 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }
    expect((await fetch(`${url}/api/admin/keys`, { method: 'POST', body, headers })).status).toBe(403)
    const text = { ...cookie, 'content-type': 'text/plain' }
    expect((await fetch(`${url}/api/admin/keys`, { method: 'POST', body: '{"name":"evil"}', headers: text })).status).toBe(415)
    expect(await millrace.keys.list()).toEqual([])
  })

  it("is not the server's own page, which can", async () => {
    const { url } = await startHosted()
    for (const headers of [{}, { 'sec-fetch-site': 'same-origin' }, { origin: url }])
      expect((await fetch(`${url}/api/admin/nodes`, { headers: { ...cookie, ...headers } })).status).toBe(200)
  })

  it('of an allowed origin can with a key, which no browser adds by itself', async () => {
    const { url } = await startHosted()
    const headers = { ...bearer(adminKey), 'sec-fetch-site': 'cross-site', origin: 'https://app.example.com' }
    expect((await fetch(`${url}/api/admin/nodes`, { headers })).status).toBe(200)
  })
})
