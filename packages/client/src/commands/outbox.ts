/**
 * Commands waiting to be sent or answered. Those of one session, and those of one channel, keep their order; others do not wait for
 * them. One that was not answered is sent again, with the same ids, until it is answered or refused.
 */
import { MillraceError } from '../errors.ts'
import { toError } from '../http.ts'
import { backoffMs, type Timings } from '../timings.ts'
import { type Command, type CommandSender, isUnanswered } from './sender.ts'

/** Commands that wait at most; the next is refused with `outbox_full`. */
const commandsMax = 100
const serialAfterBreak = 10

interface Entry {
  readonly command: Command
  readonly options: SendOptions
  readonly answer: PromiseWithResolvers<unknown>
  readonly queue: Queue
  isSent: boolean
  isPipelined: boolean
}

/** Commands that keep their order. */
interface Queue {
  /**
   * How many more go up one by one, each when the one before is answered, though a WebSocket would keep the order: one
   * was not answered over it, and what goes by POST instead could be overtaken.
   */
  serial: number
  attempt: number
  timer: ReturnType<typeof setTimeout> | undefined
}

export interface SendOptions {
  /** Default true. */
  readonly isRetried?: boolean | undefined
  /** What must have happened before; undefined where it has. Part of each attempt. */
  readonly prepare?: () => Promise<unknown> | undefined
}

export interface Outbox {
  /** Rejects with the refusal; without retries also with `unreachable` or `silent`, when nobody knows. */
  send(command: Command, options?: SendOptions): Promise<unknown>
  /** There is reason to believe that the server can be reached: what waits is sent at once. */
  kick(): void
  /** Everything that waits is rejected with `closed`. */
  close(): void
}

/** `onAttempt` gets the error of a failed attempt and the number of failures in a row; no error when it was answered. */
export function createOutbox(
  sender: CommandSender,
  timings: Timings,
  onAttempt: (error?: MillraceError, attempts?: number) => void = () => {},
): Outbox {
  /** In the order of the calls. */
  const entries: Entry[] = []
  const queues = new Map<string, Queue>()
  let isClosed = false

  return {
    send(command, options = {}) {
      const answer = Promise.withResolvers<unknown>()
      if (isClosed) answer.reject(new MillraceError('closed'))
      else if (entries.length >= commandsMax) answer.reject(new MillraceError('outbox_full'))
      else {
        const queue = queues.get(keyOf(command)) ?? { serial: 0, attempt: 0, timer: undefined }
        queues.set(keyOf(command), queue)
        entries.push({ command, options, answer, queue, isSent: false, isPipelined: false })
        sendAll()
      }
      return answer.promise
    },
    kick() {
      for (const queue of queues.values()) {
        queue.attempt = 0
        clearTimeout(queue.timer)
        queue.timer = undefined
      }
      sendAll()
    },
    close() {
      isClosed = true
      for (const { timer } of queues.values()) clearTimeout(timer)
      for (const { answer } of entries.splice(0)) answer.reject(new MillraceError('closed'))
    },
  }

  function sendAll(): void {
    for (const [index, entry] of entries.entries()) if (!entry.isSent) sendIfFree(entry, entries.slice(0, index))
  }

  function sendIfFree(entry: Entry, before: readonly Entry[]): void {
    const { command, queue } = entry
    if (queue.timer !== undefined || before.some((other) => mustFollow(command, other.command))) return
    const ahead = before.filter((other) => other.queue === queue)
    // Behind what goes by POST it could come first.
    const isPipelined =
      queue.serial === 0 && command.type === 'publish' && sender.canPipeline() && ahead.every((other) => other.isPipelined)
    const isAlone = ahead.length === 0 && !entries.some((other) => other.queue === queue && other.isSent)
    if (isPipelined || isAlone) void attempt(entry, isPipelined)
  }

  /** Never rejects. */
  async function attempt(entry: Entry, isPipelined: boolean): Promise<void> {
    const { command, options, answer, queue } = entry
    entry.isSent = true
    entry.isPipelined = isPipelined
    try {
      const ready = options.prepare?.()
      if (ready !== undefined) await ready
      answer.resolve(await sender.send(command, isPipelined))
      queue.attempt = 0
      if (!isPipelined && queue.serial > 0) queue.serial--
      onAttempt()
      forget(entry)
    } catch (cause) {
      const error = toError(cause)
      if (isClosed) return
      if (isUnanswered(error) && options.isRetried !== false) {
        entry.isSent = entry.isPipelined = false
        if (isPipelined) queue.serial = serialAfterBreak
        if (!isPipelined || error.code === 'rate_limited') retryLater(queue, error)
      } else {
        answer.reject(error)
        forget(entry)
      }
    }
    sendAll()
  }

  function forget(entry: Entry): void {
    const index = entries.indexOf(entry)
    if (index !== -1) entries.splice(index, 1)
    if (!entries.some(({ queue }) => queue === entry.queue)) queues.delete(keyOf(entry.command))
  }

  function retryLater(queue: Queue, error: MillraceError): void {
    // Several that were pipelined are refused together.
    if (queue.timer !== undefined) return
    const delayMs = backoffMs(queue.attempt++, Math.random(), timings, error)
    onAttempt(error, queue.attempt)
    queue.timer = setTimeout(() => {
      queue.timer = undefined
      sendAll()
    }, delayMs)
  }
}

/** A stop waits for nothing but what it is about; so does what goes on with a run that is being stopped. */
function mustFollow(command: Command, before: Command): boolean {
  if (command.type === 'stop') return before.type !== 'publish' && before.type !== 'stop' && before.id === command.run
  return command.type === 'continue' && before.type === 'stop' && before.run === command.run
}

function keyOf(command: Command): string {
  if (command.type === 'stop') return `stop ${command.run}`
  return command.type === 'publish' ? `channel ${command.channel}` : `session ${command.session}`
}
