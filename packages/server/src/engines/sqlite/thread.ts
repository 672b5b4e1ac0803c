/**
 * The worker thread in which the database works. Requests that arrive while it works become the next group, one
 * transaction for all writes, so that a thousand runs cost hardly more commits than one. When a group takes too long, it is
 * rejected, and so is every request until the thread answers: no queue grows behind a disk that does not respond.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { MillraceError } from '@millrace/protocol'
import { ThreadErrors } from './errors.ts'
import { type AnswerMessage, fromAnswerMessage, toMessage } from './messages.ts'
import { type PendingRequest, RequestQueue } from './request-queue.ts'
import type { Answer, Failure, Limits, Reply, Request } from './requests.ts'
import { startThread } from './start-thread.ts'

type ReplyMessage = Omit<Reply, 'answers'> & { readonly answers: readonly AnswerMessage[] }

export interface ThreadOptions {
  readonly folder: string
  readonly limits: Limits
  /** How long a group may take, and a request may wait for its group, in milliseconds. */
  readonly timeoutMs: number
  /** Called with each request that was rejected as late and may have happened since. */
  readonly onLate?: (request: Request) => void
  /** Called with what the operator has to know about the file that was opened. */
  readonly onWarning?: (warning: string) => void
}

export class Thread {
  readonly #options: ThreadOptions
  readonly #errors: ThreadErrors
  readonly #queue = new RequestQueue()
  #worker: Worker | undefined
  /** Requests that the worker is performing. */
  #group: readonly PendingRequest[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  /** The group has been rejected, and the worker has not answered yet. */
  #isLate = false
  #isClosed = false
  #settled = Promise.withResolvers<void>()

  constructor(options: ThreadOptions) {
    this.#options = options
    this.#errors = new ThreadErrors(options.folder)
  }

  ask(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new MillraceError('server_stopping'))
      if (this.#isLate) return reject(this.#errors.late(this.#options.timeoutMs))
      if (!this.#queue.add({ request, addedAt: performance.now(), resolve, reject })) return reject(this.#errors.busy())
      // Other requests of the same tick join the group. The worker is idle: none of them can be late.
      if (this.#queue.length === 1 && this.#group.length === 0) setImmediate(() => this.#send(Number.NEGATIVE_INFINITY))
    })
  }

  /** Answers the requests made so far, within the time that a call may take, and ends the worker. */
  async close(): Promise<void> {
    this.#isClosed = true
    while (this.#group.length + this.#queue.length > 0 && !this.#isLate) await this.#settled.promise
    const worker = this.#worker
    this.#worker = undefined
    if (worker === undefined) return
    // A worker that does not respond would not handle the message.
    if (this.#isLate) return void worker.terminate()
    await new Promise<void>((resolve) => {
      worker.once('exit', () => resolve())
      worker.ref()
      worker.postMessage('close')
    })
  }

  /** Requests that were added before `lateBefore` are rejected. */
  #send(lateBefore = performance.now() - this.#options.timeoutMs): void {
    if (this.#group.length > 0) return
    const { timeoutMs } = this.#options
    const { late, group } = this.#queue.take(lateBefore)
    for (const { reject } of late) reject(this.#errors.busy())
    this.#group = group
    if (group.length === 0) return
    try {
      this.#worker ??= this.#start()
      // The process stays alive for its requests, and for nothing else of the worker.
      this.#worker.ref()
      this.#worker.postMessage(group.map(({ request }) => toMessage(request)))
      this.#timer = setTimeout(() => this.#rejectAll(), timeoutMs)
    } catch (error) {
      this.#fail('unusable', (error as Error).message)
    }
  }

  #start(): Worker {
    const { folder, limits } = this.#options
    mkdirSync(folder, { recursive: true })
    const worker = startThread('worker', { file: join(folder, 'millrace.db'), limits })
    worker.on('message', (reply: ReplyMessage) => this.#settle({ ...reply, answers: reply.answers.map(fromAnswerMessage) }))
    worker.on('error', (error) => this.#fail('internal', error.message))
    // The next request starts another worker.
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
      this.#fail('internal', 'The thread of the SQLite engine ended.')
    })
    return worker
  }

  #rejectAll(): void {
    this.#isLate = true
    this.#worker?.unref()
    // Waiting requests never happen; the ones in the group still may.
    const error = this.#errors.late(this.#options.timeoutMs)
    for (const { reject } of [...this.#group, ...this.#queue.takeAll()]) reject(error)
    this.#notifySettled()
  }

  #fail(kind: Failure['kind'], message: string): void {
    this.#settle({ answers: [], failure: { kind, message } })
  }

  #settle({ answers, failure = { kind: 'internal', message: 'There is no answer.' }, warning }: Reply): void {
    if (warning !== undefined) this.#options.onWarning?.(warning)
    const group = this.#group
    this.#group = []
    clearTimeout(this.#timer)
    this.#worker?.unref()
    if (this.#isLate) {
      this.#isLate = false
      for (const { request } of group) this.#options.onLate?.(request)
    }
    for (const [index, { request, resolve, reject }] of group.entries()) {
      const answer = answers[index]
      if (answer === undefined) reject(this.#errors.failed(failure))
      else if (answer.failure !== undefined) reject(this.#errors.failedRequest(answer.failure, request))
      else if (answer.rejected !== undefined) reject(this.#errors.rejected(answer.rejected, answer))
      else resolve(answer)
    }
    this.#send()
    this.#notifySettled()
  }

  #notifySettled(): void {
    this.#settled.resolve()
    this.#settled = Promise.withResolvers()
  }
}
