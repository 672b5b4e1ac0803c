/** Two servers over one shared engine, with runs and readers on both. */
import { onTestFinished } from 'vitest'
import { startNats } from '../servers/nats.ts'
import { startLosslessRedis, startRedis } from '../servers/redis.ts'
import type { Chance } from './chance.ts'
import { type NodeTimes, type ServerProcess, startNode } from './server-process.ts'
import type { Tally } from './tally.ts'
import { type Asked, createWorld, type World } from './world.ts'

export const leaseMs = 600
export const graceMs = 1500

export interface Started {
  readonly url: string
  close(): Promise<void>
}

export interface EngineServer extends Started {
  readonly pid: number
  kill(signal?: NodeJS.Signals): Promise<void>
  restart(): Promise<void>
}

export interface SharedWorld<E extends Started = EngineServer> {
  readonly world: World
  readonly engine: E
  readonly nodes: readonly [ServerProcess, ServerProcess]
  /** Starts a session with a run on each of `urls` in turn; its readers start at different servers. */
  ask(count: number, readers: number, model: () => string): Promise<AskedOf[]>
}

export interface AskedOf extends Asked {
  /** The server that owns the run. */
  readonly node: ServerProcess
}

interface SharedEngine {
  readonly name: string
  readonly startEngine: () => Promise<EngineServer>
  /** An engine whose acknowledged events survive `kill -9`, whatever its disk does. */
  readonly startLossless: () => Promise<EngineServer>
  /** The engine's timeout for one call. */
  readonly callMs: number
}

export const engines: readonly SharedEngine[] = [
  { name: 'Redis', startEngine: startRedis, startLossless: startLosslessRedis, callMs: 5000 },
  { name: 'NATS', startEngine: startNats, startLossless: startNats, callMs: 15_000 },
]

export async function openShared<E extends Started>(
  startEngine: () => Promise<E>,
  tally: Tally,
  times: NodeTimes = { leaseMs, graceMs },
): Promise<SharedWorld<E>> {
  const engine = await startEngine()
  onTestFinished(() => engine.close())
  const nodes = await Promise.all([startNode(engine.url, times), startNode(engine.url, times)])
  const world = createWorld(tally)
  const urls = nodes.map(({ url }) => url)
  return {
    world,
    engine,
    nodes,
    async ask(count, readers, model) {
      const asked: AskedOf[] = []
      for (let index = 0; index < count; index++) {
        const node = nodes[index % 2] as ServerProcess
        const started = await world.start(node.url, model())
        for (let reader = 0; reader < readers; reader++) {
          const order = reader % 2 === 0 ? urls : urls.toReversed()
          world.read(started.session, 1, order, reader === 0 ? 'websocket' : 'sse')
        }
        asked.push({ ...started, node })
      }
      return asked
    },
  }
}

/** Picks one of the two, and returns the other too. */
export function pickNode({ nodes }: Pick<SharedWorld, 'nodes'>, chance: Chance): [hit: ServerProcess, other: ServerProcess] {
  return chance.whole(0, 1) === 0 ? [nodes[0], nodes[1]] : [nodes[1], nodes[0]]
}

export const statusOf = ({ session, run }: Asked): string | undefined => session.ends.get(run)?.status

export const allEnded = (asked: readonly Asked[]): boolean => asked.every((each) => statusOf(each) !== undefined)
