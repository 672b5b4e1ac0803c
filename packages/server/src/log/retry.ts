/**
 * An engine that is unavailable: it could not be reached, did not answer in time, or has as many calls waiting as it
 * may. That says nothing about the log, so whoever reads or writes it waits and asks again. Every other rejection is an
 * answer, and final.
 */
import { MillraceError } from '@millrace/protocol'

/** A call mostly waits for its engine by itself, so little has to be waited between two. */
const delayMs = { first: 50, most: 1000 }

export interface RetryOptions {
  /** Nobody needs the answer any more: the last rejection is final. */
  readonly isOver: () => boolean
  /** Called with the first rejection, of each call that had one. */
  readonly onUnavailable: (error: MillraceError) => void
  /** Ends the wait between two calls. */
  readonly signal?: AbortSignal
  /** Of a call that was made already. */
  readonly first?: MillraceError
}

export function isUnavailable(error: unknown): error is MillraceError {
  return error instanceof MillraceError && (error.code === 'engine_failed' || error.code === 'engine_busy')
}

/** `act` is given the rejection before. */
export async function retryWhileUnavailable<T>(act: (last?: MillraceError) => Promise<T>, options: RetryOptions): Promise<T> {
  const { isOver, onUnavailable, signal } = options
  let last = options.first
  for (let attempt = 0; ; attempt++) {
    if (last === undefined || attempt > 0) {
      try {
        return await act(last)
      } catch (error) {
        if (!isUnavailable(error)) throw error
        last = error
      }
    }
    if (isOver()) throw last
    if (attempt === 0) onUnavailable(last)
    await pause(Math.min(delayMs.most, delayMs.first * 2 ** attempt), signal)
    if (isOver()) throw last
  }
}

/** Shorter where the signal aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const timer = setTimeout(goOn, ms)
    signal?.addEventListener('abort', goOn)

    function goOn(): void {
      clearTimeout(timer)
      signal?.removeEventListener('abort', goOn)
      resolve()
    }
  })
}
