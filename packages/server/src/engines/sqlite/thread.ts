/**
 * A thread in which the database works, as its engine sees it: what is asked while it works waits and becomes the next
 * group, one transaction for all, so that a thousand runs cost hardly more commits than one. Groups and the queue are
 * bounded in requests and bytes. A group that takes too long is rejected, and nothing more is accepted until it is
 * answered: no queue grows behind a disk that stands still.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { MillraceError } from '@millrace/protocol'
import type { Answer, Failure, Limits, Reply, Request } from './requests.ts'

export interface Thread {
  ask(request: Request): Promise<Answer>
  /** Answers what was asked, for as long as a call may take, and ends. */
  close(): Promise<void>
}

export interface ThreadOptions {
  readonly folder: string
  readonly limits: Limits
  /** It reads on a connection of its own, beside the thread that writes; what else is asked of it fails. */
  readonly isReader?: boolean
  /** How long a group may take, and a request may wait for its group, in milliseconds. */
  readonly timeoutMs: number
  /** Told of each request that has happened, perhaps, after its caller was told that it was given up. */
  readonly onLate?: (request: Request) => void
  /** What the operator has to know of the file, which has just been opened. */
  readonly onWarning?: (warning: string) => void
}

/** A group: what is worth one transaction, and short enough that what is asked next does not wait for long. */
const groupMax = { requests: 256, bytes: 4 * 1024 * 1024 }
/** The queue, in bytes that it holds: beyond it, more is asked than the disk can do. */
const queueMax = { requests: 20_000, bytes: 64 * 1024 * 1024 }

interface PendingRequest {
  readonly request: Request
  /** Of what it brings, or asks for. */
  readonly bytes: number
  readonly askedAt: number
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: MillraceError) => void
}

