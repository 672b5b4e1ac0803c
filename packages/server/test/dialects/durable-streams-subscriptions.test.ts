/** Subscriptions of Durable Streams: what the suite of the protocol does not ask for. */
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { type Engine, memoryEngine, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { makeFolder } from '../support/process.ts'
import { bearer } from '../support/tokens.ts'
import { acknowledge, actionOf, callBack, open, pull, webhook } from './support/subscribing.ts'
import { saying, startReceiver, type Wake } from './support/webhook-receiver.ts'

/** Calls of several servers come between each other, as over a network. */
function farEngine(): Engine {
  const inner = memoryEngine()
  const pass = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 3))
  return {
    ...inner,
    append: async (...batch) => {
      await pass()
      const appended = await inner.append(...batch)
      await pass()
      return appended
    },
    inspect: async (log) => {
      const state = await inner.inspect(log)
      await pass()
      return state
    },
  }
}

/** Time passes only by the function that is returned. */
function stopClock(): (milliseconds: number) => void {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  return (milliseconds) => void vi.setSystemTime(Date.now() + milliseconds)
}

describe('a webhook', () => {
  it('is signed with a key that all servers of the engine publish', async () => {
    const engine = memoryEngine()
    const [one, other] = [await open({ engine }), await open({ engine })]
    const receiver = await startReceiver()
    await one.subscribe('a', webhook(receiver))
    await other.append('jobs/1', { n: 1 })
    const { text, headers } = await receiver.next()
    const [, time, kid, signature = ''] =
      /^t=(\d+),kid=([^,]+),ed25519=([\w-]+)$/.exec(String(headers['webhook-signature'])) ?? []
    const keys = await Promise.all(
      [one, other].map(
        async ({ url }) =>
          (await (await fetch(`${url}/ds/streams/__ds/jwks.json`)).json()) as { keys: (JsonWebKey & { kid: string })[] },
      ),
    )
    expect(keys[0]).toEqual(keys[1])
    const jwk = keys[0]?.keys[0]
    expect(jwk?.kid).toBe(kid)
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    expect(verify(null, Buffer.from(`${time}.${text}`), key, Buffer.from(signature, 'base64url'))).toBe(true)
    expect(jwk).not.toHaveProperty('d')
  })

  it('that failed is sent again, the same wake, also by a server that starts later', async () => {
    const folder = makeFolder()
    let isBroken = true
    const receiver = await startReceiver((response) =>
      (isBroken ? saying({}, 500) : saying({ done: true }))(response, {} as Wake),
    )
    const first = await open({ engine: sqliteEngine({ folder }) })
    await first.subscribe('a', webhook(receiver))
    await first.append('jobs/1', { n: 1 })
    const wake = await receiver.next()
    await expect.poll(async () => (await first.find('a')).status).toBe('failed')
    await first.millrace.close()
    isBroken = false
    const second = await open({ engine: sqliteEngine({ folder }) })
    const again = await receiver.next()
    expect([again.wake_id, again.generation]).toEqual([wake.wake_id, wake.generation])
    await expect.poll(async () => (await second.find('a')).streams[0]?.acked_offset).toBe(wake.streams[0]?.tail_offset)
    expect((await second.find('a')).status).toBe('active')
  })

  it('that is not called back about in time is followed by another, and rejected from then on', async () => {
    const later = stopClock()
    const { subscribe, append } = await open()
    const receiver = await startReceiver()
    await subscribe('a', webhook(receiver))
    await append('jobs/1', { n: 1 })
    const first = await receiver.next()
    later(30_000)
    const second = await receiver.next()
    expect(second.generation).toBe(first.generation + 1)
    expect(await callBack(first)).toMatchObject({ status: 409, body: { error: { code: 'FENCED' } } })
    expect(await callBack(second)).toMatchObject({ status: 200, body: { next_wake: false } })
  })

  it('says what is new after each that was acknowledged, and loses nothing', async () => {
    const engine = farEngine()
    const [one, other] = [await open({ engine }), await open({ engine })]
    const seen = new Map<string, string>()
    const receiver = await startReceiver((response, wake) => {
      for (const { path, acked_offset, tail_offset } of wake.streams) {
        // Each begins where the last one ended.
        if (acked_offset !== '-1') expect(acked_offset).toBe(seen.get(path))
        seen.set(path, tail_offset)
      }
      saying({ done: true })(response, wake)
    })
    await one.subscribe('a', webhook(receiver))
    for (let n = 0; n < 20; n++)
      await Promise.all([one, other].flatMap(({ append }) => [append('jobs/1', { n }), append(`jobs/${n}`, { n })]))
    const streams = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const { headers } = await fetch(`${one.url}/ds/streams/jobs/${n}`, { method: 'HEAD' })
        return [`jobs/${n}`, headers.get('stream-next-offset')]
      }),
    )
    await expect.poll(() => Object.fromEntries(seen)).toEqual(Object.fromEntries(streams))
    const wakes = receiver.received.map(({ generation }) => generation)
    expect(wakes).toEqual([...new Set(wakes)].sort((a, b) => a - b))
  })

  it('is sent for what was appended while no server had subscriptions switched on', async () => {
    const engine = memoryEngine()
    const receiver = await startReceiver(saying({ done: true }))
    const first = await open({ engine })
    await first.append('jobs/1', { n: 1 })
    await first.subscribe('a', webhook(receiver))
    const off = await open({ engine, durableStreams: { subscriptions: false } })
    await off.append('jobs/1', { n: 2 })
    expect(receiver.received).toEqual([])
    await open({ engine })
    expect(await receiver.next()).toMatchObject({ streams: [{ path: 'jobs/1', has_pending: true }] })
  })
})

