/** Who observes the server: its metrics, its lines, and the host's own observers, as one observer. */
import type { Logger } from 'pino'
import { createLogObserver } from './log/log-observer.ts'
import { createMetrics, type Metrics, type MetricsOptions } from './metrics/metrics.ts'
import { combineObservers, type Observer } from './observer.ts'

export interface ObservingOptions {
  readonly metrics: MetricsOptions
  readonly log: Logger | undefined
  readonly observers: readonly Observer[]
  readonly onError: (error: unknown) => void
}

/** `labelOf` makes the name of a model one of a closed list. */
export function createObserving(
  { metrics: { enabled = true }, log, observers, onError }: ObservingOptions,
  labelOf: (model: string) => string,
): { readonly observer: Observer; readonly metrics: Metrics | undefined } {
  const metrics = enabled ? createMetrics(labelOf) : undefined
  const all = [metrics?.observer, log && createLogObserver(log), ...observers].filter((each) => each !== undefined)
  return { observer: combineObservers(all, onError), metrics }
}
