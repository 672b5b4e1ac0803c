/** Behind a real nginx: with its defaults, with the settings of docs/guides/proxies.md, and with a timeout below the heartbeat. */
import { readFileSync } from 'node:fs'
import { type Client, connect, type TransportName } from '@millrace/client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { oneTo, quickTimings, readNumbers, startWorld, status } from '../src/client/world.ts'
import { launchChromium } from '../src/index.ts'
import { startNginx } from '../src/servers/nginx.ts'

const guide = (language = '') => {
  const text = readFileSync(new URL(`../../docs/guides/proxies${language}.md`, import.meta.url), 'utf8')
  return /^```nginx\n(.*?)^```$/ms.exec(text)?.[1] ?? ''
}
const last = 12

/** Heartbeats are too rare to push bytes through a buffer, or to keep a connection from its timeout. */
async function open(transport: TransportName | 'auto', locations: (server: string) => string) {
  const world = await startWorld({ heartbeatMs: 25_000 })
  const url = await startNginx(locations(world.proxy.url))
  const client = connect(url, {
    transport,
    isTwoWay: true,
    timings: { ...quickTimings('auto'), firstBytesMs: 5000, silenceMs: 60_000 },
  })
  onTestFinished(() => client.close())
  return { ...world, client, url }
}

const onlyPassing = (server: string) => `location / { proxy_pass ${server}; }`
const asInTheGuide = (server: string) => guide().replaceAll('http://127.0.0.1:4600', server)

/** Each number is written when the one before was read: a buffered one is the last. */
async function readOneByOne(client: Client, counter: { letTo(number: number): void }): Promise<number[]> {
  const session = client.session()
  await session.run({ query: `${last}` })
  counter.letTo(1)
  return readNumbers(session, (number) => counter.letTo(number + 1))
}

describe('behind nginx', () => {
  it.each(['sse', 'poll'] as const)(
    'that only passes on, and buffers and packs, %s brings each word when it is said',
    async (transport) => {
      const { client, counter, url, millrace } = await open(transport, onlyPassing)
      expect(await readOneByOne(client, counter)).toEqual(oneTo(last))
      // It does both by default.
      const { id } = client.session('s')
      await millrace.engine.append(id, [])
      const answer = await fetch(`${url}/api/sessions/${id}`, { headers: { 'accept-encoding': 'gzip' } })
      expect([answer.headers.get('server'), answer.headers.get('content-encoding')]).toEqual([
        expect.stringMatching(/^nginx/),
        'gzip',
      ])
    },
  )

  it('without the Upgrade header, a client that would use a WebSocket asks and reads without', async () => {
    const { client, counter } = await open('auto', onlyPassing)
    expect(client.explainTransport().transport).toBe('ws')
    expect(await readOneByOne(client, counter)).toEqual(oneTo(last))
    expect(client.explainTransport()).toMatchObject({ transport: 'sse', reason: expect.stringContaining('ws is avoided') })
  })

  it.each(['sse', 'ws', 'hybrid', 'poll'] as const)(
    'as the guide sets it, %s brings each word when it is said',
    async (transport) => {
      const { client, counter, millrace } = await open(transport, asInTheGuide)
      const states = new Set<string>()
      client.connection.subscribe(({ state }) => states.add(state))
      expect(await readOneByOne(client, counter)).toEqual(oneTo(last))
      expect(states).not.toContain('reconnecting')
      const sockets = millrace.listConnections().filter((connection) => connection.transport === 'ws')
      expect(sockets).toHaveLength(transport === 'ws' || transport === 'hybrid' ? 1 : 0)
    },
  )

  it.each(['sse', 'ws', 'hybrid', 'poll'] as const)(
    'that closes connections after a second of silence, %s resumes',
    async (transport) => {
      const short = (server: string) => asInTheGuide(server).replaceAll('60s', '1s')
      const { client, counter } = await open(transport, short)
      const session = client.session()
      await session.run({ query: `${last}` })
      counter.letTo(4)
      const numbers = await readNumbers(session, async (number) => {
        if (number !== 4) return
        await status(client, ({ state }) => state === 'reconnecting')
        counter.letTo(last)
      })
      expect(numbers).toEqual(oneTo(last))
    },
  )
})

it('with the settings of the guide, a native EventSource reconnects after the server was down', async () => {
  const { proxy, millrace } = await startWorld({ heartbeatMs: 25_000 })
  const url = await startNginx(asInTheGuide(proxy.url))
  await millrace.engine.append('s', [])
  const page = await (await launchChromium()).newPage()
  await page.goto(`${url}/api/models`)
  const statuses: number[] = []
  page.on('response', (response) => void statuses.push(response.status()))
  const read = page.evaluate(
    () =>
      new Promise<string>((resolve, reject) => {
        const source = new EventSource('/api/stream?session=s')
        source.addEventListener('message', ({ data }) => resolve(JSON.parse(data).text))
        source.addEventListener('error', () => source.readyState === 2 && reject(new Error('closed permanently')))
      }),
  )
  await expect.poll(() => millrace.connections).toBe(1)
  proxy.refuse(true)
  proxy.cut()
  await expect.poll(() => statuses.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(2)
  // A client that is not an EventSource gets the real status.
  expect((await fetch(`${url}/api/models`)).status).toBe(502)
  expect((await fetch(`${url}/api/chat`, { method: 'POST', headers: { accept: 'text/event-stream' } })).status).toBe(502)
  proxy.refuse(false)
  await millrace.run({ session: 's', source: ['there'] })
  expect(await read).toBe('there')
})

it('the guide has the same nginx settings in both languages', () => {
  expect(guide('.zh-CN')).toBe(guide())
})
