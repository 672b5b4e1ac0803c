/**
 * `GET /healthz`: whether the server can serve requests. Every check calls the engine, in bounded time: a server whose
 * engine is unreachable answers every request with an error, and a load balancer should send it none.
 */
import type { Engine } from '../log/log.ts'

export interface Health {
  readonly status: 'ok' | 'stopping' | 'engine_failed'
  readonly version: string
  readonly uptimeSeconds: number
}

export interface HealthOptions {
  readonly engine: Engine
  readonly version: string
  readonly isStopping: () => boolean
  /** Milliseconds that never go back; default `performance.now`. */
  readonly now?: () => number
}

/** An engine that takes longer for its cheapest call counts as failed. */
const responseMsMax = 1000

export function createHealth({
  engine,
  version,
  isStopping,
  now = () => performance.now(),
}: HealthOptions): () => Promise<Health> {
  const startedAt = now()
  /** Concurrent requests share one call of the engine. */
  let probing: Promise<boolean> | undefined

  return async () => {
    const status = isStopping() ? 'stopping' : (await isResponding()) ? 'ok' : 'engine_failed'
    return { status, version, uptimeSeconds: Math.round((now() - startedAt) / 1000) }
  }

  async function isResponding(): Promise<boolean> {
    probing ??= probe()
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, responseMsMax, false)
    })
    return Promise.race([probing, late]).finally(() => clearTimeout(timer))
  }

  async function probe(): Promise<boolean> {
    try {
      await engine.inspect('')
      return true
    } catch {
      // The requests that fail report the reason.
      return false
    } finally {
      probing = undefined
    }
  }
}
