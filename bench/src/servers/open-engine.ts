/** Opens the engine that a row of the benchmark names. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Engine, memoryEngine, sqliteEngine } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { redisEngine } from 'millrace/redis'

/** `memory`, `sqlite`, `sqlite:disk`, or the address of a Redis or NATS. */
export function openEngine(name: string, folder?: string): Engine {
  if (name.startsWith('redis:')) return redisEngine({ url: name })
  if (name.startsWith('nats:')) return natsEngine({ url: name })
  if (name === 'memory') return memoryEngine()
  const own = folder ?? mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  if (folder === undefined) process.on('exit', () => rmSync(own, { recursive: true, force: true }))
  return sqliteEngine({ folder: own, durability: name === 'sqlite:disk' ? 'disk' : 'process' })
}
