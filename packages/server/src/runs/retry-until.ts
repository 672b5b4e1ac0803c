/**
 * What has to be done however long it takes, such as the end of a run: offered to the engine again and again, at a
 * bounded rate. An engine that is away for a night is back in the morning, and readers wait for it.
 */
import { MillraceError } from '@millrace/protocol'
import { pause } from '../log/retry.ts'

const delayMs = { first: 50, most: 5000 }

/** Rejects with the refusal where `signal` says that there is no time left, or the same would be refused again. */
export async function retryUntil<T>(act: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (cause) {
      const error = toError(cause)
      // An engine that is closed takes nothing any more.
      if (signal.aborted || !error.retryable || error.code === 'server_stopping') throw error
    }
    await pause(Math.min(delayMs.most, delayMs.first * 2 ** attempt), signal)
  }
}

export function toError(cause: unknown): MillraceError {
  return cause instanceof MillraceError ? cause : new MillraceError('internal', { cause })
}
