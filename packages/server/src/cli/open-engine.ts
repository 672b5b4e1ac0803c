/** Opens the engine that the command line names. Its module is loaded only then: its package may not be installed. */
import type { Engine } from '../log/log.ts'

export interface NamedEngine {
  readonly engine: Engine
  /** Where logs are kept, for people; without a password. */
  readonly place: string
}

export interface OpenOptions {
  /** Of the engine sqlite. */
  readonly folder: string
  /** Of the engine sqlite. */
  readonly durability?: 'process' | 'disk' | undefined
  /** How long events and unused logs are kept; default the engine's own. */
  readonly ageMsMax?: number | undefined
}

/** Undefined for an unknown name. Rejects with a sentence for an engine that cannot be used. */
export async function openEngine(name: string, options: OpenOptions): Promise<NamedEngine | undefined> {
  const opened = await open(name, options)
  // One call before the server listens: an engine that fails is reported here, not to the first reader.
  await opened?.engine.inspect('')
  return opened
}

async function open(name: string, { folder, durability = 'process', ageMsMax }: OpenOptions): Promise<NamedEngine | undefined> {
  const age = ageMsMax === undefined ? {} : { ageMsMax }
  if (name === 'memory') {
    const { memoryEngine } = await import('../engines/memory/index.ts')
    return { engine: memoryEngine(age), place: 'kept in memory, lost when the server stops' }
  }
  if (name === 'sqlite') {
    const { sqliteEngine } = await import('../engines/sqlite/index.ts')
    const place = `kept in ${folder}${durability === 'disk' ? ', flushed to the disk' : ''}`
    return { engine: sqliteEngine({ folder, durability, ...age }), place }
  }
  // Servers of one cluster are separated by commas; the first names the protocol.
  const url = URL.parse(name.split(',')[0] ?? '')
  switch (url?.protocol) {
    case 'redis:':
    case 'rediss:': {
      const { redisEngine } = await requirePackages('@redis/client', import('../engines/redis/index.ts'))
      return { engine: redisEngine({ ...redisOptions(url), ...age }), place: `kept in Redis at ${url.host}` }
    }
    case 'nats:':
    case 'tls:': {
      const { natsEngine } = await requirePackages(
        '@nats-io/jetstream @nats-io/transport-node',
        import('../engines/nats/index.ts'),
      )
      return { engine: natsEngine({ url: name, ...age }), place: `kept in NATS at ${url.host}` }
    }
    default:
      return undefined
  }
}

const replicasMax = 64

/** Reads `?prefix=` and `?replicas=`, which Redis's own URLs do not have, and removes them from the address. */
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

async function requirePackages<T>(packages: string, loading: Promise<T>): Promise<T> {
  try {
    return await loading
  } catch (error) {
    throw new Error(`This engine needs more packages: npm install ${packages}.`, { cause: error })
  }
}
