/**
 * Whether the server can do what it is asked: `GET /healthz`. Its engine is asked each time, in bounded time, because
 * a server whose engine is away answers every request with a code and should be sent none.
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

/** An engine that needs longer for the cheapest call there is has no answer to anything. */
const answerMsMax = 1000

export function createHealth({
  engine,
  version,
  isStopping,
  now = () => performance.now(),
}: HealthOptions): () => Promise<Health> {
  const startedAt = now()
  /** However many ask for health, the engine is asked once at a time. */
  let asking: Promise<boolean> | undefined

  return async () => {
    const status = isStopping() ? 'stopping' : (await isAnswering()) ? 'ok' : 'engine_failed'
    return { status, version, uptimeSeconds: Math.round((now() - startedAt) / 1000) }
  }

  async function isAnswering(): Promise<boolean> {
    asking ??= ask()
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, answerMsMax, false)
    })
    return Promise.race([asking, late]).finally(() => clearTimeout(timer))
  }

  async function ask(): Promise<boolean> {
    try {
      await engine.inspect('')
      return true
    } catch {
      // Why it does not answer is told to whoever needs it, with the request that failed.
      return false
    } finally {
      asking = undefined
    }
  }
}