export function createThread({ folder, limits, isReader = false, timeoutMs, onLate, onWarning }: ThreadOptions): Thread {
  let worker: Worker | undefined
  let waiting: PendingRequest[] = []
  let waitingBytes = 0
  let group: readonly PendingRequest[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  let isLate = false
  let isClosed = false
  let settled = Promise.withResolvers<void>()

  return {
    ask: (request) =>
      new Promise((resolve, reject) => {
        if (isClosed) return reject(new MillraceError('server_stopping'))
        if (isLate) return reject(lateError())
        const asked: PendingRequest = { request, bytes: bytesOf(request), askedAt: performance.now(), resolve, reject }
        const isFull = waiting.length >= queueMax.requests || waitingBytes + heldBy(asked) > queueMax.bytes
        if (isFull) return reject(busyError())
        waiting.push(asked)
        waitingBytes += heldBy(asked)
        // What else is asked in this turn comes along.
        if (waiting.length === 1 && group.length === 0) setImmediate(send)
      }),

    async close() {
      isClosed = true
      while (group.length + waiting.length > 0 && !isLate) await settled.promise
      const thread = worker
      worker = undefined
      if (thread === undefined) return
      // What stands still would not hear it.
      if (isLate) return void thread.terminate()
      await new Promise<void>((resolve) => {
        thread.once('exit', () => resolve())
        thread.ref()
        thread.postMessage('close')
      })
    },
  }

  function send(): void {
    if (group.length > 0) return
    group = takeGroup()
    if (group.length === 0) return
    try {
      worker ??= start()
      // A process with nothing else to do waits for what it asked, and for nothing else.
      worker.ref()
      worker.postMessage(group.map(({ request }) => request))
      timer = setTimeout(rejectAll, timeoutMs)
    } catch (error) {
      fail('unusable', (error as Error).message)
    }
  }

  function takeGroup(): readonly PendingRequest[] {
    const oldest = performance.now() - timeoutMs
    let late = 0
    while ((waiting[late]?.askedAt ?? oldest) < oldest) late++
    let end = late
    let bytes = 0
    for (let each = waiting[end]; each !== undefined; each = waiting[++end]) {
      if (end > late && (end - late === groupMax.requests || bytes + each.bytes > groupMax.bytes)) break
      bytes += each.bytes
    }
    const taken = waiting.splice(0, end)
    waitingBytes -= taken.reduce((sum, each) => sum + heldBy(each), 0)
    for (const { reject } of taken.splice(0, late)) reject(busyError())
    return taken
  }

  function start(): Worker {
    mkdirSync(folder, { recursive: true })
    const isSource = import.meta.url.endsWith('.ts')
    const thread = new Worker(new URL(isSource ? './worker.ts' : './worker.js', import.meta.url), {
      workerData: { file: join(folder, 'millrace.db'), limits, isReader },
      // Nothing of the host's flags: a loader of its tests or its own would be run there too.
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    thread.unref()
    thread.on('message', (reply: Reply) => settle(reply))
    thread.on('error', (error) => fail('internal', error.message))
    // One that is gone is made anew by whoever asks next.
    thread.once('exit', () => {
      if (worker === thread) worker = undefined
      fail('internal', 'The thread of the SQLite engine ended.')
    })
    return thread
  }

  function rejectAll(): void {
    isLate = true
    worker?.unref()
    // What waits is never done; what is being done may happen yet.
    for (const { reject } of [...group, ...waiting]) reject(lateError())
    waiting = []
    waitingBytes = 0
    next()
  }

  function fail(kind: Failure['kind'], message: string): void {
    settle({ answers: [], failure: { kind, message } })
  }

  function settle({ answers, failure = { kind: 'internal', message: 'There is no answer.' }, warning }: Reply): void {
    if (warning !== undefined) onWarning?.(warning)
    const answered = group
    group = []
    clearTimeout(timer)
    worker?.unref()
    if (isLate) {
      isLate = false
      for (const { request } of answered) onLate?.(request)
    }
    for (const [index, { request, resolve, reject }] of answered.entries()) {
      const answer = answers[index]
      if (answer === undefined) reject(toError(failure, folder))
      else if (answer.failure !== undefined) reject(toErrorOfOne(answer.failure, folder, request))
      else if (answer.refused !== undefined) reject(toRefusal(answer.refused, answer))
      else resolve(answer)
    }
    send()
    next()
  }

  function next(): void {
    settled.resolve()
    settled = Promise.withResolvers()
  }

  function busyError(): MillraceError {
    const message = `More is asked of the disk under ${folder} than it can do; try again.`
    return new MillraceError('engine_busy', { message })
  }

  function lateError(): MillraceError {
    const message = `The disk under ${folder} has not answered for ${timeoutMs} ms; what was asked is not known to have happened. It is used again when it answers.`
    return new MillraceError('engine_failed', { message })
  }
}

function bytesOf(request: Request): number {
  if (request.op === 'read') return request.bytesMax
  if (request.op !== 'append') return 0
  return request.events.reduce((sum, { data }) => sum + data.length, 0)
}

function toRefusal(code: NonNullable<Answer['refused']>, { epoch, head = 0 }: Answer): MillraceError {
  return new MillraceError(code, { position: epoch === undefined ? undefined : { epoch, offset: head } })
}

/** While it waits: what it asks for is not there yet. */
function heldBy({ request, bytes }: PendingRequest): number {
  return request.op === 'append' ? bytes : 0
}

function toError({ kind, message }: Failure, folder: string): MillraceError {
  const cause = new Error(message)
  if (kind === 'full') return new MillraceError('log_full', { cause })
  const warning = {
    busy: `Another server is using ${folder}; stop it, or give this one a folder of its own with --data.`,
    damaged: `The file millrace.db in ${folder} is damaged. Move it away, and what stands beside it, to begin anew, or put a copy in their place; what it says: ${message}.`,
    unusable: `The folder ${folder} cannot be used: ${message}.`,
    broken: `The disk under ${folder} fails (${message}); see what the system says of it. What was acknowledged is kept, and it is tried again with each call.`,
    log_damaged: undefined,
    internal: undefined,
  }[kind]
  return new MillraceError('engine_failed', { cause, ...(warning !== undefined && { message: warning }) })
}

function toErrorOfOne(failure: Failure, folder: string, request: Request): MillraceError {
  const { kind, message } = failure
  const { op } = request
  // What SQLite finds while it reads is mostly where the log stands; while it writes, it may be anywhere.
  const isOfLog = kind === 'log_damaged' || (kind === 'damaged' && (op === 'read' || op === 'compact'))
  return isOfLog && 'log' in request ? damaged(folder, request.log, message) : toError(failure, folder)
}

/** One log; others in the file go on. */
export function damaged(folder: string, log: string, what: string): MillraceError {
  const message = `What millrace.db in ${folder} holds of the log ${log} is damaged: ${what}. Delete it, if it is a session, or stop the server and put a copy of the folder in its place.`
  return new MillraceError('log_damaged', { message })
}
