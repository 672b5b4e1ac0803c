/** Numbers of the process. One monitor of its event loop serves all servers in it, from the first scrape on. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Sample } from './samples.ts'
import type { SeriesName } from './series.ts'

/** How often the monitor looks, in milliseconds; its values contain this time. */
const resolution = 20
const quantiles = [0.5, 0.99, 1]
let monitor: ReturnType<typeof monitorEventLoopDelay> | undefined

type Collector = () => Sample[]

const one = (value: number): Sample[] => [{ labels: {}, value }]

export const processCollectors = {
  millrace_event_loop_delay_seconds() {
    if (monitor === undefined) {
      monitor = monitorEventLoopDelay({ resolution })
      monitor.enable()
    }
    const delays = monitor
    const samples = quantiles.map((quantile) => {
      const seconds = delays.percentile(quantile * 100) / 1e9
      return { labels: { quantile }, value: Math.max(0, seconds - resolution / 1000) }
    })
    delays.reset()
    return samples
  },
  process_cpu_seconds_total() {
    const { user, system } = process.cpuUsage()
    return one((user + system) / 1e6)
  },
  process_resident_memory_bytes: () => one(process.memoryUsage.rss()),
  process_heap_bytes: () => one(process.memoryUsage().heapUsed),
  process_start_time_seconds: () => one(Math.round(performance.timeOrigin / 1000)),
} satisfies Partial<Record<SeriesName, Collector>>
