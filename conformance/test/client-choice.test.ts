/** `auto` in networks that treat transports differently: what it leaves, how soon, and when it comes back. */
import { setTimeout } from 'node:timers/promises'
import { type Client, type ConnectOptions, connect } from '@millrace/client'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { oneTo, quickTimings, readNumbers, startWorld, status } from '../src/client/world.ts'
import { type Middlebox, startMiddlebox } from './support/middlebox.ts'

const isUpgrade = (head: string) => /^upgrade: websocket/im.test(head)
const isStream = (head: string) => head.startsWith('GET /api/stream?') && !head.includes('live=poll')

/**
 * The default timings give about a second for each transport that stays silent, three in all: link-state.test.ts counts
 * them. Here a busy machine may take longer, but a client that waited until it gave up would take much longer still.
 */
const patient = { firstBytesMs: 60_000 }
const soonMs = 12_000

async function startNetwork() {
  const world = await startWorld()
  const box: Middlebox = await startMiddlebox(world.proxy.url)
  onTestFinished(() => box[Symbol.asyncDispose]())
  const join = (options: ConnectOptions): Client => {
    const client = connect(box.url, options)
    onTestFinished(() => client.close())
    return client
  }
  return { ...world, box, join }
}

describe('a network that blocks a WebSocket', () => {
  const answers = ['HTTP/1.1 200 OK', 'HTTP/1.1 400 Bad Request', 'HTTP/1.1 426 Upgrade Required']

  it.each([...answers, ''])('is read over SSE soon, long before the WebSocket would be given up: %s', async (answer) => {
    const { box, join, millrace } = await startNetwork()
    box.answer((head) => (isUpgrade(head) ? answer && `${answer}\r\ncontent-length: 0\r\n\r\n` : undefined))
    await millrace.engine.append('s', [])
    const client = join({ isTwoWay: true, timings: patient })
    const began = performance.now()
    void client.session('s').events().next()
    await status(client, ({ state, transport }) => state === 'live' && transport === 'sse')
    expect(performance.now() - began).toBeLessThan(soonMs)
    expect(client.explainTransport()).toMatchObject({ transport: 'sse', reason: expect.stringContaining('ws is avoided') })
  })

  it('and streams, too, is read by long-poll soon, and asked by POST', async () => {
    const { box, join, counter } = await startNetwork()
    box.answer((head) => (isUpgrade(head) || isStream(head) ? '' : undefined))
    const client = join({ isTwoWay: true, timings: patient })
    const session = client.session()
    const began = performance.now()
    const reading = readNumbers(session)
    const run = session.run({ query: '5' })
    await status(client, ({ state, transport }) => state === 'live' && transport === 'poll')
    await run
    expect(performance.now() - began).toBeLessThan(soonMs)
    expect(client.explainTransport().reason).toMatch(/; ws is avoided: .*; sse is avoided: /)
    counter.letTo(5)
    expect(await reading).toEqual(oneTo(5))
  })

  it('is tried again later, in mid-answer', async () => {
    const { box, join, counter } = await startNetwork()
    let isBlocked = true
    box.answer((head) => (isUpgrade(head) && isBlocked ? `${answers[1]}\r\ncontent-length: 0\r\n\r\n` : undefined))
    const client = join({ isTwoWay: true, timings: { ...quickTimings('auto'), avoidMs: 150 } })
    const session = client.session()
    await session.run({ query: '9' })
    counter.letTo(3)
    const numbers = await readNumbers(session, async (number) => {
      if (number !== 3) return
      await status(client, ({ state, transport }) => state === 'live' && transport === 'sse')
      counter.letTo(6)
      isBlocked = false
      await status(client, ({ state, transport }) => state === 'live' && transport === 'ws')
      expect(client.explainTransport()).toEqual({ transport: 'ws', reason: 'traffic goes both ways' })
      counter.letTo(9)
    })
    expect(numbers).toEqual(oneTo(9))
  })

  it('is left also by a client that only publishes', async () => {
    const { box, join } = await startNetwork()
    box.answer((head) => (isUpgrade(head) ? '' : undefined))
    const client = join({ isTwoWay: true, timings: { slowMs: 50 } })
    expect(await client.channel('c').publish(1)).toMatchObject({ duplicate: false })
    await expect.poll(() => client.explainTransport().transport).toBe('sse')
  })
})

