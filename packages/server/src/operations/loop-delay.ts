/** How late the event loop runs its timers, as an average over the last seconds: a single long task is no overload. */

export interface LoopDelay {
  /** Milliseconds. */
  readonly ms: number
  close(): void
}

export interface LoopDelayOptions {
  /** Milliseconds that never go back; default `performance.now`. */
  readonly now?: () => number
  /** Calls the function every `periodMs` until the returned function is called. */
  readonly every?: (call: () => void) => () => void
}

const periodMs = 500
/** The weight of the newest value: the average has mostly the last two seconds. */
const weight = 0.25

export function createLoopDelay({ now = () => performance.now(), every = startTimer }: LoopDelayOptions = {}): LoopDelay {
  let average = 0
  let lastAt = now()
  const stop = every(() => {
    average += (Math.max(0, now() - lastAt - periodMs) - average) * weight
    lastAt = now()
  })
  return {
    /** A timer that is overdue counts already: the request may be served first. */
    get ms() {
      return Math.max(average, (now() - lastAt - periodMs) * weight)
    },
    close: stop,
  }
}

function startTimer(call: () => void): () => void {
  const timer = setInterval(call, periodMs).unref()
  return () => clearInterval(timer)
}
