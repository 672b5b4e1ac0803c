/**
 * Floods and slow clients from one address. Each test prints what a user at another address noticed, and how much memory the
 * server took: it is bounded, whatever the attacker sends.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  type Attacker,
  attack,
  closeCodeIn,
  frame,
  handshake,
  httpRequest,
  pour,
  print,
  startTarget,
  tally,
} from './support/attack.ts'

const many = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n))
const gone = (attackers: readonly Attacker[]) => Promise.all(attackers.map(({ closed }) => closed))
const publish = (data: string) =>
  httpRequest('POST /api/publish', { 'content-type': 'application/json' }, JSON.stringify({ channel: 'attack', data }))

async function openSockets(port: number, count: number, options = {}): Promise<Attacker[]> {
  const attackers = many(count, () => attack(port, options))
  for (const { socket } of attackers) socket.write(handshake)
  await Promise.all(attackers.map(({ socket }) => once(socket, 'connect')))
  return attackers
}

describe('a flood over WebSockets', () => {
  it.each([
    ['messages', frame(Buffer.from('{"type":"ping"}'))],
    ['pings', frame(Buffer.alloc(0), 9)],
  ])('by the number of %s is closed with 4429', async (what, each) => {
    const { port, check } = await startTarget()
    const attackers = await openSockets(port, 20)
    await Promise.all(attackers.map((attacker) => pour(attacker, Buffer.concat(many(500, () => each)))))
    for (const { text } of attackers) expect(closeCodeIn(text())).toBe(4429)
    await check(`20 floods of ${what}`)
  })

  it('by bytes is closed with 4429', async () => {
    const { port, check } = await startTarget()
    const attackers = await openSockets(port, 10)
    const message = frame(Buffer.from(JSON.stringify({ type: 'ping', padding: 'x'.repeat(200_000) })))
    await Promise.all(attackers.map((attacker) => pour(attacker, message)))
    for (const { text } of attackers) expect(closeCodeIn(text())).toBe(4429)
    await check('10 floods of 200 KB messages')
  })

  it('of pings whose pongs nobody reads ends too', async () => {
    const { port, check } = await startTarget()
    const attackers = await openSockets(port, 20, { isReading: false })
    const pings = Buffer.concat(many(500, () => frame(Buffer.alloc(125), 9)))
    await Promise.race([Promise.all(attackers.map((attacker) => pour(attacker, pings, 50_000_000))), sleep(10_000)])
    await check('20 floods of unread pings')
  })

  it('of handshakes is rejected with 429, and other addresses connect', async () => {
    const { port, check } = await startTarget({ handshakesPerAddress: 20 })
    const texts: string[] = []
    for (let n = 0; n < 30; n++) {
      const attackers = many(100, () => attack(port))
      for (const { socket } of attackers) socket.end(handshake)
      await gone(attackers)
      texts.push(...attackers.map(({ text }) => text()))
    }
    const counts = tally(texts.join(''))
    expect(counts['101']).toBeGreaterThanOrEqual(200)
    expect(counts['429 rate_limited']).toBeGreaterThan(2000)
    expect(texts.at(-1)).toMatch(/retry-after: \d+/)
    await check('3,000 handshakes')
  })
})

describe('a flood over HTTP', () => {
  it.each([
    ['requests', { requestsPerAddress: 20 }, publish('x')],
    ['bytes', { bytesPerAddress: 100_000 }, publish('x'.repeat(900_000))],
  ])('by %s is rejected with 429', async (what, limits, request) => {
    const { port, check } = await startTarget(limits)
    const bytes = Buffer.from(request.repeat(Math.ceil(20_000 / request.length)))
    const texts: string[] = []
    const until = performance.now() + 2500
    // Each connects again as soon as it is closed.
    const flood = async () => {
      while (performance.now() < until) {
        const attacker = attack(port)
        const late = setTimeout(() => attacker.socket.destroy(), Math.max(1, until - performance.now()))
        await pour(attacker, bytes)
        await attacker.closed
        clearTimeout(late)
        texts.push(attacker.text())
      }
    }
    await Promise.all(many(20, flood))
    const counts = tally(texts.join(''))
    expect(counts['429 rate_limited']).toBeGreaterThan(10)
    expect(counts['200'] ?? 0).toBeLessThan(400)
    await check(`20 floods of ${what}`)
  })

  it('with positions that are too long is rejected', async () => {
    const { port, check } = await startTarget()
    const texts = await Promise.all(
      many(500, async (n) => {
        const id = (n % 2 === 0 ? '9' : 'x').repeat(n % 3 === 0 ? 60_000 : 15_000)
        const attacker = attack(port)
        attacker.socket.end(httpRequest('GET /api/stream?channel=attack', { 'last-event-id': id, connection: 'close' }))
        await attacker.closed
        return attacker.text()
      }),
    )
    const counts = tally(texts.join(''))
    expect(Object.keys(counts).toSorted()).toEqual(['400 position_invalid', '431 headers_too_large'])
    await check('500 positions of 15 and 60 KB')
  })
})

it('2,000 connections from one address are bounded, while another address works', async () => {
  const { port, check } = await startTarget({ connectionsPerAddress: 500 })
  const attackers: Attacker[] = []
  // More at once overflow the kernel's queue, and those that it drops come again after up to 31 s.
  for (let group = 0; group < 8; group++) {
    const connecting = many(250, () => attack(port))
    await Promise.all(connecting.map(({ socket }) => once(socket, 'connect')))
    attackers.push(...connecting)
  }
  for (const { socket } of attackers) socket.write(httpRequest('GET /api/stream?channel=attack&from=now'))
  await expect.poll(() => attackers.filter(({ text }) => text() !== '').length, { timeout: 20_000 }).toBe(2000)
  expect(tally(attackers.map(({ text }) => text()).join(''))).toEqual({ '200': 500, '429 too_many_connections': 1500 })
  await check('2,000 connections')
})

describe('slow clients are closed', () => {
  it('300 that send their headers byte by byte, within 15 s', async () => {
    const { port, check } = await startTarget()
    const startedAt = performance.now()
    const attackers = many(300, () => attack(port))
    for (const { socket } of attackers) socket.write('GET /api/models HTTP/1.1\r\nx: ')
    const dripping = setInterval(() => attackers.forEach(({ socket }) => void (socket.writable && socket.write('x'))), 500)
    await gone(attackers)
    clearInterval(dripping)
    const tookMs = performance.now() - startedAt
    print(`300 slow headers: all gone after ${(tookMs / 1000).toFixed(1)} s`)
    expect(tookMs).toBeLessThan(15_000)
    await check('300 slow headers')
  })

  it('300 that send their body byte by byte', async () => {
    const { port, check } = await startTarget({ requestMs: 4000 })
    const startedAt = performance.now()
    const attackers = many(300, () => attack(port))
    const head = httpRequest('POST /api/publish', { 'content-type': 'application/json', 'content-length': '1000' })
    for (const { socket } of attackers) socket.write(head)
    const dripping = setInterval(() => attackers.forEach(({ socket }) => void (socket.writable && socket.write('x'))), 500)
    await gone(attackers)
    clearInterval(dripping)
    const tookMs = performance.now() - startedAt
    print(`300 slow bodies, with 4 s for a request: all gone after ${(tookMs / 1000).toFixed(1)} s`)
    expect(tookMs).toBeLessThan(12_000)
    await check('300 slow bodies')
  }, 60_000)

  it('100 that take no byte of large responses', async () => {
    const { url, port, check } = await startTarget({ writeMs: 3000 })
    const headers = { 'content-type': 'application/json', accept: 'application/json' }
    const body = JSON.stringify({ query: 'x', model: 'sim:count?n=20000&tps=0' })
    const asked = await fetch(`${url}/api/chat`, { method: 'POST', headers, body })
    const { session, run } = (await asked.json()) as { session: string; run: string }
    const state = async () => JSON.stringify(await (await fetch(`${url}/api/sessions/${session}`)).json())
    await expect.poll(state, { timeout: 30_000, interval: 500 }).toContain('"status":"completed"')
    expect(run).toBeTypeOf('string')
    const attackers = many(100, () => attack(port, { isReading: false }))
    for (const { socket } of attackers) socket.write(httpRequest(`GET /api/sessions/${session}`).repeat(60))
    const startedAt = performance.now()
    // A client that sends without reading is not excused, and notices by it that it was closed.
    const knocking = setInterval(() => attackers.forEach(({ socket }) => void (socket.writable && socket.write('\r\n'))), 500)
    await gone(attackers)
    clearInterval(knocking)
    const tookMs = performance.now() - startedAt
    print(`100 unread responses, with 3 s to write: all gone after ${(tookMs / 1000).toFixed(1)} s`)
    expect(tookMs).toBeLessThan(15_000)
    await check('100 unread responses')
  }, 60_000)
})
