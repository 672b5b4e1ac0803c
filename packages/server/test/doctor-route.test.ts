/** `GET /api/doctor`, which everybody may read: its times, what it says, and its bounds. */
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, it, onTestFinished } from 'vitest'
import { startServer } from './support/server.ts'
import { openStream } from './support/stream.ts'
import { secret } from './support/tokens.ts'

const withLogin = { access: { tokens: { secret }, trustedProxies: ['127.0.0.1'] } }

it('sends events at known times, to everybody, and then ends', async () => {
  const { url } = await startServer(withLogin)
  const stream = await openStream(`${url}/api/doctor`)
  const [seen, ...events] = await stream.rest()
  expect(seen?.event).toBe('seen')
  expect(events.map(({ event }) => event)).toEqual(['tick', 'tick', 'tick', 'tick', 'tick'])
  const times = [seen, ...events].map((event) => (JSON.parse(event?.data ?? '') as { time: number }).time)
  expect((times.at(-1) as number) - (times[0] as number)).toBeGreaterThanOrEqual(1400)
})

it('says which headers arrived, and none of their values', async () => {
  const { url } = await startServer(withLogin)
  const read = async (headers: Record<string, string>) => {
    const stream = await openStream(`${url}/api/doctor`, { headers })
    const { data } = await stream.next()
    stream.close()
    expect(data).not.toContain('4711')
    const { version: _version, time: _time, ...seen } = JSON.parse(data) as Record<string, unknown>
    return seen
  }
  const nothing = { heartbeatMs: 15_000, lastEventId: false, authorization: false, forwardedFor: 'absent', isSecure: false }
  expect(await read({})).toEqual(nothing)
  const all = {
    'last-event-id': '4711',
    authorization: 'Bearer 4711',
    'x-forwarded-for': '47.1.1.4711',
    'x-forwarded-proto': 'https',
  }
  const arrived = { ...nothing, lastEventId: true, authorization: true, isSecure: true }
  expect(await read(all)).toEqual({ ...arrived, forwardedFor: 'ignored' })
  expect(await read({ ...all, 'x-forwarded-for': '10.1.1.1, 6.6.6.6' })).toEqual({ ...arrived, forwardedFor: 'believed' })
})

it('can say nothing for as long as a heartbeat takes', async () => {
  const { url } = await startServer({ heartbeatMs: 700 })
  const [seen, tick, ...more] = await (await openStream(`${url}/api/doctor?check=silence`)).rest()
  const [from, to] = [seen, tick].map((event) => (JSON.parse(event?.data ?? '') as { time: number }).time)
  expect((to as number) - (from as number)).toBeGreaterThanOrEqual(695)
  expect(more).toEqual([])
})

it('is a connection, bounded in number, and its place is free when its client leaves', async () => {
  const { url, millrace } = await startServer()
  const open = async () => (await openStream(`${url}/api/doctor?check=silence`)).close
  const opened = await Promise.all(Array.from({ length: 32 }, open))
  expect(millrace.listConnections()).toHaveLength(32)
  const surplus = await fetch(`${url}/api/doctor`)
  expect([surplus.status, await surplus.json()]).toMatchObject([429, { error: { code: 'too_many_connections' } }])
  for (const close of opened) close()
  await expect.poll(() => millrace.connections).toBe(0)
  expect((await fetch(`${url}/api/doctor`, { method: 'HEAD' })).status).toBe(200)
  await (await openStream(`${url}/api/doctor`)).next()
})

it('is closed like every other connection, with the reason, and does not delay the stop of the server', async () => {
  const { url, millrace } = await startServer()
  const stream = await openStream(`${url}/api/doctor?check=silence`)
  await stream.next()
  const [connection] = millrace.listConnections()
  millrace.closeConnections({ id: connection?.id ?? '' }, 'connection_closed')
  expect((await stream.rest()).map(({ event, data }) => [event, JSON.parse(data).error.code])).toEqual([
    ['error', 'connection_closed'],
  ])
  await (await openStream(`${url}/api/doctor?check=silence`)).next()
  await millrace.close()
})

it('is not for pages of other sites, and starts nothing for a name that only looks like it', async () => {
  const { url } = await startServer(withLogin)
  const status = async (path: string, headers = {}) => (await fetch(`${url}${path}`, { headers })).status
  expect(await status('/api/doctor', { origin: 'https://evil.example' })).toBe(403)
  for (const path of ['/api/doctor/x', '/api/doctor;/../models', '/api//doctor'])
    expect([path, await status(path)]).toEqual([path, 401])
})

it('serves hosts of the web standard too', async () => {
  const { millrace } = await startServer({ heartbeatMs: 100 })
  const response = await millrace.fetch(new Request('http://localhost/api/doctor?check=silence'))
  expect(await response.text()).toMatch(/^: +\n\nevent: seen\ndata: {.*}\n\nevent: tick\ndata: {"time":\d+}\n\n$/)
  expect(millrace.connections).toBe(0)
})

it('costs less than two kilobytes', async () => {
  const { port } = await startServer({ heartbeatMs: 100 })
  const sent = request({ port, path: '/api/doctor?check=pace', headers: { 'last-event-id': 'x'.repeat(8000) } }).end()
  onTestFinished(() => void sent.destroy())
  const body = await new Promise<string>((resolve) => sent.once('response', (response) => resolve(text(response))))
  expect(body.length).toBeLessThan(2000)
})
