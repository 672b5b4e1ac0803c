/**
 * One timer for all simulated models. A thousand of them at 50 tokens a second would otherwise set fifty thousand timers a
 * second, and a benchmark would measure those.
 */
export interface Ticker {
  /** Monotonic milliseconds. */
  now(): number
  /** Calls `wake` once, at the first tick at or after this time, unless the returned function is called before. */
  at(time: number, wake: () => void): () => void
}

export interface TickerOptions {
  /** Milliseconds between ticks, the precision of a wake; default 4. */
  readonly periodMs?: number
  readonly now?: () => number
}

export function createTicker({ periodMs = 4, now = () => performance.now() }: TickerOptions = {}): Ticker {
  /** Callbacks of each tick, by the number of the tick since time 0. */
  const ticks = new Map<number, Set<() => void>>()
  let done = 0
  let timer: NodeJS.Timeout | undefined

  return {
    now,
    at(time, wake) {
      if (timer === undefined) {
        done = Math.floor(now() / periodMs)
        timer = setInterval(tick, periodMs)
      }
      const number = Math.max(done + 1, Math.ceil(time / periodMs))
      const waiting = ticks.get(number) ?? new Set()
      ticks.set(number, waiting)
      const member = () => wake()
      waiting.add(member)
      return () => {
        if (!waiting.delete(member) || waiting.size > 0) return
        ticks.delete(number)
        stopWhenIdle()
      }
    },
  }

  function tick(): void {
    // A late timer runs the ticks it has missed.
    const last = Math.floor(now() / periodMs)
    while (done < last) {
      done += 1
      const waiting = ticks.get(done)
      ticks.delete(done)
      if (waiting !== undefined) for (const wake of waiting) wake()
    }
    stopWhenIdle()
  }

  function stopWhenIdle(): void {
    if (ticks.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}
