/** Disconnects readers before the server stops: a few at a time while another server can take them over, then all. */
import { setTimeout } from 'node:timers/promises'

export interface DrainableReaders {
  /** Connections that can be closed. */
  readonly drainable: number
  /** Closes up to this number of them. */
  drain(count: number): void
}

export interface DrainOptions {
  readonly readers: DrainableReaders
  /** Whether other servers share the engine, so that a disconnected reader can continue there. */
  readonly isShared: boolean
  /** Runs in progress on this server. */
  readonly activeRuns: () => number
  /** Default `setTimeout` and `performance.now`. */
  readonly clock?: { readonly sleep: (milliseconds: number) => Promise<void>; readonly now: () => number }
}

export interface Drain {
  /** Resolves when nothing is in progress, at the latest after `graceMs`. */
  wait(graceMs: number): Promise<void>
  /** Closes every connection. */
  closeAll(): void
}

/** Readers are disconnected over this time, however long the grace is. */
export const drainMsMax = 5000
export const stepMs = 100

const systemClock = { sleep: (milliseconds: number) => setTimeout(milliseconds), now: () => performance.now() }

export function createDrain({ readers, isShared, activeRuns, clock = systemClock }: DrainOptions): Drain {
  return {
    async wait(graceMs) {
      const end = clock.now() + graceMs
      for (let left = graceMs; left > 0; left = end - clock.now()) {
        const { drainable } = readers
        if (activeRuns() === 0 && (!isShared || drainable === 0)) return
        // In steps: all readers at once would overload the servers that take them over.
        if (isShared) readers.drain(Math.ceil((drainable * stepMs) / Math.min(left, drainMsMax)))
        await clock.sleep(Math.min(left, stepMs))
      }
    },
    closeAll: () => readers.drain(Number.POSITIVE_INFINITY),
  }
}
