/**
 * Sends the webhooks of one target: several at a time, each until its receiver has confirmed it or has failed too often. What
 * waits is bounded in number and bytes: a receiver that is away costs a bounded amount of memory.
 */
import type { SendRequest } from '../../outgoing/request.ts'
import type { Delivery, DeliveryStatus } from './delivery.ts'
import { signatureHeaders, type Target } from './target.ts'

export interface SenderOptions {
  readonly target: Target
  readonly send: SendRequest
  readonly version: string
  /** Called when a delivery will not be attempted again. */
  readonly onSettled?: (delivery: Delivery) => void
  /** Milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number
  /** From 0 up to 1; default `Math.random`. */
  readonly random?: () => number
}

interface Queued {
  readonly delivery: Delivery
  readonly body: string
}

const second = 1000
/** After each failed attempt; then it has failed. In all about five hours. */
export const retryDelaysMs = [5 * second, 30 * second, 120 * second, 600 * second, 1800 * second, 3600 * second, 10_800 * second]
/** Retries of many deliveries that failed together are spread. */
const jitter = 0.2
const attemptMsMax = 15 * second
const retryAfterMsMax = 3600 * second
const atOnceMax = 4
const waitingMax = 1000
const waitingBytesMax = 4 * 1024 * 1024

export class WebhookSender {
  readonly #options: SenderOptions
  readonly #now: () => number
  readonly #random: () => number
  /** In the order in which they are sent. */
  readonly #due: Queued[] = []
  readonly #retries = new Map<Queued, ReturnType<typeof setTimeout>>()
  #active = 0
  #waitingBytes = 0
  #isGone = false
  #isClosing = false
  #onIdle: (() => void) | undefined

  constructor(options: SenderOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#random = options.random ?? Math.random
  }

  /** Deliveries that wait or are being sent. */
  get waiting(): number {
    return this.#due.length + this.#retries.size + this.#active
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Its receiver has said that it wants no more: 410. */
  get isGone(): boolean {
    return this.#isGone
  }

  push(delivery: Delivery, body: string): void {
    const bytes = Buffer.byteLength(body)
    const isFull = this.waiting >= waitingMax || this.#waitingBytes + bytes > waitingBytesMax
    if (this.#isGone || this.#isClosing || isFull) return this.#settle(delivery, 'dropped')
    this.#waitingBytes += bytes
    this.#due.push({ delivery, body })
    this.#sendDue()
  }

  /** Sends what has not been tried yet, and resolves when that is done. Retries are given up. */
  async close(): Promise<void> {
    this.#isClosing = true
    for (const [queued, timer] of this.#retries) {
      clearTimeout(timer)
      this.#finish(queued, 'failed')
    }
    this.#retries.clear()
    if (this.waiting === 0) return
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
  }

  #sendDue(): void {
    while (this.#active < atOnceMax) {
      const queued = this.#due.shift()
      if (queued === undefined) break
      this.#active += 1
      void this.#attempt(queued).finally(() => {
        this.#active -= 1
        this.#sendDue()
        if (this.waiting === 0) this.#onIdle?.()
      })
    }
  }

  async #attempt(queued: Queued): Promise<void> {
    const { delivery } = queued
    if (this.#isGone) return this.#finish(queued, 'dropped')
    const startedAt = this.#now()
    delivery.attempts += 1
    delivery.lastAttemptAt = startedAt
    delete delivery.nextAttemptAt
    const { status, error, retryAfter } = await this.#post(queued)
    delivery.durationMs = this.#now() - startedAt
    if (status === undefined) delete delivery.lastStatus
    else delivery.lastStatus = status
    if (error === undefined) delete delivery.lastError
    else delivery.lastError = error
    if (status !== undefined && status >= 200 && status < 300) return this.#finish(queued, 'delivered')
    if (status === 410) this.#isGone = true
    const delayMs = retryDelaysMs[delivery.attempts - 1]
    if (delayMs === undefined || this.#isGone || this.#isClosing) return this.#finish(queued, 'failed')
    this.#retry(queued, Math.max(delayMs * (1 - jitter + 2 * jitter * this.#random()), retryAfter))
  }

  #retry(queued: Queued, delayMs: number): void {
    queued.delivery.nextAttemptAt = this.#now() + delayMs
    const timer = setTimeout(() => {
      this.#retries.delete(queued)
      this.#due.push(queued)
      this.#sendDue()
    }, delayMs).unref()
    this.#retries.set(queued, timer)
  }

  async #post({ delivery, body }: Queued): Promise<{ status?: number; error?: string; retryAfter: number }> {
    const { target, send, version } = this.#options
    const timestamp = Math.floor(this.#now() / 1000)
    const headers = {
      'content-type': 'application/json',
      'user-agent': `millrace/${version}`,
      ...signatureHeaders(target, { id: delivery.id, timestamp, body }),
    }
    try {
      // Nobody reads what the receiver says.
      const response = await send(target.url, { method: 'POST', headers, body, timeoutMs: attemptMsMax, bytesMax: 0 })
      const seconds = Number(response.headers['retry-after'] ?? 0)
      return { status: response.status, retryAfter: Math.min(seconds > 0 ? seconds * 1000 : 0, retryAfterMsMax) }
    } catch (cause) {
      return { error: (cause as Error).message.slice(0, 200), retryAfter: 0 }
    }
  }

  #finish({ delivery, body }: Queued, status: DeliveryStatus): void {
    this.#waitingBytes -= Buffer.byteLength(body)
    this.#settle(delivery, status)
  }

  #settle(delivery: Delivery, status: DeliveryStatus): void {
    delivery.status = status
    this.#options.onSettled?.(delivery)
  }
}
