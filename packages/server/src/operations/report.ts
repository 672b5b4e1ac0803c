/** Reports errors that the client did not cause: to the host's `onError`, or by default to standard error, at a bounded rate. */
import { MillraceError } from '@millrace/protocol'
import { hidePrivate } from './private-text.ts'
import { redact } from './redact.ts'

export interface ErrorContext {
  readonly run?: string
  readonly lane?: string
}

export type OnError = (error: unknown, context?: ErrorContext) => void

/** Writes the text of an error, of several lines where it has a stack. */
export type PrintError = (text: string, context: ErrorContext | undefined) => void

const quietMs = 10_000
const causesMax = 4

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
export function createReport(print: PrintError = printToConsole): OnError {
  const recurrences = new Map<string, number>()

  return (error, context) => {
    const clean = (written: string) => hidePrivate(error, redact(written))
    const text = clean(describe(error))
    const count = recurrences.get(text)
    if (count !== undefined) return void recurrences.set(text, count + 1)
    recurrences.set(text, 0)
    // An error with a code needs no stack: the code and the cause identify it.
    print(error instanceof MillraceError && error.code !== 'internal' ? text : clean(stackOf(error)), context)
    setTimeout(() => {
      const more = recurrences.get(text)
      recurrences.delete(text)
      if (more) print(`${more} times more in ${quietMs / 1000} s: ${text}`, undefined)
    }, quietMs).unref()
  }
}

function printToConsole(text: string, context: ErrorContext | undefined): void {
  console.error('millrace:', ...(context === undefined ? [text] : [context, text]))
}

function describe(error: unknown): string {
  if (!(error instanceof MillraceError)) return String(error)
  const { code, message, cause } = error
  return cause instanceof Error && !message.includes(cause.message)
    ? `${code}: ${message} (${cause.message})`
    : `${code}: ${message}`
}

/** With its causes, and without its other fields: SDKs keep the request there, with its question and its key. */
function stackOf(error: unknown, depth = 0): string {
  if (!(error instanceof Error)) return String(error)
  const { stack = String(error), cause } = error
  return cause === undefined || depth === causesMax ? stack : `${stack}\ncaused by ${stackOf(cause, depth + 1)}`
}
