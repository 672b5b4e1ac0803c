/**
 * `GET /healthz`: the process answers. It asks nothing else, because a process that does not answer is restarted, and no
 * restart mends an engine. `GET /readyz`: the server can serve requests; a load balancer should send it none while it cannot.
 */
import type { Engine } from '../log/log.ts'
import { createLoopDelay, type LoopDelay } from './loop-delay.ts'

export interface Health {
  readonly status: 'ok' | 'stopping'
  readonly version: string
  readonly uptimeSeconds: number
}

export interface Readiness {
  /**
   * `stopping`: it takes no new work. `engine_failed`: its engine does not respond. `lagging`: it has more to do than it can,
   * and everything waits.
   */
  readonly status: 'ready' | 'stopping' | 'engine_failed' | 'lagging'
  /** How long the engine took for its cheapest call; absent where it was not asked, or did not respond. */
  readonly engineMs?: number
  /** Delay of the event loop. */
  readonly lagMs: number
}

export interface HealthOptions {
  readonly engine: Pick<Engine, 'inspect'>
  readonly version: string
  /** Aborts when the server stops. */
  readonly stopping: AbortSignal
  /** Whether it responds as if it were stopping, for as long as an operator wants. */
  readonly isDraining?: () => boolean
  readonly loopDelay?: LoopDelay
  /** Milliseconds that never go back; default `performance.now`. */
  readonly now?: () => number
}

export interface HealthChecks {
  live(): Health
  /** Calls the engine, in bounded time. Never rejects. */
  ready(): Promise<Readiness>
}

/** An engine that takes longer for its cheapest call counts as failed. */
const responseMsMax = 1000
/** Every request waits this long, whatever it asks for. */
const lagMsMax = 1000

export function createHealth(options: HealthOptions): HealthChecks {
  const { engine, version, stopping, isDraining = () => false } = options
  const { loopDelay = createLoopDelay(), now = () => performance.now() } = options
  const startedAt = now()
  stopping.addEventListener('abort', loopDelay.close, { once: true })
  /** Concurrent requests share one call of the engine. */
  let probing: Promise<number | undefined> | undefined

  return {
    live: () => ({
      status: stopping.aborted ? 'stopping' : 'ok',
      version,
      uptimeSeconds: Math.round((now() - startedAt) / 1000),
    }),
    async ready() {
      const lagMs = Math.round(loopDelay.ms)
      if (stopping.aborted || isDraining()) return { status: 'stopping', lagMs }
      const engineMs = await probeInTime()
      if (engineMs === undefined) return { status: 'engine_failed', lagMs }
      return { status: lagMs > lagMsMax ? 'lagging' : 'ready', engineMs, lagMs }
    },
  }

  async function probeInTime(): Promise<number | undefined> {
    probing ??= probe()
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, responseMsMax, undefined)
    })
    return Promise.race([probing, late]).finally(() => clearTimeout(timer))
  }

  async function probe(): Promise<number | undefined> {
    const askedAt = now()
    try {
      await engine.inspect('')
      return Math.round(now() - askedAt)
    } catch {
      // The requests that fail report the reason.
      return undefined
    } finally {
      probing = undefined
    }
  }
}
