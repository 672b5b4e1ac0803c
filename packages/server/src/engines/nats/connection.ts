/**
 * One connection to NATS that reconnects by itself. A call that a disconnect interrupts is made again until its
 * deadline, so every call MUST be safe to repeat.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '@millrace/protocol'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { checkVersion, parseServers } from './servers.ts'

export interface ConnectionOptions {
  readonly url: string
  /**
   * Runs after each connect, before any call, and again until it succeeds. Meanwhile calls wait; if it rejects with a
   * MillraceError, they reject with that.
   */
  readonly prepare: (nc: NatsConnection) => Promise<void>
  readonly onConnected: () => void
}

export type CallKind = 'read' | 'write'

const retryMs = 100
export const callMsMax = 2000
/** A server of a cluster that has not responded for this long may be cut off from the others. */
const silentMsMax = 4000
const closeMsMax = 1000

export class Connection {
  readonly #options: ConnectionOptions
  readonly #opening: Promise<NatsConnection>
  /** Rejects one call in progress each. */
  readonly #pending = new Set<(error: Error) => void>()
  #nc: NatsConnection | undefined
  #online = Promise.withResolvers<void>()
  #isPreparing = false
  /** Why the server cannot be used, while that is so. */
  #rejection: MillraceError | undefined
  #lastError: Error | undefined
  /** Since when calls have failed. A read does not end a silence of writes: only a write shows that the cluster has a majority. */
  #silence: { readonly since: number; readonly kind: CallKind } | undefined
  #isClosed = false

