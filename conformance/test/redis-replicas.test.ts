/** The strict mode of the Redis engine: what it acknowledged is in the replica, whichever moment the failover comes at. */
import { createClient } from '@redis/client'
import { redisEngine } from 'millrace/redis'
import { expect, it, onTestFinished } from 'vitest'
import { numbered, numbers, open, range, readAll, refusal } from '../src/engine/support.ts'
import { type RedisServer, startRedis } from '../src/servers/redis.ts'

async function startPair(args: readonly string[] = []): Promise<{ primary: RedisServer; replica: RedisServer }> {
  const primary = await startRedis({ args: ['--repl-diskless-sync-delay', '0', ...args] })
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(primary.port)] })
  onTestFinished(async () => void (await Promise.all([primary.close(), replica.close()])))
  // The primary counts a replica only when it has heard of it what it has.
  await expect.poll(() => isFollowed(primary), { timeout: 10_000 }).toBe(true)
  return { primary, replica }
}

async function isFollowed(primary: RedisServer): Promise<boolean> {
  return (await command(primary, ['SET', 'followed', '1'], ['WAIT', '1', '1000'])) === 1
}

/** The answer to the last of them. */
async function command(server: RedisServer, ...commands: (readonly string[])[]): Promise<unknown> {
  const client = createClient({ url: server.url })
  client.on('error', () => {})
  await client.connect()
  try {
    let answer: unknown
    for (const words of commands) answer = await client.sendCommand([...words])
    return answer
  } finally {
    client.destroy()
  }
}

it('has in the replica that takes over whatever was acknowledged, killed in mid-stream', async () => {
  const { primary, replica } = await startPair()
  const engine = await open(() => redisEngine({ url: primary.url, replicas: 1, timeoutMs: 3000 }))
  const other = await open(() => redisEngine({ url: primary.url, replicas: 1, timeoutMs: 3000 }))
  const acknowledged: number[] = []
  const count = 200
  const write = async (log: string, node: typeof engine) => {
    for (let n = 1; ; n++) {
      const refused = await refusal(node.append(log, numbered(n, n)))
      if (refused === 'not refused' && log === 'a') acknowledged.push(n)
      if (refused !== 'not refused' || (log === 'a' && n === count)) killed.resolve()
      if (refused !== 'not refused') return
    }
  }
  const killed = Promise.withResolvers<void>()
  const writing = Promise.all([write('a', engine), write('b', engine), write('c', other)])
  await killed.promise
  await primary.kill()
  await writing
  expect(acknowledged.length).toBeGreaterThanOrEqual(count)
  await command(replica, ['REPLICAOF', 'NO', 'ONE'])
  const later = await open(() => redisEngine({ url: replica.url, replicas: 1 }))
  const kept = numbers(await readAll(later, 'a'))
  expect(kept.slice(0, acknowledged.length)).toEqual(range(1, acknowledged.length))
}, 30_000)

it('refuses to write and shows nobody what it refused while the replica stands still, and reads on, and takes writes when it is back', async () => {
  const { primary, replica } = await startPair()
  const engine = await open(() => redisEngine({ url: primary.url, replicas: 1, timeoutMs: 2000 }))
  const { position } = await engine.append('a', numbered(1, 10))
  const other = await open(() => redisEngine({ url: primary.url, replicas: 1 }))
  expect((await other.inspect('a'))?.head).toEqual(position)
  process.kill(replica.pid, 'SIGSTOP')
  const append = engine.append('a', numbered(11, 11))
  // Where a write waits, who reads does not.
  expect(await engine.inspect('b')).toBeUndefined()
  // It stands in Redis by now.
  await expect.poll(() => command(primary, ['HGET', '{millrace/a}:meta', 'head'])).toBe('11')
  for (const node of [engine, other]) {
    const page = await node.read('a', { ...position, offset: 5 })
    expect([numbers(page.events), page.head.offset]).toEqual([range(6, 10), 10])
    expect((await node.inspect('a'))?.head).toEqual(position)
  }
  await expect(append).rejects.toMatchObject({ code: 'engine_failed', message: expect.stringContaining('0 of 1 replicas') })
  process.kill(replica.pid, 'SIGCONT')
  const rung = Promise.withResolvers<void>()
  other.watch('a', rung.resolve)
  await expect.poll(() => refusal(engine.append('a', numbered(12, 12), { key: '12' })), { timeout: 10_000 }).toBe('not refused')
  await rung.promise
  expect(numbers((await other.read('a', position)).events)).toEqual(range(11, 12))
}, 30_000)

// Redis 7.0 waits for what anybody has written; WAIT promises it only for what its own connection has.
it('does not show what another has written, where it is found by its key and the replica does not have it', async () => {
  const { primary, replica } = await startPair()
  const make = () => redisEngine({ url: primary.url, replicas: 1, timeoutMs: 1000 })
  const [engine, other] = [await open(make), await open(make)]
  const { position } = await engine.append('a', numbered(1, 1))
  expect((await other.inspect('a'))?.head).toEqual(position)
  process.kill(replica.pid, 'SIGSTOP')
  onTestFinished(() => void process.kill(replica.pid, 'SIGCONT'))
  expect(await refusal(engine.append('a', numbered(2, 2), { key: 'k' }))).toBe('engine_failed')
  expect(await refusal(other.append('a', numbered(2, 2), { key: 'k' }))).toBe('engine_failed')
  expect((await other.inspect('a'))?.head).toEqual(position)
}, 30_000)

it('refuses at once what a Redis would not write that knows of too few replicas', async () => {
  const { primary, replica } = await startPair(['--min-replicas-to-write', '1'])
  const engine = await open(() => redisEngine({ url: primary.url, replicas: 1 }))
  await engine.append('a', numbered(1, 1))
  await replica.kill()
  const refusedAtOnce = async () => {
    const askedAt = performance.now()
    // As what passes, like every other failover.
    return (await refusal(engine.append('a', numbered(2, 2)))) === 'engine_failed' && performance.now() - askedAt < 2000
  }
  await expect.poll(refusedAtOnce, { timeout: 15_000 }).toBe(true)
  expect(numbers(await readAll(engine, 'a')).at(0)).toBe(1)
}, 30_000)
