/**
 * Commands on their way up, in order. One that was not answered is sent again, with the same ids, until
 * it is answered or refused; the ones behind it wait.
 */
import { MillraceError } from './errors.ts'
import { toError } from './http.ts'
import { backoffMs, type Timings } from './timings.ts'
import { type Command, isUnanswered, type Up } from './up.ts'

/** Commands that wait at most; the next is refused with `outbox_full`. */
const commandsMax = 100

interface Entry {
  readonly command: Command
  readonly isRetried: boolean
  resolve(answer: unknown): void
  reject(error: MillraceError): void
}

export interface Outbox {
  /** Rejects with the refusal; without retries also with `unreachable` or `silent`, when nobody knows. */
  send(command: Command, isRetried?: boolean): Promise<unknown>
  /** There is reason to believe that the server can be reached: what waits is sent at once. */
  kick(): void
  /** Everything that waits is rejected with `closed`. */
  close(): void
}

export function createOutbox(up: Up, timings: Timings): Outbox {
  const entries: Entry[] = []
  let isSending = false
  let isClosed = false
  let attempt = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  return {
    send(command, isRetried = true) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      if (isClosed) reject(new MillraceError('closed'))
      else if (entries.length >= commandsMax) reject(new MillraceError('outbox_full'))
      else {
        entries.push({ command, isRetried, resolve, reject })
        if (timer === undefined) void sendNext()
      }
      return promise
    },
    kick() {
      attempt = 0
      clearTimeout(timer)
      timer = undefined
      void sendNext()
    },
    close() {
      isClosed = true
      clearTimeout(timer)
      for (const { reject } of entries.splice(0)) reject(new MillraceError('closed'))
    },
  }

  /** Never rejects. */
  async function sendNext(): Promise<void> {
    const entry = entries[0]
    if (entry === undefined || isSending || isClosed) return
    isSending = true
    try {
      entry.resolve(await up.send(entry.command))
      attempt = 0
      entries.shift()
    } catch (cause) {
      const error = toError(cause)
      if (isUnanswered(error) && entry.isRetried) {
        if (!isClosed) timer = setTimeout(retry, backoffMs(attempt++, Math.random(), timings, error))
        return
      }
      entry.reject(error)
      entries.shift()
    } finally {
      isSending = false
    }
    void sendNext()
  }

  function retry(): void {
    timer = undefined
    void sendNext()
  }
}