describe('workers that pull', () => {
  it('learn of a wake when its stream exists, and one of them gets it', async () => {
    const client = await open({ engine: farEngine() })
    await client.subscribe('a', pull())
    await client.append('jobs/1', { n: 1 })
    await expect.poll(async () => (await client.find('a')).status).toBe('failed')
    await client.send('PUT', 'wakes', [])
    const read = async () => (await (await fetch(`${client.url}/ds/streams/wakes`)).json()) as object[]
    await expect.poll(read).toMatchObject([{ type: 'wake', subscription_id: 'a', stream: 'jobs/1', generation: 1 }])
    const claims = await Promise.all(['x', 'y', 'z'].map((worker) => client.send('POST', actionOf('a', 'claim'), { worker })))
    expect(claims.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409, 409])
    expect(claims.filter(({ status }) => status === 409).map(({ body }) => body.error.code)).toEqual(
      Array(2).fill('ALREADY_CLAIMED'),
    )
  })

  it('keep a wake as long as they say that they work on it, and not longer', async () => {
    const later = stopClock()
    const client = await open()
    await client.send('PUT', 'wakes', [])
    await client.subscribe('a', pull())
    await client.append('jobs/1', { n: 1 })
    const claim = (worker: string) => client.send('POST', actionOf('a', 'claim'), { worker })
    const { body: first } = await claim('x')
    const beat = () => acknowledge(client, 'a', first, { acks: [], done: false })
    for (let n = 0; n < 3; n++) {
      later(29_999)
      expect((await beat()).status).toBe(200)
    }
    expect((await claim('y')).status).toBe(409)
    later(30_000)
    expect(await beat()).toMatchObject({ status: 409, body: { error: { code: 'FENCED' } } })
    expect((await claim('y')).status).toBe(200)
  })

  it('are woken again after a release, and have nothing to claim after the last acknowledgement', async () => {
    const client = await open()
    await client.send('PUT', 'wakes', [])
    await client.subscribe('a', pull())
    await client.append('jobs/1', { n: 1 })
    const claim = async () => (await client.send('POST', actionOf('a', 'claim'), { worker: 'x' })).body
    const first = await claim()
    const { wake_id, generation, token } = first
    expect((await client.send('POST', actionOf('a', 'release'), { wake_id, generation }, bearer(token))).status).toBe(204)
    const second = await claim()
    expect(second.generation).toBe(generation + 1)
    await client.append('jobs/1', { n: 2 })
    expect((await acknowledge(client, 'a', second)).body.next_wake).toBe(true)
    const third = await claim()
    expect((await acknowledge(client, 'a', third)).body.next_wake).toBe(false)
    expect((await claim()) as object).toMatchObject({ error: { code: 'NO_PENDING_WORK' } })
  })

  it('acknowledge only what is there, and never backwards', async () => {
    const client = await open()
    await client.send('PUT', 'wakes', [])
    await client.subscribe('a', pull())
    const offsets: string[] = []
    for (const n of [1, 2, 3]) {
      await client.append('jobs/1', { n })
      const { headers } = await fetch(`${client.url}/ds/streams/jobs/1`, { method: 'HEAD' })
      offsets.push(headers.get('stream-next-offset') ?? '')
    }
    const { body: claim } = await client.send('POST', actionOf('a', 'claim'), { worker: 'x' })
    const ack = (offset: string, stream = 'jobs/1') =>
      acknowledge(client, 'a', claim, { acks: [{ stream, offset }], done: false })
    expect((await ack(offsets[1] as string)).status).toBe(200)
    const beyond = (offsets[2] as string).replace(/.$/, '9')
    for (const [offset, stream] of [[offsets[0]], ['-1'], ['x'], [beyond], [offsets[2], 'jobs/2']])
      expect(await ack(offset as string, stream)).toMatchObject({ status: 409, body: { error: { code: 'INVALID_OFFSET' } } })
    expect((await client.find('a')).streams).toEqual([{ path: 'jobs/1', link_type: 'glob', acked_offset: offsets[1] }])
  })
})

