import { randomBytes } from 'node:crypto'
import { inflateSync } from 'node:zlib'
import { createClient } from '@redis/client'
import { redisEngine } from 'millrace/redis'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { numbered, open, rejectionOf } from '../src/engine/support.ts'
import { engineConformance } from '../src/index.ts'
import { startRedis } from '../src/servers/redis.ts'

const redis = await startRedis()
afterAll(() => redis.close())
let engines = 0

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
    const file = { type: 'file', data: new Uint8Array(1024 * 1024) }
    const appends = Array.from({ length: 20 }, () => rejectionOf(engine.append('a', [file])))
    expect(await Promise.all(appends.slice(16))).toEqual(Array(4).fill('engine_busy'))
    process.kill(server.pid, 'SIGCONT')
    expect(new Set(await Promise.all(appends.slice(0, 16)))).toEqual(new Set(['resolved']))
    expect((await engine.inspect('a'))?.head.offset).toBe(16)
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
