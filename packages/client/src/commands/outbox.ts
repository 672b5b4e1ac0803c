/**
 * Commands waiting to be sent or answered. Those of one session, and those of one channel, keep their order; others do not
 * wait for them, and a `stop` waits for nothing. One that was not answered is sent again, with the same ids, until it is
 * answered or rejected, or its deadline is over.
 */
import { type CallOptions, callWithin } from '../deadline.ts'
import { MillraceError } from '../errors.ts'
import { toError } from '../http.ts'
import { backoffMs, type Timings } from '../timings.ts'
import { type Command, type CommandSender, isUnanswered } from './sender.ts'

/** Commands that wait at most; the next is rejected with `outbox_full`. A `stop` finds room behind them. */
const commandsMax = 100
const stopsMax = 100
const serialAfterBreak = 10

interface Entry {
  readonly command: Command
  readonly options: SendOptions
  readonly answer: PromiseWithResolvers<unknown>
  readonly queue: Queue
  isSent: boolean
  isPipelined: boolean
  /** It was sent once, so the server may have carried it out. */
  isAttempted: boolean
  /** Nobody waits for the answer. It keeps its place until its attempt ends, and is not sent again. */
  isAbandoned: boolean
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

export interface SendOptions extends CallOptions {
  /** Default true. */
  readonly isRetried?: boolean | undefined
  /** What must have happened before; undefined where it has. Part of each attempt. */
  readonly prepare?: () => Promise<unknown> | undefined
}

export interface Outbox {
  /** Rejects with the server's error; without retries also with `unreachable` or `silent`, when nobody knows. */
  send(command: Command, options?: SendOptions): Promise<unknown>
  /** There is reason to believe that the server can be reached: what waits is sent at once. */
  kick(): void
  /** Everything that waits is rejected with `closed`. */
  close(): void
}

/** Why a command was not answered, and how many attempts in a row were not. */
export interface Unanswered {
  readonly error: MillraceError
  readonly attempts: number
}

/** `onAttempt` gets nothing when a command was answered. */
export function createOutbox(sender: CommandSender, timings: Timings, onAttempt: (failed?: Unanswered) => void): Outbox {
  /** In the order of the calls. */
  const entries: Entry[] = []
  const queues = new Map<string, Queue>()
  let isClosed = false

  return {
    async send(command, options = {}) {
      if (isClosed) throw new MillraceError('closed')
      if (entries.length >= commandsMax + (command.type === 'stop' ? stopsMax : 0)) throw new MillraceError('outbox_full')
      options.signal?.throwIfAborted()
      const queue = queues.get(keyOf(command)) ?? { serial: 0, attempt: 0, timer: undefined }
      queues.set(keyOf(command), queue)
      const entry = createEntry(command, options, queue)
      entries.push(entry)
      sendAll()
      try {
        return await callWithin(timings.commandMs, options.signal, () => entry.answer.promise)
      } catch (error) {
        entry.isAbandoned = true
        if (!entry.isSent) forget(entry)
        sendAll()
        throw error
      }
    },
    kick() {
      for (const queue of queues.values()) retryNow(queue)
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
    if (queue.timer !== undefined || before.some((other) => mustFollow(command, other))) return
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
    entry.isSent = entry.isAttempted = true
    entry.isPipelined = isPipelined
    try {
      const ready = options.prepare?.()
      if (ready) await ready
      answer.resolve(await sender.send(command, isPipelined))
      queue.attempt = 0
      if (!isPipelined && queue.serial > 0) queue.serial--
      onAttempt()
      forget(entry)
      // Of a stop that was sent before its run was there.
      for (const other of entries) if (isStartOf(other.command, entry)) retryNow(other.queue)
    } catch (cause) {
      const error = toError(cause)
      if (isClosed) return
      // A stop may overtake its start, which can go another way.
      const isEarly = error.code === 'run_not_found' && entries.some((other) => isStartOf(command, other))
      if ((isEarly || isUnanswered(error)) && options.isRetried !== false && !entry.isAbandoned) {
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
    onAttempt({ error, attempts: queue.attempt })
    queue.timer = setTimeout(() => {
      queue.timer = undefined
      sendAll()
    }, delayMs)
  }
}

function createEntry(command: Command, options: SendOptions, queue: Queue): Entry {
  const progress = { isSent: false, isPipelined: false, isAttempted: false, isAbandoned: false }
  return { command, options, queue, answer: Promise.withResolvers<unknown>(), ...progress }
}

function retryNow(queue: Queue): void {
  queue.attempt = 0
  clearTimeout(queue.timer)
  queue.timer = undefined
}

/** A stop waits until its start has been sent, not for the answer; what goes on with a run waits for the answer to its stop. */
function mustFollow(command: Command, { command: before, isAttempted }: Entry): boolean {
  if (command.type === 'stop') return isStartOf(command, { command: before }) && !isAttempted
  return command.type === 'continue' && before.type === 'stop' && before.run === command.run
}

function isStartOf(stop: Command, { command }: Pick<Entry, 'command'>): boolean {
  return stop.type === 'stop' && 'id' in command && command.id === stop.run
}

function keyOf(command: Command): string {
  if (command.type === 'stop') return `stop ${command.run}`
  return command.type === 'publish' ? `channel ${command.channel}` : `session ${command.session}`
}
