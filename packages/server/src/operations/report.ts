/** Reports errors that the client did not cause: to the host's `onError`, or by default to standard error, at a bounded rate. */
import { format } from 'node:util'
import { MillraceError } from '@millrace/protocol'
import { redact } from './redact.ts'

export type OnError = (error: unknown, context?: { run?: string; lane?: string }) => void

const quietMs = 10_000

/** An exception in the host's `onError` must end neither a run nor the process; it is reported instead. */
export function guard(onError: OnError, report: OnError): OnError {
  return (error, context) => {
    try {
      onError(error, context)
    } catch (mistake) {
      report(mistake, context)
    }
  }
}

/**
 * Prints an error at once, and ten seconds later how often it recurred: an unreachable engine fails every request at once.
 */
export function createReport(): OnError {
  const recurrences = new Map<string, number>()

  return (error, context) => {
    const text = redact(describe(error))
    const count = recurrences.get(text)
    if (count !== undefined) return void recurrences.set(text, count + 1)
    recurrences.set(text, 0)
    // An error with a code needs no stack: the code and the cause identify it.
    const line = error instanceof MillraceError && error.code !== 'internal' ? text : redact(format(error))
    console.error('millrace:', ...(context === undefined ? [line] : [context, line]))
    setTimeout(() => {
      const more = recurrences.get(text)
      recurrences.delete(text)
      if (more) console.error(`millrace: ${more} times more in ${quietMs / 1000} s: ${text}`)
    }, quietMs).unref()
  }
}

function describe(error: unknown): string {
  if (!(error instanceof MillraceError)) return String(error)
  const { code, message, cause } = error
  return cause instanceof Error && !message.includes(cause.message)
    ? `${code}: ${message} (${cause.message})`
    : `${code}: ${message}`
}
