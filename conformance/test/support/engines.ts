/** The engines over which a dialect is cut: each name, and how to open an empty one. */
import { type Engine, memoryEngine, sqliteEngine } from 'millrace'
import { redisEngine } from 'millrace/redis'
import { onTestFinished } from 'vitest'
import { makeFolder, startRedis } from '../../src/index.ts'

export const engines: readonly [string, () => Engine | Promise<Engine>][] = [
  ['memory', () => memoryEngine()],
  ['sqlite', () => sqliteEngine({ folder: makeFolder() })],
  ['redis', openRedis],
]

async function openRedis(): Promise<Engine> {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  return redisEngine({ url: redis.url })
}
