/**
 * Checks the watched logs now and then: a log that nobody writes to expires without a notification, and between the
 * servers of a cluster a notification may be lost.
 */
import { setTimeout as sleep } from 'node:timers/promises'

export interface PollOptions {
  readonly isClosed: () => boolean
  readonly isInCluster: () => boolean
  readonly watched: () => Iterable<string>
  readonly check: (log: string) => Promise<unknown>
  readonly ageMsMax: number
}

const pollMs = { alone: 60_000, inCluster: 5000 }
/** Logs that are checked in parallel, with a pause after them, so that thousands are no load. */
const parallelMax = 64
const pauseMs = 250

export async function pollWatched({ isClosed, isInCluster, watched, check, ageMsMax }: PollOptions): Promise<void> {
  const pause = (ms: number) => sleep(ms, undefined, { ref: false })
  const atMost = (ms: number) => Math.min(ms, Math.max(10, ageMsMax / 4))
  for (let polledAt = performance.now(); !isClosed(); await pause(atMost(pollMs.inCluster))) {
    // Known once connected, and different perhaps after a reconnect.
    if (!isInCluster() && performance.now() - polledAt < atMost(pollMs.alone)) continue
    polledAt = performance.now()
    const logs = [...watched()]
    for (let at = 0; at < logs.length && !isClosed(); at += parallelMax) {
      await Promise.allSettled(logs.slice(at, at + parallelMax).map(check))
      await pause(pauseMs)
    }
  }
}
