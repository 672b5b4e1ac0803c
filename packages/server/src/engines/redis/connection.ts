/**
 * One connection for commands and one to hear by, which come back by themselves. A call waits for it, and is made again where it was cut
 * off, until its time is up; so what is called MUST be safe to be called twice.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '@millrace/protocol'
import { createClient, ErrorReply } from '@redis/client'

type Client = ReturnType<typeof createClient>

export interface Connection {
  /** Runs a script until `deadline` (of `performance.now`); `args` is asked anew each time, with the Redis process it goes to. */
  run(script: string, keys: readonly string[], args: (server: string) => readonly string[], deadline: number): Promise<unknown>
  /** Sends plain commands, one behind the other; with the Redis process that has answered them. */
  ask(commands: readonly string[][], deadline: number): Promise<{ readonly server: string; readonly answers: readonly unknown[] }>
  /** Hears what is published in a channel, until the returned function is called. */
  subscribe(channel: string, onMessage: (message: string) => void): Promise<() => void>
  close(): Promise<void>
}

export interface ConnectionOptions {
  readonly url: string
  /** Connected, perhaps again, to the Redis process of this id. */
  readonly onReady?: (server: string) => void
  /** It hears again, or for the first time; absent where it is to hear nothing. */
  readonly onSubscribed?: () => void
  /** What is run is not answered before so many replicas have it; default 0. */
  readonly replicas?: number
}

/** Refusals that pass: starting, failing over, moving slots, an odd script. https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors */
const passing = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY) /
/** It would keep no more. */
const full = /^(OOM|MISCONF) /
const retryMs = 50
/** Well within the time that servers have to vouch for a log. */
const retryMsMax = 500
const closeMsMax = 1000
const waitSlackMs = 250

