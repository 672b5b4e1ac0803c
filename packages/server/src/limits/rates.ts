/** Rates of principals: counted by all servers of an engine together where it can, else by each server. */
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible'
import type { Counters } from '../log/log.ts'

export interface Counted {
  readonly sum: number
  /** Until the count begins again. */
  readonly leftMs: number
}

export interface Rate {
  /** Never rejects: while the shared counters are unavailable, this server counts by itself. */
  add(key: string, amount: number): Promise<Counted>
}

/** The window begins with the first addition. */
export function createRate(name: string, seconds: number, shared: Counters | undefined): Rate {
  const options = { keyPrefix: name, points: Number.MAX_SAFE_INTEGER, duration: seconds }
  const memory = new RateLimiterMemory(options)
  const limiter =
    shared === undefined
      ? memory
      : new RateLimiterRedis({ ...options, storeClient: asClient(shared), useRedisPackage: true, insuranceLimiter: memory })
  return {
    async add(key, amount) {
      const { consumedPoints, msBeforeNext } = await limiter.penalty(key, amount)
      // Where the clock was set back, the window would not end for as long.
      return { sum: consumedPoints, leftMs: Math.min(Math.max(msBeforeNext, 1), seconds * 1000) }
    },
  }
}

interface EvalOptions {
  readonly keys: readonly [string]
  readonly arguments: readonly [points: string, seconds: string, ...rest: string[]]
}

/** As much of a Redis client as the limiter calls. The engine's own script has its deadline, and finds its node of a cluster. */
function asClient(shared: Counters) {
  return {
    async eval(_script: string, { keys: [key], arguments: [amount, seconds] }: EvalOptions) {
      const { sum, leftMs } = await shared.add(key, Number(amount), Number(seconds) * 1000)
      return [sum, leftMs]
    },
  }
}
