/** Who observes the server: its metrics, its lines, its webhooks, its list of runs, and the host's own observers, as one observer. */
import type { Logger } from 'pino'
import type { SendRequest } from '../outgoing/request.ts'
import { AppendStats } from './engine-calls.ts'
import { createLogObserver } from './log/log-observer.ts'
import { createMetrics, type Metrics, type MetricsOptions } from './metrics/metrics.ts'
import { combineObservers, type Observer } from './observer.ts'
import { createRunList, type RunList } from './run-list.ts'
import type { Target } from './webhooks/target.ts'
import { createWebhooks, type Webhooks } from './webhooks/webhooks.ts'

export interface ObservingOptions {
  readonly metrics: MetricsOptions
  readonly log: Logger | undefined
  readonly webhooks: readonly Target[]
  readonly send: SendRequest
  readonly version: string
  /** Whether an operator can look at the list of runs. */
  readonly hasOperator: boolean
  readonly observers: readonly Observer[]
  readonly onError: (error: unknown) => void
}

export interface Observing {
  readonly observer: Observer
  readonly metrics: Metrics | undefined
  readonly appended: AppendStats
  readonly webhooks: Webhooks
  readonly runList: RunList
}

/** `labelOf` makes the name of a model one of a closed list. */
export function createObserving(options: ObservingOptions, labelOf: (model: string) => string): Observing {
  const {
    metrics: { enabled = true },
    log,
    webhooks: targets,
    hasOperator,
    observers,
    onError,
    ...sending
  } = options
  const metrics = enabled ? createMetrics(labelOf) : undefined
  const webhooks = createWebhooks({ ...sending, targets, onError })
  const runList = createRunList()
  const own = [metrics?.observer, log && createLogObserver(log), webhooks.observer, hasOperator ? runList.observer : undefined]
  const all = [...own, ...observers].filter((each) => each !== undefined)
  return { observer: combineObservers(all, onError), metrics, appended: new AppendStats(), webhooks, runList }
}
