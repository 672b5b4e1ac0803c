/**
 * A connection for commands and one for subscriptions, which reconnect by themselves. A call waits for the connection,
 * and is made again when the connection was lost, until its deadline; so every call MUST be safe to make twice.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '@millrace/protocol'
import { ErrorReply } from '@redis/client'
import { deniedError, Link, type RedisClient } from './link.ts'

export interface ConnectionOptions {
  readonly url: string
  /** Connected, perhaps again, to the Redis process of this id. */
  readonly onReady?: (server: string) => void
  /** The subscriptions are connected, for the first time or again; absent in a connection without subscriptions. */
  readonly onSubscribed?: () => void
  /** A script resolves only when this number of replicas has its writes; default 0. */
  readonly replicas?: number
}

/** Errors that pass: starting, failing over, moving slots, a slow script. https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors */
const passing = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY) /
/** Redis cannot store more. */
const full = /^(OOM|MISCONF) /
const passingRetryMs = 50
const waitSlackMs = 250

export class Connection {
  readonly #link: Link
  readonly #subscriber: RedisClient
  readonly #replicas: number
  readonly #digests = new Map<string, string>()
  #confirming: Promise<number> | undefined

  constructor({ url, onReady, onSubscribed, replicas = 0 }: ConnectionOptions) {
    this.#replicas = replicas
    this.#link = new Link(url, onReady)
    this.#subscriber = this.#link.client.duplicate({ disableOfflineQueue: false }) as RedisClient
    // The link reports the same errors; the client reconnects and subscribes again by itself.
    this.#subscriber.on('error', () => {})
    if (onSubscribed !== undefined) this.#subscriber.on('ready', onSubscribed)
    // `connect` rejects only when the client was closed.
    for (const each of onSubscribed === undefined ? [this.#link.client] : [this.#link.client, this.#subscriber])
      each.connect().catch(() => {})
  }

  /** Runs a script until `deadline` (of `performance.now`); calls `args` for each attempt, with the id of the Redis process. */
  run(script: string, keys: readonly string[], args: (server: string) => readonly string[], deadline: number): Promise<unknown> {
    const act = async (server: string, isCut: () => boolean) => {
      const command = ['EVALSHA', this.#digestOf(script), String(keys.length), ...keys, ...args(server)]
      const answer = await this.#link.client.sendCommand(command)
      if (this.#replicas === 0) return answer
      const confirmed = await this.#confirm(deadline)
      if (isCut()) throw new Error('WAIT ran on another connection, which has written nothing')
      if (confirmed >= this.#replicas) return answer
      throw new MillraceError('engine_failed', {
        message: `Only ${confirmed} of ${this.#replicas} replicas of Redis respond; check that they run and can be reached.`,
      })
    }
    return this.#perform(act, deadline, script)
  }

  /** Sends plain commands in order; resolves with the id of the Redis process that has answered them. */
  ask(
    commands: readonly string[][],
    deadline: number,
  ): Promise<{ readonly server: string; readonly answers: readonly unknown[] }> {
    const act = async (server: string) => ({
      server,
      answers: await Promise.all(commands.map((command) => this.#link.client.sendCommand(command))),
    })
    return this.#perform(act, deadline)
  }

  /** Publishes once: unlike a call, a message that was repeated would be delivered twice. */
  async publish(channel: string, message: string, deadline: number): Promise<void> {
    try {
      await this.#link.within(this.#link.server, deadline)
      await this.#link.within(this.#link.client.sendCommand(['SPUBLISH', channel, message]), deadline)
    } catch (cause) {
      if (cause instanceof MillraceError) throw cause
      throw new MillraceError('engine_failed', { cause })
    }
  }

  /** Subscribes until the returned function is called. Without a deadline it waits until Redis is connected. */
  async subscribe(channel: string, onMessage: (message: string) => void, deadline?: number): Promise<() => void> {
    let isEnded = false
    const listener = (message: string) => {
      if (!isEnded) onMessage(message)
    }
    const end = () => {
      isEnded = true
      this.#subscriber.sUnsubscribe(channel, listener).catch(() => {})
    }
    const subscribing = this.#subscriber.sSubscribe(channel, listener)
    if (deadline === undefined) await subscribing
    else
      await this.#link.within(subscribing, deadline).catch((error) => {
        // It may still be subscribed, after its caller got the error.
        subscribing.then(end, () => {})
        throw error
      })
    return end
  }

  async close(): Promise<void> {
    if (this.#subscriber.isOpen) this.#subscriber.destroy()
    await this.#link.close()
  }

  /** Until it succeeds, is rejected permanently, or the deadline passes. */
  async #perform<T>(act: (server: string, isCut: () => boolean) => Promise<T>, deadline: number, script?: string): Promise<T> {
    for (;;) {
      const ready = this.#link.server
      const server = this.#link.current ?? (await this.#link.within(ready, deadline))
      try {
        const attempt = act(server, () => ready !== this.#link.server)
        return await this.#link.within(attempt, deadline)
      } catch (error) {
        if (error instanceof MillraceError) throw error
        await this.#recover(error as Error, script)
      }
    }
  }

  /** How many replicas have this connection's writes; one WAIT for all scripts of a tick. https://redis.io/docs/latest/commands/wait/ */
  #confirm(deadline: number): Promise<number> {
    this.#confirming ??= new Promise(setImmediate).then(() => {
      this.#confirming = undefined
      // Before the deadline, so that its answer arrives: Redis checks ten times a second. 0 would wait without end.
      const ms = Math.max(1, Math.floor(deadline - performance.now() - waitSlackMs))
      return this.#link.client.sendCommand(['WAIT', String(this.#replicas), String(ms)]) as unknown as Promise<number>
    })
    return this.#confirming
  }

  /** Resolves when the call is worth another attempt. */
  async #recover(error: Error, script = ''): Promise<void> {
    if (!(error instanceof ErrorReply)) return sleep(1)
    if (error.message.startsWith('NOSCRIPT')) return this.#load(script)
    if (passing.test(error.message)) return sleep(passingRetryMs)
    if (full.test(error.message)) throw new MillraceError('log_full', { cause: error })
    throw new MillraceError('engine_failed', { cause: error })
  }

  async #load(script: string): Promise<void> {
    try {
      await this.#link.client.sendCommand(['SCRIPT', 'LOAD', script])
    } catch (error) {
      if (error instanceof ErrorReply && error.message.startsWith('NOPERM')) throw deniedError('SCRIPT LOAD', error)
      // The connection was lost: the next attempt finds the script missing again.
    }
  }

  #digestOf(script: string): string {
    const digest = this.#digests.get(script) ?? createHash('sha1').update(script).digest('hex')
    this.#digests.set(script, digest)
    return digest
  }
}