describe('the streams of a subscription', () => {
  it('that existed before begin at their end, others at their start', async () => {
    const { append, subscribe, find } = await open()
    const receiver = await startReceiver()
    await append('jobs/old', { n: 1 })
    await subscribe('a', webhook(receiver, { streams: ['mine'] }))
    await append('jobs/new', { n: 1 })
    const { streams } = await receiver.next()
    expect(streams.map(({ path, has_pending }) => [path, has_pending])).toEqual([
      ['mine', false],
      ['jobs/old', false],
      ['jobs/new', true],
    ])
    expect((await find('a')).streams.map(({ link_type }) => link_type)).toEqual(['explicit', 'glob', 'glob'])
  })

  it('that a client removes stay where the pattern has them, and those that are deleted go', async () => {
    const { append, subscribe, find, send } = await open()
    const receiver = await startReceiver(saying({ done: true }))
    await subscribe('a', webhook(receiver, { streams: ['jobs/1', 'mine'] }))
    await append('jobs/1', { n: 1 })
    await append('jobs/2', { n: 1 })
    for (const path of ['jobs/1', 'mine']) await send('DELETE', actionOf('a', `streams/${encodeURIComponent(path)}`))
    await send('DELETE', 'jobs/2')
    expect((await find('a')).streams.map(({ path, link_type }) => [path, link_type])).toEqual([['jobs/1', 'glob']])
  })

  it('are never those in which it announces its wakes', async () => {
    const client = await open()
    await client.send('PUT', 'jobs/wakes', [])
    await client.subscribe('a', pull({ wake_stream: 'jobs/wakes' }))
    await client.append('jobs/1', { n: 1 })
    const read = async () => (await (await fetch(`${client.url}/ds/streams/jobs/wakes`)).json()) as object[]
    await expect.poll(read).toHaveLength(1)
    expect((await client.find('a')).streams.map(({ path }) => path)).toEqual(['jobs/1'])
  })
})

it('a subscription and the key are written again before retention removes them', async () => {
  const later = stopClock()
  const { subscribe, find, millrace } = await open()
  await subscribe('a', pull())
  const before = await find('a')
  const heads = () =>
    Promise.all(
      ['subscription/of/a', 'subscription/key'].map(async (log) => (await millrace.engine.inspect(log))?.head.offset ?? 0),
    )
  const [of = 0, key = 0] = await heads()
  later(60 * 60_000)
  await expect.poll(heads).toEqual([of + 1, key + 1])
  expect(await find('a')).toEqual(before)
})
