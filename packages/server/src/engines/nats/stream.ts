/**
 * The JetStream stream that holds all logs, one subject for each. A message that is stored carries an id, so that
 * JetStream stores it once even when the call is repeated.
 */
import { MillraceError } from '@millrace/protocol'
import { JetStreamApiError, type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { Connection, callMsMax } from './connection.ts'
import { token, untoken } from './list.ts'

/** A message in the stream. */
export interface Stored {
  readonly seq: number
  readonly data: Uint8Array
}

/**
 * Takes the next message of a log. A message that came from a replica, which may lag behind the leader, is `doubtful`
 * if it does not follow the one before it: it MUST NOT be taken then, and the leader's message follows.
 */
export type Take = (message: Stored, isFromLeader: boolean) => 'more' | 'enough' | 'doubtful'

export interface LogStreamOptions {
  readonly url: string
  /** The stream's name; its subjects are `name.log.*`. */
  readonly name: string
  readonly ageMsMax: number
  readonly onConnected: () => void
}

/** https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const wrongLastSequence = 10071
const noMessageFound = 10037
const noStreamFound = 10059
const noRoom = new Set([10023, 10047, 10077])
/** JetStream rejects a smaller `max_age`. */
const ageMsMin = 100
/** Of one direct read; a read of the leader follows where that returns fewer than there are. */
const batchMax = { batch: 256, max_bytes: 1024 * 1024 }

export class LogStream {
  readonly #options: LogStreamOptions
  readonly #connection: Connection
  readonly #instance = Math.random().toString(36).slice(2)
  #client: JetStreamClient | undefined
  #messageIds = 0

  /** Throws a TypeError for an invalid URL. */
  constructor(options: LogStreamOptions) {
    this.#options = options
    const { url, onConnected } = options
    this.#connection = new Connection({ url, onConnected, prepare: (nc) => this.#prepare(nc) })
  }

  get bytesMax(): number {
    return this.#connection.bytesMax
  }

  get isInCluster(): boolean {
    return this.#connection.isInCluster
  }

  /**
   * Stores a message as the next one of a log whose last message MUST have the sequence `after`, 0 for none. Returns
   * its sequence, or undefined if the log's last message is another one.
   */
  store(log: string, data: Uint8Array, after: number, deadline: number): Promise<number | undefined> {
    const msgID = `${this.#instance}-${++this.#messageIds}`
    return this.#connection.call('write', deadline, async (nc, timeout) => {
      this.#client ??= jetstream(nc)
      const options = { msgID, timeout, expect: { lastSubjectSequence: after } }
      try {
        return (await this.#client.publish(this.#subject(log), data, options)).seq
      } catch (error) {
        if (!(error instanceof JetStreamApiError)) throw error
        if (error.code === wrongLastSequence) return undefined
        throw noRoom.has(error.code) ? new MillraceError('log_full', { cause: error }) : error
      }
    })
  }

  /** The last message of a log, read from the leader. */
  last(log: string, deadline: number): Promise<Stored | undefined> {
    return this.#read(deadline, { last_by_subj: this.#subject(log) })
  }

  /** The message with a sequence, of whatever log, read from the leader. */
  get(seq: number, deadline: number): Promise<Stored | undefined> {
    return this.#read(deadline, { seq })
  }

  /** Names of the logs that have messages. */
  names(deadline: number): Promise<readonly string[]> {
    const prefix = `${this.#options.name}.log.`
    return this.#connection.call('read', deadline, async (nc, timeout) => {
      const { state } = await (await manage(nc, timeout)).streams.info(this.#options.name, { subjects_filter: `${prefix}*` })
      return Object.keys(state.subjects ?? {}).map((subject) => untoken(subject.slice(prefix.length)))
    })
  }

  /** Passes the messages of a log from a sequence on to `take`, each once, until `take` has enough or there are no more. */
  async each(log: string, from: number, take: Take, deadline: number): Promise<void> {
    let next = Math.max(1, from)
    let attempts = 0
    const subject = this.#subject(log)
    try {
      await this.#connection.call('read', deadline, async (nc, timeout) => {
        // An earlier attempt may still receive messages, which it MUST NOT pass on.
        const attempt = ++attempts
        for (;;) {
          for await (const message of this.#readBatch(nc, { seq: next, next_by_subj: subject }, timeout)) {
            if (attempt !== attempts) return
            const answer = take(message, false)
            if (answer === 'doubtful') break
            next = message.seq + 1
            if (answer === 'enough') return
          }
          const message = await this.#readOne(nc, { seq: next, next_by_subj: subject }, timeout)
          if (message === undefined || attempt !== attempts) return
          next = message.seq + 1
          if (take(message, true) !== 'more') return
        }
      })
    } finally {
      attempts += 1
    }
  }

  /** Overwrites a message in the files of JetStream and removes it. Succeeds if there is no such message. */
  erase(seq: number, deadline: number): Promise<void> {
    return this.#connection.call('write', deadline, async (nc, timeout) => {
      const response = await nc.request(this.#api('STREAM.MSG.DELETE'), JSON.stringify({ seq }), { timeout })
      const { error } = response.json<{ error?: { description: string } }>()
      if (error === undefined || (await this.#readOne(nc, { seq }, timeout)) === undefined) return
      throw new Error(error.description)
    })
  }

  /** Removes the messages of a log before a sequence, without waiting. What a failure leaves, the next call removes. */
  purge(log: string, before: number): void {
    const request = JSON.stringify({ filter: this.#subject(log), seq: before })
    this.#connection.current?.request(this.#api('STREAM.PURGE'), request, { timeout: callMsMax }).catch(() => {})
  }

  /** Notifies every node that watches a log of its head, 0 when the log has ended or has a new epoch. May be lost. */
  notify(log: string, head: number): void {
    this.#connection.current?.publish(this.#notifications(log), String(head))
  }

  /** Calls back with what `notify` sends on any node, this one included. */
  subscribe(log: string, onNotified: (head: number) => void): Promise<() => void> {
    return this.#connection.subscribe(this.#notifications(log), (head) => onNotified(Number(head)))
  }

  /** Sends a message to the nodes that are subscribed to a topic; it is not stored. */
  publish(topic: string, message: string, deadline: number): Promise<void> {
    return this.#connection.publish(this.#topic(topic), message, deadline)
  }

  /** Calls back with what `publish` sends on any node, this one included. */
  subscribeTopic(topic: string, onMessage: (message: string) => void, deadline: number): Promise<() => void> {
    return this.#connection.subscribeUntil(this.#topic(topic), onMessage, deadline)
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  /** Creates the stream where it is missing. An existing one keeps its operator's settings. */
  async #prepare(nc: NatsConnection): Promise<void> {
    const { name, ageMsMax } = this.#options
    const { streams } = await manage(nc, callMsMax)
    const { config } = await streams.info(name).catch((error) => {
      if (!(error instanceof JetStreamApiError) || error.code !== noStreamFound) throw error
      const subjects = [`${name}.log.*`]
      return streams.add({ name, subjects, max_age: Math.max(ageMsMin, ageMsMax) * 1e6, allow_direct: true })
    })
    if (config.allow_direct) return
    const message = `The stream ${name} does not allow direct reads; run: nats stream edit ${name} --allow-direct`
    throw new MillraceError('engine_failed', { message })
  }

  #read(deadline: number, query: object): Promise<Stored | undefined> {
    return this.#connection.call('read', deadline, (nc, timeout) => this.#readOne(nc, query, timeout))
  }

  /** Asks the leader: https://docs.nats.io/reference/reference-protocols/nats_api_reference#fetching-from-a-stream-by-sequence */
  async #readOne(nc: NatsConnection, query: object, timeout: number): Promise<Stored | undefined> {
    const response = await nc.request(this.#api('STREAM.MSG.GET'), JSON.stringify(query), { timeout })
    const { message, error } = response.json<GetResponse>()
    if (message !== undefined) return { seq: message.seq, data: Buffer.from(message.data ?? '', 'base64') }
    if (error?.err_code === noMessageFound) return undefined
    throw new Error(error?.description ?? 'the response has no message')
  }

  /** Asks any replica. An empty message ends the batch, and so does the timeout. */
  async *#readBatch(nc: NatsConnection, query: object, timeout: number): AsyncGenerator<Stored> {
    const request = JSON.stringify({ ...query, ...batchMax })
    const responses = await nc.requestMany(this.#api('DIRECT.GET'), request, { strategy: 'sentinel', maxWait: timeout })
    for await (const { data, headers } of responses) {
      const seq = Number(headers?.get('Nats-Sequence'))
      if (seq > 0) yield { seq, data }
    }
  }

  #api(call: string): string {
    return `$JS.API.${call}.${this.#options.name}`
  }

  #subject(log: string): string {
    return `${this.#options.name}.log.${token(log)}`
  }

  #topic(topic: string): string {
    return `${this.#options.name}.broadcast.${token(topic)}`
  }

  #notifications(log: string): string {
    return `${this.#options.name}.notify.${token(log)}`
  }
}

function manage(nc: NatsConnection, timeout: number): Promise<JetStreamManager> {
  return jetstreamManager(nc, { checkAPI: false, timeout })
}

interface GetResponse {
  readonly message?: { readonly seq: number; readonly data?: string }
  readonly error?: { readonly err_code: number; readonly description: string }
}
