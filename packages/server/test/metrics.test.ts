/** `GET /metrics`: who may read it, and what it counts. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createMillrace } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'

/** By the line up to its value. */
async function scrape(url: string, headers: Record<string, string> = {}): Promise<Map<string, number>> {
  const response = await fetch(`${url}/metrics`, { headers })
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1))]
    }),
  )
}

const adminKey = 'an-admin-key-of-the-test'

it.each([Number.NaN, -1, 65_536, 1.5])('%d is no port for metrics, nor for the server', async (port) => {
  const sentence = `port is ${port} and must be a whole number from 0 to 65,535.`
  expect(() => createMillrace({ metrics: { port } })).toThrow(new TypeError(`metrics.${sentence}`))
  const millrace = createMillrace()
  onTestFinished(() => millrace.close())
  await expect(millrace.listen({ port })).rejects.toThrow(new TypeError(sentence))
})

describe('metrics', () => {
  it('count connections, runs, tokens and what is delivered', async () => {
    const { url } = await startServer()
    await (await postJson(`${url}/api/chat`, { query: 'q' })).text()
    const socket = await openSocket(url)
    socket.send({ query: 'q', models: ['sim:count?n=3&tps=0', 'sim:fail'] })
    await socket.until(({ status }) => status !== undefined)
    // A client can have the end of its run before the run is counted.
    await expect.poll(async () => (await scrape(url)).get('millrace_runs_total{status="completed"}')).toBe(2)
    const metrics = await scrape(url)
    const expected = {
      'millrace_connections{transport="ws",state="open"}': 1,
      'millrace_connections{transport="sse",state="open"}': 0,
      'millrace_connections_opened_total{transport="sse"}': 1,
      'millrace_connections_closed_total{transport="sse",code="ended"}': 1,
      'millrace_runs_total{status="completed"}': 2,
      millrace_runs_active: 0,
      'millrace_first_token_seconds_count{model="sim:count"}': 2,
      'millrace_tokens_total{model="sim:count",type="output"}': 8,
      'millrace_lanes_total{model="sim:fail",status="failed"}': 1,
      millrace_sessions_created_total: 2,
      'millrace_resumes_total{result="exact"}': 0,
    }
    for (const [line, value] of Object.entries(expected)) expect([line, metrics.get(line)]).toEqual([line, value])
    expect(metrics.get('millrace_delivered_events_total')).toBeGreaterThanOrEqual(14)
    expect(metrics.get('millrace_delivery_seconds_count')).toBeGreaterThan(0)
    expect(metrics.get('millrace_received_bytes_total{transport="ws"}')).toBeGreaterThan(0)
    expect(metrics.get('millrace_engine_seconds_count{operation="append"}')).toBeGreaterThan(0)
    expect(metrics.get('process_resident_memory_bytes')).toBeGreaterThan(1e6)
  })

  it('name no model that only a client thought of', async () => {
    const { url } = await startServer({ modelsByName: ['*'] })
    for (let n = 1; n <= 5; n++) {
      const { run } = await startRun(url, { query: 'q', model: `sim:count?n=${n}&tps=0` })
      await (await fetch(`${url}/api/runs/${run}/stop`, { method: 'POST' })).text()
    }
    const models = new Set([...(await scrape(url)).keys()].flatMap((line) => /model="([^"]*)"/.exec(line)?.[1] ?? []))
    expect([...models]).toEqual(['sim:count'])
  })

  it('are for the machine of an open server, and not for what a proxy passes on', async () => {
    const { url } = await startServer()
    await scrape(url)
    for (const header of ['x-forwarded-for', 'forwarded', 'via']) {
      const response = await fetch(`${url}/metrics`, { headers: { [header]: 'for=203.0.113.7' } })
      expect([header, response.status]).toEqual([header, 403])
    }
  })

  it('need the permission where there is authentication', async () => {
    const { url, millrace } = await startServer({ access: { adminKey, allowAnonymous: true } })
    expect((await fetch(`${url}/metrics`)).status).toBe(401)
    const { key } = await millrace.keys.create({ name: 'other', may: ['session.read'] })
    expect((await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${key}` } })).status).toBe(403)
    await scrape(url, { authorization: `Bearer ${adminKey}` })
  })

  it('have a port of their own, and then no other address', async () => {
    const millrace = createMillrace({ metrics: { port: 0 }, access: { adminKey } })
    onTestFinished(() => millrace.close())
    const { url, metricsUrl = '' } = await millrace.listen({ port: 0 })
    const own = new URL(metricsUrl).origin
    expect((await scrape(own)).get('millrace_runs_active')).toBe(0)
    expect(await (await fetch(`${own}/readyz`)).json()).toMatchObject({ status: 'ready' })
    expect((await fetch(`${own}/api/models`)).status).toBe(404)
    expect((await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${adminKey}` } })).status).toBe(404)
  })

  it('are left to a host that has its own, and can be read by it', async () => {
    const { millrace } = await startServer()
    const host = createServer((request, response) => millrace.handler(request, response, () => response.end('own')))
    onTestFinished(() => void host.close())
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve))
    const { port } = host.address() as AddressInfo
    expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toBe('own')
    expect(await millrace.metrics?.metrics()).toContain('millrace_runs_active 0')
  })

  it('can be turned off', async () => {
    const { url, millrace } = await startServer({ metrics: { enabled: false } })
    expect(millrace.metrics).toBeUndefined()
    expect((await fetch(`${url}/metrics`)).status).toBe(404)
  })
})

describe('GET /readyz', () => {
  it('fails with the engine, which /healthz does not ask', async () => {
    const { memoryEngine } = await import('millrace')
    const engine = memoryEngine()
    let isAway = false
    const inspect: typeof engine.inspect = async (log) => {
      if (isAway) throw new Error('away')
      return engine.inspect(log)
    }
    const { url } = await startServer({ engine: { ...engine, inspect } })
    expect(await (await fetch(`${url}/readyz`)).json()).toMatchObject({ status: 'ready', lagMs: expect.any(Number) })
    isAway = true
    const response = await fetch(`${url}/readyz`)
    expect([response.status, await response.json()]).toMatchObject([503, { status: 'engine_failed' }])
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  it('reports that the server stops', async () => {
    const millrace = createMillrace({ model: 'sim:count' })
    const closing = millrace.close()
    const response = await millrace.fetch(new Request('http://host/readyz'))
    expect([response.status, await response.json()]).toMatchObject([503, { status: 'stopping' }])
    await closing
  })
})
