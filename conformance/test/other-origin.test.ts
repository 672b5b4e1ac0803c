/** The client in a page of another site, in a real browser: an allowed origin can do everything over every transport, others nothing. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createMillrace } from 'millrace'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { launchChromium } from '../src/chromium.ts'
import { bundle } from './support/bundle.ts'
import { signToken, tokenSecret } from './support/tokens.ts'

type Client = typeof import('@millrace/client')

let script = ''
beforeAll(async () => {
  script = await bundle(fileURLToPath(new URL('../../packages/client/src/index.ts', import.meta.url)), 'client')
})

/** A page with the client, at `http://<name>.localhost`, which is a site of its own. */
async function openPage(name: string) {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end(`<!doctype html><script>${script}</script>`)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://${name}.localhost:${(server.address() as AddressInfo).port}`
  const browser = await launchChromium()
  const page = await browser.newPage()
  await page.goto(origin)
  return { origin, page }
}

async function startServer(origins: readonly string[]) {
  const millrace = createMillrace({ model: 'sim:count?n=3&tps=0', access: { tokens: { secret: tokenSecret }, origins } })
  onTestFinished(() => millrace.close())
  const { port } = await millrace.listen({ port: 0 })
  return { millrace, url: `http://api.localhost:${port}` }
}

/** In the browser: publishes, asks and reads over a transport, and says which error it gets for a session that does not exist. */
async function useAll({ url, token, transport }: { url: string; token: string; transport: 'sse' | 'ws' | 'hybrid' | 'poll' }) {
  const { connect } = (globalThis as unknown as { client: Client }).client
  const opened = connect(url, { transport, token: () => token, timings: { backoffFirstMs: 1, backoffLongestMs: 50 } })
  try {
    const channel = opened.channel(transport, { from: 'start' })
    await channel.publish('hello')
    const first = await channel.events().next()
    const run = await opened.session().run({ query: 'x' })
    const missing = await opened
      .session('absent')
      .read()
      .catch((error: { code: string }) => error.code)
    return { read: (first.value as { data: unknown }).data, hasRun: typeof run === 'object', missing }
  } finally {
    opened.close()
  }
}

it('an allowed page reads and sends over every transport, and sees the codes of errors', { timeout: 60_000 }, async () => {
  const { origin, page } = await openPage('app')
  const { url } = await startServer([origin])
  const token = signToken()
  for (const transport of ['sse', 'ws', 'hybrid', 'poll'] as const) {
    const seen = await page.evaluate(useAll, { url, token, transport })
    expect([transport, seen]).toEqual([transport, { read: 'hello', hasRun: true, missing: 'session_not_found' }])
  }
})

it("an allowed page opens the browser's own EventSource and WebSocket with a ticket", { timeout: 60_000 }, async () => {
  const { origin, page } = await openPage('app')
  const { url, millrace } = await startServer([origin])
  await millrace.publish({ channel: 'c', data: 1 })
  const seen = await page.evaluate(
    async ({ url, token }) => {
      const getTicket = async () => {
        const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
        const response = await fetch(`${url}/api/tickets`, { method: 'POST', headers, body: '{}' })
        return ((await response.json()) as { ticket: string }).ticket
      }
      const source = new EventSource(`${url}/api/stream?channel=c&ticket=${await getTicket()}`)
      const read = await new Promise((resolve) => source.addEventListener('message', (event) => resolve(event.data)))
      source.close()
      const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/chat?ticket=${await getTicket()}`)
      const isOpen = await new Promise((resolve) => {
        socket.addEventListener('open', () => resolve(true))
        socket.addEventListener('close', () => resolve(false))
      })
      socket.close()
      return [read, isOpen]
    },
    { url, token: signToken() },
  )
  expect(seen).toEqual(['1', true])
})

it('a page of any other origin opens nothing and reads nothing, not even an error', { timeout: 60_000 }, async () => {
  const { page } = await openPage('evil')
  const { url, millrace } = await startServer(['http://app.localhost'])
  const seen = await page.evaluate(
    async ({ url, token }) => {
      const attempts = [
        fetch(`${url}/api/models`, { headers: { authorization: `Bearer ${token}` } }),
        fetch(`${url}/api/models`),
        fetch(`${url}/api/chat?query=x&id=r`, { credentials: 'include' }),
        fetch(`${url}/api/publish`, { method: 'POST', body: '{"channel":"c","data":1}' }),
      ]
      const results = await Promise.all(
        attempts.map((attempt) => attempt.then(({ status }) => `read ${status}`).catch(() => 'blocked')),
      )
      const opaque = await fetch(`${url}/api/publish`, { method: 'POST', mode: 'no-cors', body: '{"channel":"c","data":1}' })
      const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/chat`)
      const opened = await new Promise((resolve) => {
        socket.addEventListener('open', () => resolve('open'))
        socket.addEventListener('close', () => resolve('blocked'))
      })
      return [...results, opaque.type, opened]
    },
    { url, token: signToken() },
  )
  expect(seen).toEqual(['blocked', 'blocked', 'blocked', 'blocked', 'opaque', 'blocked'])
  expect(millrace.findRun('r')).toBeUndefined()
  expect(await millrace.engine.inspect('channel/c')).toBeUndefined()
})
