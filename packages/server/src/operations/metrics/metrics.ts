/** The metrics of one server, as a registry of the Prometheus client: an observer counts, and a scrape collects. */
import { type Metric, Registry } from '@prometheus-io/client'
import type { Observer } from '../observer.ts'
import { processCollectors } from './process.ts'
import { Recorder } from './recorder.ts'
import type { Sample } from './samples.ts'
import { type Series, type SeriesName, series } from './series.ts'

export interface MetricsOptions {
  /** Whether anything is counted; default true. */
  readonly enabled?: boolean
  /**
   * Whether `GET /metrics` is among the server's own addresses; default true, and false with a port of their own. It needs the
   * permission `admin.metrics`; on an open server only programs of the same machine may read it.
   */
  readonly route?: boolean
  /** A port of their own, for everybody who can reach it, with `/healthz` and `/readyz`; 0 takes any free port; default none. */
  readonly port?: number
  /** Address of that port; default 127.0.0.1. */
  readonly host?: string
}

/** What a scrape asks of the parts of the server. */
export interface MetricSources {
  readonly version: string
  readonly connections: { countByState(): readonly { transport: string; state: string; count: number }[] }
  readonly countReaders: () => { live: number; blocked: number; behind: number; lagMax: number }
  readonly delivered: Delivered | undefined
  readonly appended: { readonly events: number }
  readonly activeRuns: () => number
}

export interface Metrics {
  readonly registry: Registry
  readonly observer: Observer
  /** A pass over the readers of a log has ended, whose oldest event has this time. */
  passEnded(oldestTime: number, writes: number): void
  /** Adds the metrics of these parts. Called once. */
  collect(sources: MetricSources): void
}

interface Delivered {
  readonly events: number
  readonly bytes: number
  readonly gaps: number
}

const nothing: Delivered = { events: 0, bytes: 0, gaps: 0 }

/** `labelOf` makes the name of a model one of a closed list. */
export function createMetrics(labelOf: (model: string) => string): Metrics {
  const recorder = new Recorder(labelOf)
  const registry = new Registry()
  const add = (name: SeriesName, collect: () => Sample[]) => registry.registerMetric(toMetric(name, collect))
  const number = (name: SeriesName, read: () => number) => add(name, () => [{ labels: {}, value: read() }])
  for (const [name, collect] of Object.entries(recorder.collectors)) add(name as SeriesName, collect)
  for (const [name, collect] of Object.entries(processCollectors)) add(name as SeriesName, collect)

  return {
    registry,
    observer: recorder.observer,
    passEnded: (oldestTime, writes) => recorder.delivered(oldestTime, writes),
    collect({ version, connections, countReaders, activeRuns, appended, delivered = nothing }) {
      add('millrace_info', () => [{ labels: { version }, value: 1 }])
      add('millrace_connections', () =>
        connections.countByState().map(({ transport, state, count }) => ({ labels: { transport, state }, value: count })),
      )
      number('millrace_delivered_events_total', () => delivered.events)
      number('millrace_delivered_bytes_total', () => delivered.bytes)
      number('millrace_gaps_total', () => delivered.gaps)
      number('millrace_appended_events_total', () => appended.events)
      number('millrace_cursor_lag_events', () => countReaders().lagMax)
      add('millrace_cursors', () => {
        const { live, blocked, behind } = countReaders()
        return Object.entries({ live, blocked, behind }).map(([state, value]) => ({ labels: { state }, value }))
      })
      number('millrace_runs_active', activeRuns)
    },
  }
}

/** The registry calls no more than this of its own metrics. */
function toMetric(name: SeriesName, collect: () => Sample[]): Metric {
  const { type, help, aggregator: own }: Series = series[name]
  const aggregator = own ?? 'sum'
  const metric = { name, type, help, aggregator, get: async () => ({ name, type, help, aggregator, values: collect() }) }
  return metric as unknown as Metric
}
