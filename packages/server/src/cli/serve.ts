/** One server of `millrace start`, in this process. */
import cluster from 'node:cluster'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { MillraceOptions } from '../options.ts'
import { createMillrace } from '../server.ts'
import { toListenError } from './listen-error.ts'
import type { NamedEngine } from './open-engine.ts'
import { shareMetrics } from './worker-metrics.ts'

export interface ServeOptions extends NamedEngine {
  readonly port: number | undefined
  readonly host: string | undefined
  readonly options: Omit<MillraceOptions, 'engine'>
}

/** What is printed of a server that is ready. */
export interface Ready {
  readonly url: string
  readonly page: boolean
  readonly model: string
  readonly reason: string
  readonly place: string
  readonly metricsUrl?: string | undefined
  /** Whether it asks nobody for credentials. */
  readonly isOpen: boolean
}

export interface Served {
  readonly ready: Ready
  close(options: { readonly graceMs: number }): Promise<void>
}

/** Rejects with a ConfigError: what fails here is a model, a port, a host name or a key. */
export async function serve({ engine, place, port, host, options }: ServeOptions): Promise<Served> {
  const page = options.page ?? findPage()
  try {
    const millrace = createMillrace({ ...options, engine, ...(page !== undefined && { page }) })
    if (cluster.isWorker && millrace.metrics !== undefined) shareMetrics(millrace.metrics)
    const { name, reason } = await millrace.defaultModel()
    const { url, metricsUrl } = await millrace.listen({ port, host })
    const { access: { tokens, allowAnonymous } = {}, authenticate } = options
    const isOpen = allowAnonymous ?? (tokens === undefined && authenticate === undefined)
    return { ready: { url, page: page !== undefined, model: name, reason, place, metricsUrl, isOpen }, close: millrace.close }
  } catch (error) {
    throw toListenError(error, options.metrics)
  }
}

/** In the published package next to the built server, in a checkout in its own workspace. */
function findPage(): string | undefined {
  const places = ['../web/', '../../../../apps/web/dist/'].map((place) => fileURLToPath(new URL(place, import.meta.url)))
  return places.find((place) => existsSync(`${place}index.html`))
}
