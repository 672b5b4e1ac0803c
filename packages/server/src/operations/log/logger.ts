/** Lines of the server, by pino: JSON for programs, or text for people. */
import { Writable } from 'node:stream'
import { type DestinationStream, type LevelWithSilent, type Logger, pino, stdTimeFunctions } from 'pino'
import type { PrintError } from '../report.ts'
import { formatLine } from './pretty.ts'

export interface LogOptions {
  /**
   * The least important lines that are written: `error`, `warn`, `info` (one line for each connection and each run), `debug`
   * (also for each long-poll, session and limit); default
   * `silent`, which leaves errors to standard error, as text.
   */
  readonly level?: 'silent' | 'error' | 'warn' | 'info' | 'debug'
  /** Default `pretty` where standard error is a terminal, else `json`. */
  readonly format?: 'json' | 'pretty'
  /** Fields whose values are left out, such as `address` or `principal`. */
  readonly redact?: readonly string[]
  /** Where lines are written; default standard error. */
  readonly write?: (line: string) => void
}

/** Bytes that wait for a slow reader of standard error; what is beyond is dropped, because the server must not wait. */
const waitingBytesMax = 4 * 1024 * 1024
/** Lines are written together: by this many bytes, at the latest after this time, and when the process exits. */
const writeBytes = 8192
const writeMsMax = 250

/** Undefined where nothing is to be logged. */
export function createLogger({ level = 'silent', format, redact = [], write }: LogOptions = {}): Logger | undefined {
  if (level === 'silent') return undefined
  const isPretty = (format ?? (process.stderr.isTTY ? 'pretty' : 'json')) === 'pretty'
  const destination = write === undefined ? toStandardError() : toStream(write)
  return pino(
    {
      level: level satisfies LevelWithSilent,
      // Process id and host name are what the collector of logs adds.
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      ...(redact.length > 0 && { redact: { paths: [...redact], remove: true } }),
    },
    isPretty ? toStream((line) => void destination.write(formatLine(line, process.stderr.isTTY))) : destination,
  )
}

function toStandardError(): DestinationStream {
  const waiting = { minLength: writeBytes, maxLength: waitingBytesMax }
  const file = pino.destination({ fd: 2, sync: false, ...waiting })
  let timer: NodeJS.Timeout | undefined
  let hasLines = false
  /** Once more after the last line: a flush while a write is in progress does nothing. */
  const flush = () => {
    file.flush()
    if (!hasLines) {
      clearInterval(timer)
      timer = undefined
    }
    hasLines = false
  }
  return {
    write(line) {
      file.write(line)
      hasLines = true
      // Its own periodic flush also writes where there are no lines.
      timer ??= setInterval(flush, writeMsMax).unref()
    },
  }
}

function toStream(write: (line: string) => void): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      write(line)
      done()
    },
  })
}

/** Where errors go once there are lines: the first line of their text is the message. */
export function printTo(logger: Logger): PrintError {
  return (text, context) => {
    const [message, ...stack] = text.split('\n')
    logger.error({ ...context, ...(stack.length > 0 && { stack: stack.join('\n') }) }, message)
  }
}