export function createConnection({ url, onReady, onSubscribed, replicas = 0 }: ConnectionOptions): Connection {
  const client = createClient({
    url,
    // A command that was made for one Redis process must not wait for the next one.
    disableOfflineQueue: true,
    commandsQueueMaxLength: 100_000,
    // Each call has a deadline of its own.
    commandOptions: { timeout: 0 },
    socket: {
      connectTimeout: 2000,
      reconnectStrategy: (retries) => Math.min(retryMsMax, retryMs * 2 ** retries) * (0.5 + Math.random() / 2),
    },
  }) as Client
  const digests = new Map<string, string>()
  let ready = Promise.withResolvers<string>()
  let isReady = false
  let isRefused = false
  let trouble: NodeJS.ErrnoException | undefined

  client.on('error', (error: Error) => {
    trouble = error
    lose()
  })
  client.on('reconnecting', lose)
  client.on('ready', () => void identify())
  const subscriber = client.duplicate({ disableOfflineQueue: false }) as Client
  // Its troubles are those of the other one; it comes back by itself, and so does what it listens to.
  subscriber.on('error', () => {})
  if (onSubscribed !== undefined) subscriber.on('ready', onSubscribed)
  // Only a client that was closed stops trying, and that needs no telling.
  for (const each of onSubscribed === undefined ? [client] : [client, subscriber]) each.connect().catch(() => {})
  let confirming: Promise<number> | undefined

  return {
    async subscribe(channel, onMessage) {
      const listener = (message: string) => onMessage(message)
      await subscriber.sSubscribe(channel, listener)
      return () => void subscriber.sUnsubscribe(channel, listener).catch(() => {})
    },
    run(script, keys, args, deadline) {
      const act = async (server: string, isCut: () => boolean) => {
        const answer = await client.sendCommand(['EVALSHA', digestOf(script), String(keys.length), ...keys, ...args(server)])
        if (replicas === 0) return answer
        const cached = await confirm(deadline)
        if (isCut()) throw new Error('another connection has been asked, which has written nothing')
        if (cached >= replicas) return answer
        throw new MillraceError('engine_failed', {
          message: `Only ${cached} of ${replicas} replicas of Redis answer; see that they run and are reached.`,
        })
      }
      return perform(act, deadline, script)
    },
    ask(commands, deadline) {
      const act = async (server: string) => ({
        server,
        answers: await Promise.all(commands.map((command) => client.sendCommand(command))),
      })
      return perform(act, deadline)
    },
    async close() {
      ready.promise.catch(() => {})
      ready.reject(new MillraceError('server_stopping'))
      if (subscriber.isOpen) subscriber.destroy()
      if (!client.isOpen) return
      const closed = isReady ? client.close() : Promise.reject(new Error('not connected'))
      await Promise.race([closed, sleep(closeMsMax).then(() => Promise.reject(new Error('too slow')))]).catch(() =>
        client.destroy(),
      )
    },
  }

  /** Learns which Redis process this is. One that refuses to say so is asked again: its operator may change that. */
  async function identify(): Promise<void> {
    try {
      const info = await client.sendCommand<string>(['INFO', 'server'])
      trouble = undefined
      isReady = true
      if (isRefused) ready = Promise.withResolvers()
      isRefused = false
      const server = /run_id:(\w+)/.exec(info)?.[1] ?? ''
      ready.resolve(server)
      onReady?.(server)
    } catch (cause) {
      // Cut off again; the next connection asks anew.
      if (!(cause instanceof ErrorReply)) return
      isRefused = true
      ready.promise.catch(() => {})
      ready.reject(notAllowed('INFO', cause))
      setTimeout(() => void identify(), retryMsMax).unref()
    }
  }

  /** Until it is done, refused for good, or its time is up. */
  async function perform<T>(
    act: (server: string, isCut: () => boolean) => Promise<T>,
    deadline: number,
    script?: string,
  ): Promise<T> {
    for (;;) {
      const link = ready
      const server = await within(link.promise, deadline)
      try {
        return await within(
          act(server, () => link !== ready),
          deadline,
        )
      } catch (error) {
        if (error instanceof MillraceError) throw error
        await recover(error as Error, script)
      }
    }
  }

  /** One for all that was run in a turn. https://redis.io/docs/latest/commands/wait/ */
  function confirm(deadline: number): Promise<number> {
    confirming ??= new Promise(setImmediate).then(() => {
      confirming = undefined
      // Before the time is up, so that it is this answer that is heard: Redis looks ten times a second. 0 would be for ever.
      const ms = Math.max(1, Math.floor(deadline - performance.now() - waitSlackMs))
      return client.sendCommand(['WAIT', String(replicas), String(ms)]) as unknown as Promise<number>
    })
    return confirming
  }

  function lose(): void {
    if (!isReady) return
    isReady = false
    ready = Promise.withResolvers()
  }

  /** Returns where the call is worth making again. */
  async function recover(error: Error, script = ''): Promise<void> {
    if (!(error instanceof ErrorReply)) return sleep(1)
    if (error.message.startsWith('NOSCRIPT')) return load(script)
    if (passing.test(error.message)) return sleep(retryMs)
    if (full.test(error.message)) throw new MillraceError('log_full', { cause: error })
    throw new MillraceError('engine_failed', { cause: error })
  }

  async function load(script: string): Promise<void> {
    try {
      await client.sendCommand(['SCRIPT', 'LOAD', script])
    } catch (error) {
      if (error instanceof ErrorReply && error.message.startsWith('NOPERM')) throw notAllowed('SCRIPT LOAD', error)
      // Cut off here too, it is found missing once more.
    }
  }

  function notAllowed(command: string, cause: ErrorReply): MillraceError {
    const message = `Redis refuses ${command}, which Millrace needs (${cause.message}); allow it to this user with ACL SETUSER.`
    return new MillraceError('engine_failed', { message, cause })
  }

  async function within<T>(promise: Promise<T>, deadline: number): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<never>((_, reject) => {
      const tooLate = () => {
        const message = `Redis did not answer in time${trouble === undefined ? '' : ` (${trouble.message || trouble.code})`}; it is tried again by itself.`
        reject(new MillraceError('engine_failed', { message, ...(trouble !== undefined && { cause: trouble }) }))
      }
      timer = setTimeout(tooLate, Math.max(0, deadline - performance.now()))
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }

  function digestOf(script: string): string {
    const digest = digests.get(script) ?? createHash('sha1').update(script).digest('hex')
    digests.set(script, digest)
    return digest
  }
}
