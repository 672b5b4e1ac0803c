import { createClient } from '@redis/client'
import { redisEngine } from 'millrace/redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { countersConformance } from '../src/engine/counters.ts'
import { ephemeralConformance } from '../src/engine/ephemeral.ts'
import { faultsConformance } from '../src/engine/faults.ts'
import { nodesConformance } from '../src/engine/nodes.ts'
import { numbered, numbers, open, range, readAll, rejectionOf } from '../src/engine/support.ts'
import { ask } from '../src/faults/request.ts'
import { startMillrace } from '../src/faults/server-process.ts'
import { startLosslessRedis, startRedis } from '../src/servers/redis.ts'

const make = ({ url }: { url: string }) => redisEngine({ url, timeoutMs: 3000 })

const nodes = {
  name: 'redis',
  async makeNodes() {
    const server = await startRedis()
    onTestFinished(() => server.close())
    return [make(server), make(server)] as const
  },
}

nodesConformance(nodes)
ephemeralConformance(nodes)
countersConformance(nodes)

faultsConformance({ name: 'redis', start: startLosslessRedis, make })

async function command<T>({ url }: { url: string }, words: readonly string[]): Promise<T> {
  const client = createClient({ url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.sendCommand([...words])) as T
  } finally {
    client.destroy()
  }
}

