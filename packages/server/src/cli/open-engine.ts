/** The engine that the command line names. Each is loaded only where it is named: its package may not be there. */
import type { Engine } from '../log/log.ts'

export interface NamedEngine {
  readonly engine: Engine
  /** Where logs are, for people; without a password. */
  readonly place: string
}

export interface OpenOptions {
  /** Of the engine sqlite. */
  readonly folder: string
  /** Of the engine sqlite. */
  readonly durability?: 'process' | 'disk' | undefined
  /** Age up to which events are kept, and logs in which nothing happens; default the engine's own. */
  readonly ageMsMax?: number | undefined
}

/** Undefined for a name that is none; rejects with a sentence for one that cannot be used here. */
export async function openEngine(name: string, options: OpenOptions): Promise<NamedEngine | undefined> {
  const opened = await open(name, options)
  // Asked once before anybody is let in: what cannot be used is told here, and not to the first reader.
  await opened?.engine.inspect('')
  return opened
}

async function open(name: string, { folder, durability = 'process', ageMsMax }: OpenOptions): Promise<NamedEngine | undefined> {
  const age = ageMsMax === undefined ? {} : { ageMsMax }
  if (name === 'memory') {
    const { memoryEngine } = await import('../engines/memory/index.ts')
    return { engine: memoryEngine(age), place: 'kept in memory, gone when the server ends' }
  }
  if (name === 'sqlite') {
    const { sqliteEngine } = await import('../engines/sqlite/index.ts')
    const place = `kept in ${folder}${durability === 'disk' ? ', flushed to the disk' : ''}`
    return { engine: sqliteEngine({ folder, durability, ...age }), place }
  }
  // Servers of one cluster come with commas; the first says what they are.
  const url = URL.parse(name.split(',')[0] ?? '')
  switch (url?.protocol) {
    case 'redis:':
    case 'rediss:': {
      const { redisEngine } = await needing('@redis/client', import('../engines/redis/index.ts'))
      return { engine: redisEngine({ ...redisOptions(url), ...age }), place: `kept in Redis at ${url.host}` }
    }
    case 'nats:':
    case 'tls:': {
      const { natsEngine } = await needing('@nats-io/jetstream @nats-io/transport-node', import('../engines/nats/index.ts'))
      return { engine: natsEngine({ url: name, ...age }), place: `kept in NATS at ${url.host}` }
    }
    default:
      return undefined
  }
}

const replicasMax = 64

/** `?prefix=` and `?replicas=` behind the address, which are not Redis's own. */
function redisOptions(url: URL) {
  const plain = new URL(url)
  const { prefix, replicas = '0', ...unknown } = Object.fromEntries(url.searchParams)
  const [name] = Object.keys(unknown)
  if (name !== undefined) throw new Error(`A Redis address takes ?prefix= and ?replicas=, not "${name}".`)
  if (!(/^\d+$/.test(replicas) && Number(replicas) <= replicasMax))
    throw new Error(`replicas of a Redis address is a number from 0 to ${replicasMax}, not "${replicas}".`)
  if (prefix === '') throw new Error('prefix of a Redis address must not be empty.')
  plain.search = ''
  return { url: plain.href, replicas: Number(replicas), ...(prefix !== undefined && { prefix }) }
}

async function needing<T>(packages: string, loading: Promise<T>): Promise<T> {
  try {
    return await loading
  } catch (error) {
    throw new Error(`This engine needs more packages: npm install ${packages}.`, { cause: error })
  }
}
