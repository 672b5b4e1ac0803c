/**
 * One connection to NATS, which comes back by itself, and the stream that holds all logs. A call is made again where
 * it was cut off, until its time is up; what is stored carries an id, so that it is stored once.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '@millrace/protocol'
import { JetStreamApiError, type JetStreamClient, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection, type ConnectionOptions as NatsOptions } from '@nats-io/transport-node'

/** A message as it stands in the stream. */
export interface Stored {
  readonly seq: number
  readonly data: Uint8Array
}

/**
 * A message of a replica, which may lag, or lack something, is `doubtful` where it does not follow what was taken
 * before: it MUST NOT be taken then, and what the leader has there comes next.
 */
export type Take = (message: Stored, isLeaders: boolean) => 'more' | 'enough' | 'doubtful'

export interface Connection {
  /**
   * Stores a message as the next of its subject, whose last one MUST have the sequence `after`, 0 for none. Undefined
   * where it has another.
   */
  store(subject: string, data: Uint8Array, after: number, deadline: number): Promise<number | undefined>
  /** The last message of a subject, if there is one. */
  last(subject: string, deadline: number): Promise<Stored | undefined>
  /** Subjects in which there are messages. */
  subjects(deadline: number): Promise<readonly string[]>
  /** Messages of a subject from a sequence on, until `take` has enough or there are no more for now. */
  each(subject: string, from: number, take: Take, deadline: number): Promise<void>
  /** Overwrites a message where it is stored, and lets it go; one that is gone is none. */
  erase(seq: number, deadline: number): Promise<void>
  /** Lets go of messages before a sequence; nobody waits for it. */
  purge(subject: string, before: number): void
  publish(subject: string, text: string): void
  subscribe(subject: string, onMessage: (text: string) => void): Promise<() => void>
  /** What a message may be at most. */
  readonly bytesMax: number
  /** Whether it is one of several that may answer, of which one may be behind. */
  readonly isInCluster: boolean
  close(): Promise<void>
}

export interface ConnectionOptions {
  readonly url: string
  /** Name of the stream; its subjects are `name.log.*`. */
  readonly stream: string
  readonly ageMsMax: number
  readonly onConnected: () => void
}

type Kind = 'read' | 'write'

/** https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const wrongLastSequence = 10071
const noMessageFound = 10037
const noStreamFound = 10059
/** Go's zero time: https://pkg.go.dev/time#Time */
const zeroTime = '0001-01-01T00:00:00'
const outOfRoom = new Set([10023, 10047, 10077])
/** JetStream refuses less. */
const ageMsLeast = 100
const retryMs = 100
const callMsMax = 2000
/** One of a cluster that has had no answer for so long may be cut off from the others. */
const silentMsMax = 4000
const closeMsMax = 1000