it('writes only under the prefix of its address', async () => {
  const server = await startRedis()
  onTestFinished(() => server.close())
  const { url } = await startMillrace(['--engine', `${server.url}?prefix=shop`])
  await ask(`${url}/api/chat`, { query: 'count', model: 'sim:count?n=3' })
  for (const key of await command<string[]>(server, ['KEYS', '*'])) expect(key).toMatch(/^\{shop\//)
})

describe('a compacted log of the redis engine', () => {
  async function keysOf(server: { url: string }): Promise<{ bytes: number; lives: number[] }> {
    const keys = (await command<string[]>(server, ['KEYS', '*'])).filter((key) => !key.endsWith(':keys'))
    const bytes = await Promise.all(keys.map((key) => command<number>(server, ['MEMORY', 'USAGE', key, 'SAMPLES', '0'])))
    return {
      bytes: bytes.reduce((sum, each) => sum + each, 0),
      lives: await Promise.all(keys.map((key) => command<number>(server, ['PTTL', key]))),
    }
  }

  it('takes a fraction of the memory, and expires like any other log', async () => {
    const server = await startRedis()
    onTestFinished(() => server.close())
    const engine = await open(() => make(server))
    for (const n of range(1, 1000)) await engine.append('log', numbered(n, n))
    const before = await keysOf(server)
    await engine.compact?.('log')
    const after = await keysOf(server)
    expect(after.bytes).toBeLessThan(before.bytes / 3)
    expect(after.lives).toHaveLength(3)
    for (const life of after.lives) expect(life).toBeGreaterThan(0)
  })
})

it('packs a large batch after one that is too small for a pack', async () => {
  const server = await startRedis()
  onTestFinished(() => server.close())
  const engine = await open(() => make(server))
  await engine.append('log', numbered(1, 4))
  await engine.append('log', numbered(5, 514))
  await engine.compact?.('log')
  expect(await command(server, ['XLEN', '{millrace/log}:events'])).toBe(0)
  expect(numbers(await readAll(engine, 'log'))).toEqual(range(1, 514))
})

it('accepts appends, with times that do not decrease, after the clock of Redis was two hours ahead', async () => {
  const server = await startRedis()
  onTestFinished(() => server.close())
  const engine = await open(() => make(server))
  await engine.append('log', numbered(1, 1))
  const future = Date.now() + 7_200_000
  await command(server, ['HSET', '{millrace/log}:meta', 'time', String(future)])
  for (const n of [2, 3]) expect((await engine.append('log', numbered(n, n))).position.offset).toBe(n)
  expect((await readAll(engine, 'log')).slice(1).map(({ time }) => time)).toEqual([future, future])
})

it('rejects a log with an entry that no engine has written as damaged, and deletes it', async () => {
  const server = await startRedis()
  onTestFinished(() => server.close())
  const engine = await open(() => make(server))
  const { position } = await engine.append('log', numbered(1, 3))
  await command(server, ['XADD', '{millrace/log}:events', '4-0', 'n', '1', 't', '1', 'd', '[["n",'])
  await command(server, ['HSET', '{millrace/log}:meta', 'head', '4'])
  expect(await rejectionOf(engine.read('log', position))).toBe('log_damaged')
  expect(await engine.delete('log')).toBe(true)
  expect((await engine.append('log', numbered(1, 1))).position.offset).toBe(1)
})

describe('a log that Redis evicted in part', () => {
  it('reports the missing events between packed and unpacked ones as a gap', async () => {
    const server = await startRedis()
    onTestFinished(() => server.close())
    const [engine, other] = [await open(() => make(server)), await open(() => make(server))]
    await engine.append('log', numbered(1, 100))
    await engine.compact?.('log')
    await engine.append('log', numbered(101, 120))
    expect(await command(server, ['DEL', '{millrace/log}:events'])).toBe(1)
    const { epoch } = (await engine.append('log', numbered(121, 125))).position
    const first = await other.read('log', { epoch, offset: 0 })
    expect([first.gap, first.events.length]).toEqual([undefined, 100])
    const next = await other.read('log', first.position)
    expect(next.gap).toEqual({ from: { epoch, offset: 100 }, to: { epoch, offset: 120 } })
    expect(next.events.map(({ offset }) => offset)).toEqual(range(121, 125))
  })
})

describe('redis engine after its server has lost data', () => {
  /** Acknowledges 150 events, of which Redis has 75 after the restart, as after a failover to a replica that lags. */
  async function lose() {
    const server = await startRedis({ args: ['--appendonly', 'no'] })
    onTestFinished(() => server.close())
    const engine = await open(() => make(server))
    const other = await open(() => make(server))
    await engine.append('log', numbered(1, 75))
    await other.inspect('log')
    await command(server, ['SAVE'])
    const { position } = await engine.append('log', numbered(76, 150))
    return { server, engine, other, position }
  }

  async function processOf(server: { url: string }): Promise<string> {
    return /run_id:(\w+)/.exec(await command<string>(server, ['INFO', 'server']))?.[1] ?? ''
  }

  it('rejects the old positions, also when the log has grown past them again', async () => {
    const { server, engine, position } = await lose()
    await server.restart()
    expect(await rejectionOf(engine.read('log', position))).toMatch(/position_(ahead|foreign)/)
    const { position: grown } = await engine.append('log', numbered(76, 160))
    expect(grown.offset).toBe(160)
    expect(grown.epoch).not.toBe(position.epoch)
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
    expect(await rejectionOf(engine.append('log', numbered(1, 1), { epoch: position.epoch }))).toBe('position_foreign')
  })

  it.each(['appends', 'inspects the log and appends'])(
    'rejects them on a node that has never seen the log and %s',
    async (does) => {
      const { server, engine, position } = await lose()
      await engine.close()
      await server.restart()
      const other = await open(() => make(server))
      if (does !== 'appends') expect((await other.inspect('log'))?.head.epoch).not.toBe(position.epoch)
      await other.append('log', numbered(76, 160))
      expect(await rejectionOf(other.read('log', position))).toBe('position_foreign')
    },
  )

  it('rejects them when the only node left knows the beginning of the log', async () => {
    const { server, engine, position, other } = await lose()
    await engine.close()
    await server.restart()
    await other.append('log', numbered(76, 160))
    expect(await rejectionOf(other.read('log', position))).toBe('position_foreign')
  })

  it('rejects them when other nodes have appended before the node that misses its own append reconnects', async () => {
    const { server, engine, position } = await lose()
    // As if another node had verified the log after the loss, and appended.
    await server.restart()
    const fields = ['server', await processOf(server), 'head', '160']
    await command(server, ['HSET', '{millrace/log}:meta', ...fields])
    await command(server, ['XADD', '{millrace/log}:events', '160-0', 'n', '85', 't', '1', 'd', '[]'])
    await engine.inspect('log')
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
  })

  it('notifies a reader that waits at a lost position', async () => {
    const { server, engine, position } = await lose()
    const rejected = Promise.withResolvers<void>()
    const read = async () => {
      if ((await rejectionOf(engine.read('log', position))).startsWith('position_')) rejected.resolve()
    }
    engine.watch('log', () => void read())
    await server.restart()
    await rejected.promise
  })

  it('keeps the epoch of a complete log that one node was notified of entirely', async () => {
    const server = await startLosslessRedis()
    onTestFinished(() => server.close())
    const [writer, reader] = [await open(() => make(server)), await open(() => make(server))]
    await writer.append('log', numbered(1, 18))
    await reader.inspect('log')
    const notified = Promise.withResolvers<void>()
    reader.watch('log', notified.resolve)
    // Notifies of an append before the subscription, too.
    await writer.append('log', numbered(19, 19))
    await notified.promise
    await reader.inspect('log')
    const { position } = await writer.append('log', numbered(20, 20))
    await server.restart()
    expect((await writer.append('log', numbered(21, 21))).position).toEqual({ epoch: position.epoch, offset: 21 })
    expect((await reader.inspect('log'))?.head).toEqual({ epoch: position.epoch, offset: 21 })
    expect((await readAll(reader, 'log', 19)).map(({ offset }) => offset)).toEqual(range(20, 21))
  })
})

describe('redis engine after its log was evicted', () => {
  async function openTwo() {
    const server = await startRedis()
    onTestFinished(() => server.close())
    const client = createClient({ url: server.url })
    await client.connect()
    onTestFinished(() => client.destroy())
    return { client, engine: await open(() => make(server)), other: await open(() => make(server)) }
  }

  it('notifies readers on every node, although the next log of the name is shorter', async () => {
    const { client, engine, other } = await openTwo()
    await engine.append('log', numbered(1, 4))
    await other.inspect('log')
    // Both nodes are subscribed once they were notified.
    const notified = [engine, other].map((node) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      node.watch('log', resolve)
      return promise
    })
    const { position } = await engine.append('log', numbered(5, 5))
    await Promise.all(notified)
    await Promise.all([engine.inspect('log'), other.inspect('log')])
    const rejected = [engine, other].map((node) => {
      const { promise, resolve } = Promise.withResolvers<string>()
      const read = async () => {
        const code = await rejectionOf(node.read('log', position))
        if (code.startsWith('position_')) resolve(code)
      }
      const unwatch = node.watch('log', () => void read())
      return promise.finally(unwatch)
    })
    await client.sendCommand(['FLUSHALL'])
    await engine.append('log', numbered(6, 6))
    expect(await Promise.all(rejected)).toEqual(['position_foreign', 'position_foreign'])
  })

  it.each(['events', 'meta'])('accepts appends, and readers notice, when only its %s are missing', async (key) => {
    const { client, engine, other } = await openTwo()
    const { position } = await engine.append('log', numbered(1, 5))
    await client.sendCommand(['DEL', `{millrace/log}:${key}`])
    const { position: next } = await engine.append('log', numbered(6, 6))
    const start = { epoch: position.epoch, offset: 2 }
    if (key === 'meta') {
      expect(await rejectionOf(other.read('log', start))).toBe('position_foreign')
      expect(numbers(await readAll(other, 'log'))).toEqual([6])
    } else {
      expect(next.offset).toBe(6)
      const page = await other.read('log', start)
      expect(page.gap).toEqual({ from: start, to: { ...start, offset: 5 } })
      expect(numbers(page.events)).toEqual([6])
    }
  })
})
