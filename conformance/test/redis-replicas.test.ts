/** The Redis engine with `replicas`: an acknowledged event is in the replica, at whatever moment the failover happens. */
import { createClient } from '@redis/client'
import { redisEngine } from 'millrace/redis'
import { expect, it, onTestFinished } from 'vitest'
import { numbered, numbers, open, range, readAll, rejectionOf } from '../src/engine/support.ts'
import { type RedisServer, startRedis } from '../src/servers/redis.ts'

async function startPair(args: readonly string[] = []): Promise<{ primary: RedisServer; replica: RedisServer }> {
  const primary = await startRedis({ args: ['--repl-diskless-sync-delay', '0', ...args] })
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(primary.port)] })
  onTestFinished(async () => void (await Promise.all([primary.close(), replica.close()])))
  // The primary counts a replica only after its first acknowledgement.
  await expect.poll(() => isFollowed(primary), { timeout: 10_000 }).toBe(true)
  return { primary, replica }
}

async function isFollowed(primary: RedisServer): Promise<boolean> {
  return (await command(primary, ['SET', 'followed', '1'], ['WAIT', '1', '1000'])) === 1
}

/** Resolves with the answer to the last command. */
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

it('has every acknowledged event in the replica that takes over, after a kill in mid-stream', async () => {
  const { primary, replica } = await startPair()
  const engine = await open(() => redisEngine({ url: primary.url, replicas: 1, timeoutMs: 3000 }))
  const other = await open(() => redisEngine({ url: primary.url, replicas: 1, timeoutMs: 3000 }))
  const acknowledged: number[] = []
  const count = 200
  const write = async (log: string, node: typeof engine) => {
    for (let n = 1; ; n++) {
      const code = await rejectionOf(node.append(log, numbered(n, n)))
      if (code === 'resolved' && log === 'a') acknowledged.push(n)
      if (code !== 'resolved' || (log === 'a' && n === count)) killed.resolve()
      if (code !== 'resolved') return
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
})

it('rejects appends and shows none of them while the replica does not respond, and accepts them when it does', async () => {
  const { primary, replica } = await startPair()
  const engine = await open(() => redisEngine({ url: primary.url, replicas: 1, timeoutMs: 2000 }))
  const { position } = await engine.append('a', numbered(1, 10))
  const other = await open(() => redisEngine({ url: primary.url, replicas: 1 }))
  expect((await other.inspect('a'))?.head).toEqual(position)
  process.kill(replica.pid, 'SIGSTOP')
  const append = engine.append('a', numbered(11, 11))
  // Reads do not wait behind the append.
  expect(await engine.inspect('b')).toBeUndefined()
  // Redis has the event, and the replica does not.
  await expect.poll(() => command(primary, ['HGET', '{millrace/a}:meta', 'head'])).toBe('11')
  for (const node of [engine, other]) {
    const page = await node.read('a', { ...position, offset: 5 })
    expect([numbers(page.events), page.head.offset]).toEqual([range(6, 10), 10])
    expect((await node.inspect('a'))?.head).toEqual(position)
  }
  await expect(append).rejects.toMatchObject({ code: 'engine_failed', message: expect.stringContaining('0 of 1 replicas') })
  process.kill(replica.pid, 'SIGCONT')
  const notified = Promise.withResolvers<void>()
  other.watch('a', notified.resolve)
  await expect.poll(() => rejectionOf(engine.append('a', numbered(12, 12), { key: '12' })), { timeout: 10_000 }).toBe('resolved')
  await notified.promise
  expect(numbers((await other.read('a', position)).events)).toEqual(range(11, 12))
})

// Redis 7.0 waits for the writes of all connections; WAIT promises it only for its own connection's.
it('does not acknowledge a duplicate whose first batch the replica does not have', async () => {
  const { primary, replica } = await startPair()
  const make = () => redisEngine({ url: primary.url, replicas: 1, timeoutMs: 1000 })
  const [engine, other] = [await open(make), await open(make)]
  const { position } = await engine.append('a', numbered(1, 1))
  expect((await other.inspect('a'))?.head).toEqual(position)
  process.kill(replica.pid, 'SIGSTOP')
  onTestFinished(() => void process.kill(replica.pid, 'SIGCONT'))
  expect(await rejectionOf(engine.append('a', numbered(2, 2), { key: 'k' }))).toBe('engine_failed')
  expect(await rejectionOf(other.append('a', numbered(2, 2), { key: 'k' }))).toBe('engine_failed')
  expect((await other.inspect('a'))?.head).toEqual(position)
})

it('rejects at once when Redis has fewer replicas than min-replicas-to-write', async () => {
  const { primary, replica } = await startPair(['--min-replicas-to-write', '1'])
  const engine = await open(() => redisEngine({ url: primary.url, replicas: 1 }))
  await engine.append('a', numbered(1, 1))
  await replica.kill()
  const rejectedAtOnce = async () => {
    const startedAt = performance.now()
    // A passing error, as during any failover.
    return (await rejectionOf(engine.append('a', numbered(2, 2)))) === 'engine_failed' && performance.now() - startedAt < 2000
  }
  await expect.poll(rejectedAtOnce, { timeout: 15_000 }).toBe(true)
  expect(numbers(await readAll(engine, 'a')).at(0)).toBe(1)
})
