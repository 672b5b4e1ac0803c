/** The end of a call: its caller's signal, or its deadline. */
import { MillraceError } from './errors.ts'

export interface CallOptions {
  /** Ends the wait, and the call rejects with its reason. What was sent already may still be carried out. */
  readonly signal?: AbortSignal | undefined
}

/** Rejects with the signal's reason, or after `ms` with `deadline_exceeded`, if the call has not settled before. */
export async function callWithin<T>(
  ms: number,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(new MillraceError('deadline_exceeded')), ms)
  const either = signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, signal])
  try {
    either.throwIfAborted()
    return await unlessAborted(call(either), either)
  } finally {
    clearTimeout(timer)
  }
}

export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal?.reason)
  signal?.addEventListener('abort', abort)
  return Promise.race([promise, aborted.promise]).finally(() => signal?.removeEventListener('abort', abort))
}
