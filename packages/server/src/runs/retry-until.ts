/**
 * Retries a call that must succeed eventually, such as the append of a run's end, at a bounded rate. Unlike
 * `retryWhileUnavailable` in log/retry.ts it also retries other retryable errors, such as of a full disk.
 */
import { MillraceError } from '@millrace/protocol'
import { pause } from '../log/retry.ts'

const delayMs = { first: 50, most: 5000 }

/** Rejects with the last error where it is not retryable, or once `signal` has aborted. */
export async function retryUntil<T>(act: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (cause) {
      const error = toError(cause)
      // A closed engine accepts nothing any more.
      if (signal.aborted || !error.retryable || error.code === 'server_stopping') throw error
    }
    await pause(Math.min(delayMs.most, delayMs.first * 2 ** attempt), signal)
  }
}

export function toError(cause: unknown): MillraceError {
  return cause instanceof MillraceError ? cause : new MillraceError('internal', { cause })
}
