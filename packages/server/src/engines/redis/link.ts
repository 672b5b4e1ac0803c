/**
 * The client for commands: it reconnects by itself, and knows which Redis process it is connected to, because another
 * process may have less data than the one before it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '@millrace/protocol'
import { createClient, ErrorReply } from '@redis/client'

export type RedisClient = ReturnType<typeof createClient>

/** Well within the time that nodes have to verify a log. */
const retryMsMax = 500
const retryMs = 50
const closeMsMax = 1000

function openClient(url: string): RedisClient {
  return createClient({
    url,
    // A command made for one Redis process must not wait for the next one.
    disableOfflineQueue: true,
    commandsQueueMaxLength: 100_000,
    // Each call has its own deadline.
    commandOptions: { timeout: 0 },
    socket: {
      connectTimeout: 2000,
      reconnectStrategy: (retries) => Math.min(retryMsMax, retryMs * 2 ** retries) * (0.5 + Math.random() / 2),
    },
  }) as RedisClient
}

export class Link {
  readonly client: RedisClient
  readonly #onReady: ((server: string) => void) | undefined
  #ready = Promise.withResolvers<string>()
  #isReady = false
  #current: string | undefined
  /** Redis has rejected INFO. */
  #isDenied = false
  #trouble: NodeJS.ErrnoException | undefined

  constructor(url: string, onReady?: (server: string) => void) {
    this.#onReady = onReady
    this.client = openClient(url)
    this.client.on('error', (error: Error) => {
      this.#trouble = error
      this.#lose()
    })
    this.client.on('reconnecting', () => this.#lose())
    this.client.on('ready', () => void this.#identify())
  }

  /** The id of the Redis process while it is connected. */
  get current(): string | undefined {
    return this.#current
  }

  /** Resolves with the id of the Redis process. Another promise after each loss of the connection. */
  get server(): Promise<string> {
    return this.#ready.promise
  }

  /** Rejects when the deadline (of `performance.now`) passes first. */
  within<T>(promise: Promise<T>, deadline: number): Promise<T> {
    // Not a race with a promise of the timer: this is on the path of every append.
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(this.#lateError()), Math.max(0, deadline - performance.now()))
      const settle =
        <V>(then: (value: V) => void) =>
        (value: V) => {
          clearTimeout(timer)
          then(value)
        }
      promise.then(settle(resolve), settle(reject))
    })
  }

  async close(): Promise<void> {
    this.#current = undefined
    this.#ready.promise.catch(() => {})
    this.#ready.reject(new MillraceError('server_stopping'))
    if (!this.client.isOpen) return
    const closed = this.#isReady ? this.client.close() : Promise.reject(new Error('not connected'))
    await Promise.race([closed, sleep(closeMsMax).then(() => Promise.reject(new Error('too slow')))]).catch(() =>
      this.client.destroy(),
    )
  }

  /** A Redis that denies INFO is asked again: its operator may allow it. */
  async #identify(): Promise<void> {
    try {
      const info = await this.client.sendCommand<string>(['INFO', 'server'])
      this.#trouble = undefined
      this.#isReady = true
      if (this.#isDenied) this.#ready = Promise.withResolvers()
      this.#isDenied = false
      const server = /run_id:(\w+)/.exec(info)?.[1] ?? ''
      this.#current = server
      this.#ready.resolve(server)
      this.#onReady?.(server)
    } catch (cause) {
      // The connection was lost again; the next one asks.
      if (!(cause instanceof ErrorReply)) return
      this.#isDenied = true
      this.#ready.promise.catch(() => {})
      this.#ready.reject(deniedError('INFO', cause))
      setTimeout(() => void this.#identify(), retryMsMax).unref()
    }
  }

  #lose(): void {
    if (!this.#isReady) return
    this.#isReady = false
    this.#current = undefined
    this.#ready = Promise.withResolvers()
  }

  #lateError(): MillraceError {
    const trouble = this.#trouble
    const reason = trouble === undefined ? '' : ` (${trouble.message || trouble.code})`
    const message = `Redis did not respond in time${reason}; check its address, and that it runs.`
    return new MillraceError('engine_failed', { message, ...(trouble !== undefined && { cause: trouble }) })
  }
}

export function deniedError(command: string, cause: ErrorReply): MillraceError {
  const message = `Redis denies ${command}, which Millrace needs (${cause.message}); allow it to this user with ACL SETUSER.`
  return new MillraceError('engine_failed', { message, cause })
}
