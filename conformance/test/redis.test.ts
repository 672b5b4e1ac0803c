import { randomBytes } from 'node:crypto'
import { inflateSync } from 'node:zlib'
import { createClient } from '@redis/client'
import type { NewEvent } from 'millrace'
import { redisEngine } from 'millrace/redis'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { numbered, numbers, open, range, readAll, rejectionOf } from '../src/engine/support.ts'
import { engineConformance } from '../src/index.ts'
import { startRedis } from '../src/servers/redis.ts'

const redis = await startRedis()
afterAll(() => redis.close())
let engines = 0

async function connect(url: string) {
  const client = createClient({ url })
  onTestFinished(() => client.destroy())
  await client.connect()
  return client
}

/** An engine over a Redis of its own, and how often Redis has executed a command. */
async function openCounted() {
  const server = await startRedis()
  onTestFinished(() => server.close())
  const client = await connect(server.url)
  const calls = async (command: string) =>
    Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await client.info('commandstats'))?.[1] ?? 0)
  return { url: server.url, engine: await open(() => redisEngine({ url: server.url })), calls }
}

engineConformance({
  name: 'redis',
  make(limits) {
    engines += 1
    return redisEngine({ url: redis.url, prefix: `test-${engines}`, ...limits })
  },
})

describe('redis engine, beyond the contract of engines', () => {
  // What happened: a user without the right to INFO always got the error that Redis had not answered in time.
  it.each(['info', 'script|load'])('reports at once that %s is denied, and continues when it is allowed', async (command) => {
    const server = await startRedis()
    onTestFinished(() => server.close())
    await server.say(`ACL SETUSER app on >pass ~* &* +@all -${command}`)
    const engine = await open(() => redisEngine({ url: server.url.replace('//', '//app:pass@'), timeoutMs: 60_000 }))
    const name = command.toUpperCase().replace('|', ' ')
    const message = expect.stringMatching(`Redis denies ${name}.*NOPERM`)
    await expect(engine.append('a', numbered(1, 1))).rejects.toMatchObject({ code: 'engine_failed', message })
    await server.say(`ACL SETUSER app +${command}`)
    await expect.poll(() => rejectionOf(engine.append('a', numbered(1, 1), { key: '1' }))).toBe('resolved')
  })

  // What happened: appends queued without a bound behind a Redis that did not respond.
  it('rejects appends beyond the bound while Redis does not respond', async () => {
    const server = await startRedis()
    onTestFinished(() => server.close())
    const engine = await open(() => redisEngine({ url: server.url, timeoutMs: 60_000 }))
    await engine.append('a', [])
    process.kill(server.pid, 'SIGSTOP')
    // A mebibyte in base64.
    const file = { type: 'file', data: new Uint8Array(768 * 1024 - 100) }
    const appends = Array.from({ length: 20 }, () => rejectionOf(engine.append('a', [file])))
    expect(await Promise.all(appends.slice(16))).toEqual(Array(4).fill('engine_busy'))
    process.kill(server.pid, 'SIGCONT')
    expect(new Set(await Promise.all(appends.slice(0, 16)))).toEqual(new Set(['resolved']))
    expect((await engine.inspect('a'))?.head.offset).toBe(16)
  })

  // What happened: the appends to one log took one round trip each, so a channel had the rate of its distance from Redis.
  it('appends in one call what waits behind a call, within bounds', async () => {
    const { engine, calls } = await openCounted()
    await engine.append('a', numbered(1, 1))
    const before = await calls('evalsha')
    await Promise.all(range(2, 102).map((n) => engine.append('a', numbered(n, n), { key: `${n}` })))
    expect((await calls('evalsha')) - before).toBe(2)
    expect(numbers(await readAll(engine, 'a'))).toEqual(range(1, 102))
    const between = await calls('evalsha')
    await Promise.all(range(1, 9).map(() => engine.append('b', [{ type: 'm', data: 'x'.repeat(200 * 1024) }])))
    // One alone, then two in each call.
    expect((await calls('evalsha')) - between).toBe(5)
  })

  it('rejects of the appends that wait together only those for which a full Redis has no room', async () => {
    const { url, engine } = await openCounted()
    await engine.append('a', numbered(1, 1), { key: 'k' })
    await (await connect(url)).sendCommand(['CONFIG', 'SET', 'maxmemory', '1'])
    const alone = rejectionOf(engine.append('a', numbered(2, 2)))
    const together = [{}, { key: 'k' }, { unless: 'k' }, {}].map((options) =>
      rejectionOf(engine.append('a', numbered(2, 2), options)),
    )
    expect([await alone, ...(await Promise.all(together))]).toEqual(['log_full', 'log_full', 'resolved', 'fenced', 'log_full'])
  })

  it('reads what another node has appended from the notification, and larger batches with one call', async () => {
    const { url, engine, calls } = await openCounted()
    const reader = await open(() => redisEngine({ url }))
    const { position } = await engine.append('a', [])
    await reader.inspect('a')
    let bell = Promise.withResolvers<void>()
    reader.watch('a', () => bell.resolve())
    const client = await connect(url)
    await expect.poll(() => client.sendCommand(['PUBSUB', 'SHARDNUMSUB', '{millrace/a}'])).toEqual(['{millrace/a}', 1])
    let at = position
    const readNext = async (events: readonly NewEvent[]) => {
      bell = Promise.withResolvers()
      const append = engine.append('a', events)
      await bell.promise
      const page = await reader.read('a', at)
      at = page.position
      expect(page.events.map(({ type, data }) => ({ type, data }))).toEqual(events)
      expect(page.position).toEqual((await append).position)
    }
    const before = await calls('evalsha')
    for (const n of range(1, 20))
      await readNext([
        { type: 'm', data: `${n} \n "你好"` },
        { type: 'b', data: new Uint8Array([n, 10]) },
      ])
    expect([(await calls('evalsha')) - before, await calls('xrange')]).toEqual([20, 0])
    await readNext([{ type: 'm', data: 'x'.repeat(20_000) }])
    expect(await calls('xrange')).toBe(1)
  })

  it('reads all that inspect has shown, also where a notification was lost', async () => {
    const { url, engine } = await openCounted()
    const client = await connect(url)
    const { position } = await engine.append('a', numbered(1, 1))
    await client.xAdd('{millrace/a}:events', '2-0', { n: '1', t: `${Date.now()}`, d: '[["message",{"n":2}]]' })
    await client.hSet('{millrace/a}:meta', 'head', 2)
    expect((await engine.inspect('a'))?.head.offset).toBe(2)
    expect((await engine.read('a', { ...position, offset: 0 })).head.offset).toBe(2)
    expect(numbers(await readAll(engine, 'a'))).toEqual([1, 2])
  })

  it('does not show the events of a notification that arrives after the end of its log', async () => {
    const { url, engine } = await openCounted()
    const client = await connect(url)
    const { position } = await engine.append('a', numbered(1, 1))
    let bell = Promise.withResolvers<void>()
    engine.watch('a', () => bell.resolve())
    await expect.poll(() => client.sendCommand(['PUBSUB', 'SHARDNUMSUB', '{millrace/a}'])).toEqual(['{millrace/a}', 1])
    await engine.delete('a')
    bell = Promise.withResolvers()
    await client.sendCommand(['SPUBLISH', '{millrace/a}', `2 ${position.epoch} 0 ${Date.now()} [["message",{"n":2}]]`])
    await bell.promise
    expect(await rejectionOf(engine.read('a', position))).toBe('session_not_found')
  })

  // What happened: 84 pictures went into one pack, which blocked the event loop and was unpacked for each of its pages.
  it('packs at most about a page of events, and no files', async () => {
    const engine = await open(() => redisEngine({ url: redis.url, prefix: 'packs' }))
    const file = { type: 'file', data: randomBytes(100_000) }
    const words = Array.from({ length: 20 }, () => ({ type: 'm', data: 'y'.repeat(3000) }))
    for (let n = 0; n < 10; n++) {
      for (const word of words) await engine.append('a', [word])
      await engine.append('a', [{ type: 'm', data: 'about the file' }, file])
    }
    await engine.compact?.('a')
    const client = createClient({ url: redis.url })
    onTestFinished(() => client.destroy())
    await client.connect()
    const entries = (await client.xRange('{packs/a}:packs', '-', '+')) ?? []
    const packs = entries.flatMap(({ message: { p } }) => (p === undefined ? [] : [inflateSync(Buffer.from(p, 'base64'))]))
    expect(packs.length).toBeGreaterThan(5)
    for (const { length } of packs) expect(length).toBeLessThan(300 * 1024)
    expect(entries.filter(({ message: { b } }) => b !== undefined)).toHaveLength(10)
  })

  // What happened: each process that had ever appended to a log left a field in it, also in logs that never expire.
  it('forgets the writers of removed events, and does not mistake that for a loss', async () => {
    const make = () => redisEngine({ url: redis.url, prefix: 'writers', ageMsMax: 1000 })
    const idle = await open(make)
    const { position } = await idle.append('a', numbered(1, 1))
    for (let n = 0; n < 5; n++) {
      const engine = make()
      await engine.append('a', numbered(1, 1))
      await engine.close()
    }
    const client = createClient({ url: redis.url })
    onTestFinished(() => client.destroy())
    await client.connect()
    const writer = await open(make)
    const writers = async () => {
      await writer.append('a', numbered(1, 1), { keep: 1 })
      return (await client.hKeys('{writers/a}:meta')).filter((field) => field.startsWith('w:')).length
    }
    await expect.poll(writers, { timeout: 10_000 }).toBe(1)
    expect((await idle.append('a', numbered(1, 1))).position.epoch).toBe(position.epoch)
  })
})
