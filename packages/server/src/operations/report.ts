/** Errors that are not the client's: to the host, who may be mistaken itself; by default to standard error, which they MUST NOT fill. */
import { format } from 'node:util'
import { MillraceError } from '@millrace/protocol'
import { redact } from './redact.ts'

export type OnError = (error: unknown, context?: { run?: string; lane?: string }) => void

const quietMs = 10_000

/** The host's own mistake while it is told of one must not end a run half way, nor the process. */
export function guard(onError: OnError, report: OnError): OnError {
  return (error, context) => {
    try {
      onError(error, context)
    } catch (mistake) {
      report(mistake, context)
    }
  }
}

/** Says an error when it comes, and ten seconds later how often it came again: of an engine that is away everybody hears at once. */
export function createReport(): OnError {
  const again = new Map<string, number>()

  return (error, context) => {
    const text = redact(describe(error))
    const count = again.get(text)
    if (count !== undefined) return void again.set(text, count + 1)
    again.set(text, 0)
    // Where it has a code of its own, that and its cause say all; else where it was thrown has to be known.
    const said = error instanceof MillraceError && error.code !== 'internal' ? text : redact(format(error))
    console.error('millrace:', ...(context === undefined ? [said] : [context, said]))
    setTimeout(() => {
      const more = again.get(text)
      again.delete(text)
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