  /** Throws a TypeError for an invalid URL. */
  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#opening = this.#open(parseServers(options.url))
    // Calls await it too, and report the error.
    this.#opening.catch(() => {})
  }

  /** The most bytes that a message may have. */
  get bytesMax(): number {
    return this.#nc?.info?.max_payload ?? 1024 * 1024
  }

  /** In a cluster, a server that lags behind the others may respond. */
  get isInCluster(): boolean {
    return this.#nc?.info?.cluster !== undefined
  }

  /** Undefined before the first connect. */
  get current(): NatsConnection | undefined {
    return this.#nc
  }

  /** Repeats `act` until it succeeds, it rejects with a MillraceError, or the deadline passes (`engine_failed`). */
  async call<T>(kind: CallKind, deadline: number, act: (nc: NatsConnection, timeoutMs: number) => Promise<T>): Promise<T> {
    for (;;) {
      const left = deadline - performance.now()
      if (this.#isClosed) throw new MillraceError('server_stopping')
      if (this.#rejection !== undefined) throw this.#rejection
      if (left <= 0) throw this.#timeoutError()
      try {
        const nc = await this.#within(this.#ready(), left)
        // JetStream accepts no fractions of a millisecond.
        const result = await this.#within(act(nc, Math.ceil(Math.min(callMsMax, left))), left)
        this.#noteSuccess(kind)
        return result
      } catch (error) {
        if (error instanceof MillraceError) throw error
        this.#noteFailure(kind, error as Error)
        await sleep(retryMs)
      }
    }
  }

  /** Publishes once: unlike a call, a message that was repeated would be delivered twice. Resolves when the server has it. */
  async publish(subject: string, message: string, deadline: number): Promise<void> {
    await this.#once(deadline, async (nc) => {
      nc.publish(subject, message)
      await nc.flush()
    })
  }

  /** As `subscribe`, but waits until it is connected; rejects with `engine_failed` when the deadline passes. */
  async subscribeUntil(subject: string, onMessage: (text: string) => void, deadline: number): Promise<() => void> {
    let subscribing: Promise<() => void> | undefined
    try {
      return await this.#once(deadline, () => (subscribing = this.subscribe(subject, onMessage)))
    } catch (error) {
      // It may still be subscribed, after its caller got the error.
      subscribing?.then(
        (unsubscribe) => unsubscribe(),
        () => {},
      )
      throw error
    }
  }

  /** Resolves when the server has the subscription; rejects if the connection fails before that. */
  async subscribe(subject: string, onMessage: (text: string) => void): Promise<() => void> {
    const nc = await this.#opening
    const subscription = nc.subscribe(subject, {
      callback(error, message) {
        if (error === null) onMessage(message.string())
      },
    })
    try {
      // The server answers a flush after it has processed the subscription.
      await nc.flush()
    } catch (error) {
      // The client would restore the subscription after a reconnect, and the caller subscribes again then: it would be there twice.
      subscription.unsubscribe()
      throw error
    }
    return () => subscription.unsubscribe()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#nc === undefined) return void this.#opening.then((nc) => nc.close()).catch(() => {})
    const late = new Promise((resolve) => setTimeout(resolve, closeMsMax).unref())
    await Promise.race([this.#nc.close(), late])
  }

  /** Connected and prepared. */
  async #ready(): Promise<NatsConnection> {
    const nc = await this.#opening
    await this.#online.promise
    return nc
  }

  async #once<T>(deadline: number, act: (nc: NatsConnection) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new MillraceError('server_stopping')
    if (this.#rejection !== undefined) throw this.#rejection
    const left = () => deadline - performance.now()
    try {
      const nc = await this.#within(this.#ready(), left())
      return await this.#within(act(nc), left())
    } catch (cause) {
      if (cause instanceof MillraceError) throw cause
      throw new MillraceError('engine_failed', { cause })
    }
  }

  async #open(servers: ReturnType<typeof parseServers>): Promise<NatsConnection> {
    const nc = await connect({
      ...servers,
      maxReconnectAttempts: -1,
      waitOnFirstConnect: true,
      reconnectTimeWait: retryMs,
      timeout: callMsMax,
    })
    if (this.#isClosed) await nc.close()
    this.#nc = nc
    void this.#follow(nc)
    void this.#prepare(nc)
    return nc
  }

  async #follow(nc: NatsConnection): Promise<void> {
    for await (const { type } of nc.status()) {
      // Not awaited: the connection may fail again meanwhile.
      if (type === 'reconnect') void this.#prepare(nc)
      if (type !== 'disconnect') continue
      this.#online = Promise.withResolvers()
      // The client itself would wait for responses that cannot arrive any more until each call's timeout.
      this.#rejectPending(new Error('the connection was lost'))
    }
  }

  async #prepare(nc: NatsConnection): Promise<void> {
    if (this.#isPreparing) return
    this.#isPreparing = true
    for (let isDone = false; !isDone && !this.#isClosed; ) {
      const online = this.#online
      try {
        checkVersion(nc)
        await this.#options.prepare(nc)
        this.#noteSuccess('read')
        this.#rejection = undefined
        online.resolve()
        // A disconnect meanwhile has replaced it, and its reconnect was ignored because this was running.
        isDone = online === this.#online
      } catch (error) {
        this.#noteFailure('read', error as Error)
        this.#rejection = error instanceof MillraceError ? error : undefined
        if (this.#rejection !== undefined) this.#rejectPending(this.#rejection)
        await sleep(retryMs)
      }
    }
    this.#isPreparing = false
    if (!this.#isClosed) this.#options.onConnected()
  }

  #rejectPending(error: Error): void {
    for (const reject of this.#pending) reject(error)
  }

  #noteSuccess(kind: CallKind): void {
    if (kind === 'write' || this.#silence?.kind === 'read') this.#silence = undefined
  }

  /** Connects to another server of the cluster if this one has not responded for too long. */
  #noteFailure(kind: CallKind, error: Error): void {
    this.#lastError = error
    this.#silence ??= { since: performance.now(), kind }
    if (!this.isInCluster || performance.now() - this.#silence.since < silentMsMax) return
    this.#silence = undefined
    // Rejects if it is reconnecting already, or closed.
    this.#nc?.reconnect().catch(() => {})
  }

  /** Rejects when the time has passed or the connection is lost. */
  async #within<T>(promise: Promise<T>, ms: number): Promise<T> {
    const broken = Promise.withResolvers<never>()
    const timer = setTimeout(() => broken.reject(this.#timeoutError()), ms)
    this.#pending.add(broken.reject)
    try {
      return await Promise.race([promise, broken.promise])
    } finally {
      clearTimeout(timer)
      this.#pending.delete(broken.reject)
    }
  }

  #timeoutError(): MillraceError {
    const cause = this.#lastError
    const reason = cause === undefined ? '' : ` (${cause.message})`
    const message = `NATS did not respond in time${reason}; check its address, and that it runs.`
    return new MillraceError('engine_failed', { message, ...(cause !== undefined && { cause }) })
  }
}