export function createConnection({ url, stream, ageMsMax, onConnected }: ConnectionOptions): Connection {
  const whom = parseServers(url)
  let ids = 0
  let isClosed = false
  const instance = Math.random().toString(36).slice(2)
  /** What rejects each call under way. */
  const pending = new Set<(error: Error) => void>()
  let online = Promise.withResolvers<void>()
  online.resolve()
  let trouble: Error | undefined
  /** Since when nothing was answered: only writing shows that there is a majority behind who answers. */
  let silence: { readonly since: number; readonly kind: Kind } | undefined
  let connection: NatsConnection | undefined
  const opening = open()
  // Whoever calls is told.
  opening.catch(() => {})

  return {
    get bytesMax() {
      return connection?.info?.max_payload ?? 1024 * 1024
    },

    get isInCluster() {
      return connection?.info?.cluster !== undefined
    },

    store(subject, data, after, deadline) {
      ids += 1
      const msgID = `${instance}-${ids}`
      return call('write', deadline, async ({ js }, timeout) => {
        const options = { msgID, timeout, expect: { lastSubjectSequence: after } }
        try {
          return (await js.publish(subject, data, options)).seq
        } catch (error) {
          if (error instanceof JetStreamApiError && error.code === wrongLastSequence) return undefined
          throw error
        }
      })
    },

    last: (subject, deadline) => call('read', deadline, ({ nc }, timeout) => get(nc, { last_by_subj: subject }, timeout)),

    subjects: (deadline) =>
      call('read', deadline, async ({ nc }, timeout) => {
        const manager = await jetstreamManager(nc, { checkAPI: false, timeout })
        const { state } = await manager.streams.info(stream, { subjects_filter: `${stream}.log.*` })
        return Object.keys(state.subjects ?? {})
      }),

    each(subject, from, take, deadline) {
      // Where it is cut off it goes on: nothing is taken twice, and nothing by what was given up.
      let at = Math.max(1, from)
      let attempts = 0
      const reading = call('read', deadline, async ({ nc, js }, timeout) => {
        const attempt = ++attempts
        const isOver = () => attempt !== attempts
        for (;;) {
          const message = await get(nc, { seq: at, next_by_subj: subject }, timeout)
          if (message === undefined || isOver()) return
          at = message.seq + 1
          if (take(message, true) !== 'more' || !(await goOnFor(timeout, js, message.seq, isOver))) return
        }
      })
      return reading.finally(() => {
        attempts += 1
      })

      /** A consumer may be on one of a cluster that is away, and would be waited for; the leader knows what it would have given. */
      function goOnFor(timeout: number, js: JetStreamClient, first: number, isOver: () => boolean): Promise<boolean> {
        let isLate = false
        const late = sleep(timeout, true, { ref: false }).then(() => {
          isLate = true
          return true
        })
        return Promise.race([goOn(js, first, timeout, () => isLate || isOver()), late])
      }

      /** What a consumer gives behind a message that was taken, until something may be missing; false where that is enough. */
      async function goOn(js: JetStreamClient, first: number, timeout: number, isOver: () => boolean): Promise<boolean> {
        const consumer = await js.consumers.get(stream, {
          filter_subjects: subject,
          deliver_policy: 'by_start_sequence' as never,
          opt_start_seq: first,
        })
        try {
          let count = 0
          for (let hasMore = true; hasMore; ) {
            hasMore = false
            const messages = await consumer.fetch({ max_messages: 256, expires: Math.max(1000, timeout) })
            for await (const { seq, data, info } of messages) {
              count += 1
              if (isOver() || info.deliverySequence !== count || (count === 1 && seq !== first)) return true
              hasMore = info.pending > 0
              if (count > 1) {
                const answer = take({ seq, data }, false)
                if (answer === 'doubtful') return true
                at = seq + 1
                if (answer === 'enough') return false
              }
              if (!hasMore) break
            }
          }
          return true
        } finally {
          void consumer.delete().catch(() => {})
        }
      }
    },

    erase: (seq, deadline) =>
      call('write', deadline, async ({ nc }, timeout) => {
        const answer = await nc.request(`$JS.API.STREAM.MSG.DELETE.${stream}`, JSON.stringify({ seq }), { timeout })
        const { error } = answer.json<{ error?: { description: string } }>()
        if (error === undefined || (await get(nc, { seq }, timeout)) === undefined) return
        throw new Error(error.description)
      }),

    purge(subject, before) {
      // What stays is purged with what comes.
      connection
        ?.request(`$JS.API.STREAM.PURGE.${stream}`, JSON.stringify({ filter: subject, seq: before }), { timeout: callMsMax })
        .catch(() => {})
    },

    publish: (subject, text) => connection?.publish(subject, text),

    async subscribe(subject, onMessage) {
      const { nc } = await opening
      const subscription = nc.subscribe(subject, {
        callback(error, message) {
          if (error === null) onMessage(message.string())
        },
      })
      try {
        // Answered when the server has taken what was said before.
        await nc.flush()
      } catch (error) {
        // The client would subscribe again with the next connection, and so does who asked.
        subscription.unsubscribe()
        throw error
      }
      return () => subscription.unsubscribe()
    },

    async close() {
      isClosed = true
      if (connection === undefined) return void opening.then(({ nc }) => nc.close()).catch(() => {})
      const late = new Promise((resolve) => setTimeout(resolve, closeMsMax).unref())
      await Promise.race([connection.close(), late])
    },
  }

  /** By the leader: https://docs.nats.io/reference/reference-protocols/nats_api_reference#fetching-from-a-stream-by-sequence */
  async function get(nc: NatsConnection, question: object, timeout: number): Promise<Stored | undefined> {
    const answer = await nc.request(`$JS.API.STREAM.MSG.GET.${stream}`, JSON.stringify(question), { timeout })
    const { message, error } = answer.json<GetResponse>()
    if (message !== undefined) return { seq: message.seq, data: Buffer.from(message.data ?? '', 'base64') }
    if (error?.err_code === noMessageFound) return undefined
    throw new Error(error?.description ?? 'no message in the answer')
  }

  async function open() {
    const nc = await connect({
      ...whom,
      maxReconnectAttempts: -1,
      waitOnFirstConnect: true,
      reconnectTimeWait: retryMs,
      timeout: callMsMax,
    })
    if (isClosed) await nc.close()
    connection = nc
    await ensureStream(nc)
    void follow(nc)
    onConnected()
    return { nc, js: jetstream(nc) }
  }

  /** Makes the stream where there is none, or none any more; one that is there keeps the settings that its operator gave it. */
  async function ensureStream(nc: NatsConnection): Promise<void> {
    const manager = await jetstreamManager(nc, { checkAPI: false, timeout: callMsMax })
    const config = {
      name: stream,
      subjects: [`${stream}.log.*`],
      max_age: Math.max(ageMsLeast, ageMsMax) * 1e6,
    }
    for (;;) {
      try {
        const { created } = await manager.streams.info(stream).catch((error) => {
          if (!(error instanceof JetStreamApiError) || error.code !== noStreamFound) throw error
          return manager.streams.add(config)
        })
        // Another node's, which 2.9 tells of before there is anything behind it: to read of it then ends the server.
        if (created.startsWith(zeroTime)) throw new Error('the stream is still being made')
        answered('read')
        return
      } catch (error) {
        if (isClosed) return
        trouble = error as Error
        unanswered('read')
        await sleep(retryMs)
      }
    }
  }

  async function follow(nc: NatsConnection): Promise<void> {
    for await (const { type } of nc.status()) {
      if (type === 'reconnect') {
        const { resolve } = online
        // Not waited for: it may be cut off again meanwhile.
        void ensureStream(nc).then(() => {
          resolve()
          onConnected()
        })
      }
      if (type !== 'disconnect') continue
      online = Promise.withResolvers()
      // What was asked is not answered any more; the client itself would wait for it until its time is up.
      for (const cutOff of pending) cutOff(new Error('the connection was cut'))
    }
  }

  async function call<T>(
    kind: Kind,
    deadline: number,
    act: (to: Awaited<ReturnType<typeof open>>, timeout: number) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const left = deadline - performance.now()
      if (isClosed) throw new MillraceError('server_stopping')
      if (left <= 0) throw late()
      try {
        const to = await within(opening, left)
        await within(online.promise, left)
        // Whole ones: JetStream takes no others.
        const answer = await within(act(to, Math.ceil(Math.min(callMsMax, left))), left)
        answered(kind)
        return answer
      } catch (error) {
        if (error instanceof MillraceError) throw error
        trouble = error as Error
        if (error instanceof JetStreamApiError && outOfRoom.has(error.code)) throw new MillraceError('log_full', { cause: error })
        unanswered(kind)
        await sleep(retryMs)
      }
    }
  }

  function answered(kind: Kind): void {
    if (kind === 'write' || silence?.kind === 'read') silence = undefined
  }

  /** Goes to another one of a cluster where this one has answered nothing for too long. */
  function unanswered(kind: Kind): void {
    silence ??= { since: performance.now(), kind }
    if (connection?.info?.cluster === undefined || performance.now() - silence.since < silentMsMax) return
    silence = undefined
    // Where it is on its way already, or over, it says so.
    connection.reconnect().catch(() => {})
  }

  async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined
    let cutOff: ((error: Error) => void) | undefined
    const broken = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(late()), ms)
      cutOff = reject
      pending.add(reject)
    })
    try {
      return await Promise.race([promise, broken])
    } finally {
      clearTimeout(timer)
      if (cutOff !== undefined) pending.delete(cutOff)
    }
  }

  function late(): MillraceError {
    const message = `NATS did not answer in time${trouble === undefined ? '' : ` (${trouble.message})`}; it is tried again by itself.`
    return new MillraceError('engine_failed', { message, ...(trouble !== undefined && { cause: trouble }) })
  }
}

/** The client itself knows neither several servers in one text nor who is to be let in. Throws a TypeError for what is no URL. */
function parseServers(url: string): Pick<NatsOptions, 'servers' | 'user' | 'pass' | 'token' | 'tls'> {
  const urls = url.split(',').map((each) => new URL(each.includes('://') ? each : `nats://${each}`))
  const [user = '', pass = ''] = urls.flatMap(({ username, password }) => (username === '' ? [] : [username, password]))
  return {
    servers: urls.map(({ host }) => host),
    ...(urls.some(({ protocol }) => protocol === 'tls:') && { tls: {} }),
    ...(pass === ''
      ? user !== '' && { token: decodeURIComponent(user) }
      : { user: decodeURIComponent(user), pass: decodeURIComponent(pass) }),
  }
}

interface GetResponse {
  readonly message?: { readonly seq: number; readonly data?: string }
  readonly error?: { readonly err_code: number; readonly description: string }
}
