/** Tickets over several servers of one engine, and the reconnects of a real browser. */
import { createMillrace, type Engine } from 'millrace'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { launchChromium, startFaultProxy } from '../src/index.ts'
import { startShared } from './support/nodes.ts'

const adminKey = 'an-admin-key-of-a-test'

async function openNode(engine?: Engine) {
  const millrace = createMillrace({
    ...(engine && { engine }),
    access: { adminKey, allowAnonymous: false },
    onError: () => {},
  })
  onTestFinished(() => millrace.close())
  const { url, port } = await millrace.listen({ port: 0 })
  return { millrace, url, port }
}

async function getTicket(url: string, body: object = { sub: 'ada' }): Promise<string> {
  const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' }
  const response = await fetch(`${url}/api/tickets`, { method: 'POST', headers, body: JSON.stringify(body) })
  expect(response.status).toBe(201)
  return ((await response.json()) as { ticket: string }).ticket
}

async function use(url: string, ticket: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/api/stream?channel=c&live=poll&wait=0&ticket=${ticket}`, { headers })
  await response.text()
  return { status: response.status, cookie: response.headers.get('set-cookie')?.split(';')[0] ?? '' }
}

describe.each(await startShared())('over $name, a ticket', ({ make }) => {
  it('of one server is used once on any of them, and resumes on each with its cookie', async () => {
    const [one, two] = [await openNode(make()), await openNode(make())]
    const ticket = await getTicket(one.url)
    const { status, cookie } = await use(two.url, ticket)
    expect(status).toBe(200)
    for (const { url } of [one, two]) {
      expect((await use(url, ticket)).status).toBe(401)
      expect((await use(url, ticket, { cookie })).status).toBe(200)
    }
  })

  it('is used by only one of many at the same time', async () => {
    const [one, two] = [await openNode(make()), await openNode(make())]
    const ticket = await getTicket(one.url)
    const uses = await Promise.all(Array.from({ length: 20 }, (_, index) => use((index % 2 ? one : two).url, ticket)))
    expect(uses.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  it('expires on each', async () => {
    const [one, two] = [await openNode(make()), await openNode(make())]
    const ticket = await getTicket(one.url, { sub: 'ada', ttl: 1 })
    const issuedAt = Date.now()
    await vi.waitUntil(() => Date.now() - issuedAt > 1050, 10_000)
    for (const { url } of [one, two]) expect((await use(url, ticket)).status).toBe(401)
  })

  it('is for a key that another server has created, until that server revokes it', async () => {
    const [one, two] = [await openNode(make()), await openNode(make())]
    const { id, key } = await one.millrace.keys.create({ name: 'shop' })
    const ask = async () => (await fetch(`${two.url}/api/models`, { headers: { authorization: `Bearer ${key}` } })).status
    expect(await ask()).toBe(200)
    await one.millrace.keys.revoke(id)
    await expect.poll(ask, { timeout: 10_000 }).toBe(401)
  })
})

it('lets the native EventSource of Chromium reconnect, and nobody else who has its address', async () => {
  const { millrace, port } = await openNode()
  await using proxy = await startFaultProxy(port)
  const address = `${proxy.url}/api/stream?channel=c&ticket=${await getTicket(proxy.url)}`
  const browser = await launchChromium()
  const page = await browser.newPage()
  await page.goto(`${proxy.url}/healthz`)
  await page.evaluate((source) => {
    const seen: unknown[] = []
    Object.assign(globalThis, { seen })
    const stream = new EventSource(source)
    stream.addEventListener('open', () => seen.push('open'))
    stream.addEventListener('message', ({ data }) => seen.push(JSON.parse(data)))
    stream.addEventListener('error', () => stream.readyState === 2 && seen.push('closed'))
  }, address)
  const seen = (length: number) =>
    page.waitForFunction((count) => (globalThis as unknown as { seen: unknown[] }).seen.length >= count, length)
  await millrace.publish({ channel: 'c', data: 1 })
  await seen(2)
  for (let cut = 1; cut <= 2; cut++) {
    proxy.cut()
    await millrace.publish({ channel: 'c', data: cut + 1 })
    await seen(2 + 2 * cut)
  }
  expect(await page.evaluate(() => (globalThis as unknown as { seen: unknown[] }).seen)).toEqual([
    'open',
    1,
    'open',
    2,
    'open',
    3,
  ])
  const cookies = await page.context().cookies()
  expect(cookies).toMatchObject([{ name: 'millrace-ticket', path: '/api/stream', httpOnly: true, sameSite: 'Strict' }])
  const stranger = await (await browser.newContext()).newPage()
  expect((await stranger.goto(address))?.status()).toBe(401)
}, 60_000)