describe('a proxy that hands on in bursts', () => {
  it('is left for long-poll, remembered, and tried again when it has bettered itself', async () => {
    const { box, join, counter } = await startNetwork()
    const client = join({ timings: { ...quickTimings('auto'), lateMs: 120, avoidMs: 400 } })
    const session = client.session()
    await session.run({ query: '9' })
    counter.letTo(3)
    box.flushEvery(250)
    const numbers = await readNumbers(session, async (number) => {
      if (number !== 3) return
      await status(client, ({ state, transport }) => state === 'live' && transport === 'poll')
      expect(client.explainTransport().reason).toMatch(/sse is avoided: .*holds events back/)
      counter.letTo(6)
      box.flushEvery(0)
      await status(client, ({ state, transport }) => state === 'live' && transport === 'sse')
      counter.letTo(9)
    })
    expect(numbers).toEqual(oneTo(9))
  })
})

describe('a client that only sends', () => {
  it('sends everything over one WebSocket where that is chosen', async () => {
    const { connect: join, proxy } = await startWorld()
    const client = join('auto', { isTwoWay: true, timings: {} })
    for (const number of oneTo(5)) await client.channel('c').publish(number)
    expect(proxy.accepted).toBe(1)
  })
})

describe('a machine whose clock jumps', () => {
  it.each([2, -2])('reads on as if nothing had happened: %s hours', async (hours) => {
    const { connect: join, counter, proxy } = await startWorld()
    const client = join('sse', { timings: { ...quickTimings('sse'), silenceMs: 2000 } })
    const session = client.session()
    await session.run({ query: '6' })
    const now = Date.now
    onTestFinished(() => void vi.restoreAllMocks())
    counter.letTo(3)
    const numbers = await readNumbers(session, async (number) => {
      if (number !== 3) return
      const accepted = proxy.accepted
      vi.spyOn(Date, 'now').mockImplementation(() => now() + hours * 3600_000)
      // Longer than a silence may be.
      const change = status(client, ({ state }) => state !== 'live')
      expect(await Promise.race([change, setTimeout(2200, 'none')])).toBe('none')
      expect(proxy.accepted).toBe(accepted)
      counter.letTo(6)
    })
    expect(numbers).toEqual(oneTo(6))
  })
})

describe('a change of the transport', () => {
  it('goes on over the old one until the new one has caught up, though that is open', async () => {
    const { connect: join, counter } = await startWorld()
    const isSix = Promise.withResolvers<void>()
    const isThrough = Promise.withResolvers<void>()
    const isOpen = Promise.withResolvers<void>()
    const client = join('ws', {
      async fetch(address, request) {
        const response = await fetch(address, request)
        if (!isStream(`GET ${(address as URL).pathname}${(address as URL).search}`)) return response
        // It begins at 3, opens when 6 has been read, and then holds everything back.
        await isSix.promise
        const hold = new TransformStream<Uint8Array, Uint8Array>({
          async transform(chunk, controller) {
            controller.enqueue(chunk.subarray(0, 8))
            isOpen.resolve()
            await isThrough.promise
            controller.enqueue(chunk.subarray(8))
          },
        })
        return new Response(response.body?.pipeThrough(hold) ?? null, response)
      },
      timings: { ...quickTimings('ws'), firstBytesMs: 5000, silenceMs: 5000 },
    })
    const session = client.session()
    await session.run({ query: '12' })
    counter.letTo(3)
    const states: string[] = []
    client.connection.subscribe(({ state, transport }) => states.push(`${state} ${transport}`))
    const numbers = await readNumbers(session, async (number) => {
      if (number === 3) client.setTransport('sse')
      if (number === 3) counter.letTo(6)
      if (number === 6) {
        isSix.resolve()
        await isOpen.promise
        counter.letTo(9)
      }
      if (number === 9) {
        expect(states.at(-1)).toBe('catching-up ws')
        isThrough.resolve()
        await status(client, ({ state, transport }) => state === 'live' && transport === 'sse')
        counter.letTo(12)
      }
    })
    expect(numbers).toEqual(oneTo(12))
  })
})
