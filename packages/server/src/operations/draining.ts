/**
 * Draining by an operator: the server accepts no more clients and runs, as if it were stopping, but its runs continue, and the
 * operator can undo it. Where other servers share the engine, its readers are disconnected over a few seconds, to
 * continue there.
 */
import { type DrainableReaders, drainMsMax, stepMs } from './drain.ts'

export interface Draining {
  /** Milliseconds since 1970; undefined where the server accepts clients. */
  readonly since: number | undefined
  start(): void
  stop(): void
}

export interface DrainingOptions {
  readonly readers: DrainableReaders
  readonly isShared: boolean
  /** Default `Date.now`. */
  readonly now?: () => number
}

export function createDraining({ readers, isShared, now = Date.now }: DrainingOptions): Draining {
  let since: number | undefined
  let timer: ReturnType<typeof setInterval> | undefined

  return {
    get since() {
      return since
    },
    start() {
      if (since !== undefined) return
      since = now()
      if (!isShared) return
      // A client that was let in just before is disconnected with the last ones.
      let stepsLeft = drainMsMax / stepMs
      timer = setInterval(() => {
        readers.drain(Math.ceil(readers.drainable / Math.max(1, stepsLeft)))
        stepsLeft -= 1
      }, stepMs).unref()
    },
    stop() {
      since = undefined
      clearInterval(timer)
    },
  }
}
