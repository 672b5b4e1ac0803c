/**
 * Calls to an engine that is unavailable: it cannot be reached, does not respond in time, or has too many calls waiting.
 * Such a rejection says nothing about the log, so readers and writers wait and call again. Every other rejection is final.
 */
import { MillraceError } from '@millrace/protocol'

/** An engine waits within each call already, so the pauses between calls are short. */
const delayMs = { first: 50, most: 1000 }

export interface RetryOptions {
  /** True when no caller needs the result any more: the last rejection is final. */
  readonly isOver: () => boolean
  /** Called once, with the first rejection. */
  readonly onUnavailable: (error: MillraceError) => void
  /** Ends the pause between two calls. */
  readonly signal?: AbortSignal
  /** The rejection of a call that was made before. */
  readonly first?: MillraceError
}

export function isUnavailable(error: unknown): error is MillraceError {
  return error instanceof MillraceError && (error.code === 'engine_failed' || error.code === 'engine_busy')
}

/** Passes the previous rejection to `act`. */
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

/** Resolves earlier when the signal aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end)

    function end(): void {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
  })
}
