/** The logs under one prefix: the calls of the engine, as scripts, with what this node knows of each log. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Position } from '@millrace/protocol'
import type { Appended, AppendOptions, Broadcast, Counters, LogState, NewEvent, Page, ReadOptions } from '../../log/log.ts'
import { pageOfNames } from '../shared/names.ts'
import { createNotifier, type Notifier } from '../shared/notifier.ts'
import { createQueues } from '../shared/queues.ts'
import { readBounds } from '../shared/read-bounds.ts'
import { createRecentEvents } from '../shared/recent-events.ts'
import { type Added, Appender } from './appender.ts'
import { Calls } from './calls.ts'
import { packOldest } from './compaction.ts'
import { createCounters } from './counters.ts'
import { createPacks, type Entry, toPage } from './entries.ts'
import { HighWaterMarks, type Mark, verificationPollMs } from './high-water-marks.ts'
import { liveCommands, livePage } from './live.ts'
import { Names } from './names.ts'
import { appendedIn, headIn } from './notification.ts'
import * as scripts from './scripts.ts'

export interface RedisLogsOptions {
  readonly url: string
  readonly prefix: string
  readonly bytesMax: number
  readonly ageMsMax: number
  readonly replicas: number
  readonly timeoutMs: number
}

/**
 * After the first connection to a Redis process, engines that can verify a log are waited for: by then they are
 * connected, and each verifies the logs it knows as soon as it is.
 */
const verificationGraceMs = 2500
/** A reader at most this far behind reads with plain commands; further back the script returns larger pages. */
const liveMax = 16
/** Keys per SCAN: some milliseconds of Redis's time. */
const keysPerScan = 5000

interface Inspected {
  readonly state: LogState
  readonly isVerified: boolean
}

export class RedisLogs {
  readonly #options: RedisLogsOptions
  readonly #names: Names
  readonly #calls: Calls
  readonly #notifier: Notifier
  readonly #marks = new HighWaterMarks()
  readonly #recent = createRecentEvents()
  readonly #packs = createPacks()
  readonly #appender: Appender
  /** Messages, whose order it keeps. */
  readonly #inTurn = createQueues()
  readonly #sweeper: ReturnType<typeof setInterval>
  /** The Redis process connected last, and when a log in it may be verified by force. */
  #server = ''
  #forceFrom = Number.POSITIVE_INFINITY

  constructor(options: RedisLogsOptions) {
    const { url, prefix, replicas, timeoutMs, ageMsMax } = options
    this.#options = options
    this.#names = new Names(prefix)
    this.#calls = new Calls({
      url,
      names: this.#names,
      replicas,
      timeoutMs,
      onForeign: (log) => this.#forget(log),
      onReady: (server) => this.#onReady(server),
      onSubscribed: () => this.#onSubscribed(),
    })
    this.#appender = new Appender({
      ...options,
      calls: this.#calls,
      verification: (log, server) => this.#marks.argsFor(log, server, this.#mayForceVerify()),
      isSubscribed: (log) => this.#notifier.isSubscribed(log),
      onAdded: (log, added) => this.#onAdded(log, added),
      onForeign: (log) => this.#forget(log),
    })
    this.#notifier = createNotifier({
      subscribe: (log, onHead) => this.#subscribe(log, onHead),
      headOf: (log) => this.#headOf(log),
    })
    this.#sweeper = setInterval(() => void this.#sweep(), Math.min(60_000, Math.max(10, ageMsMax / 4)))
    this.#sweeper.unref()
  }

  append(log: string, events: readonly NewEvent[], options: AppendOptions = {}): Promise<Appended> {
    return this.#appender.append(log, events, options)
  }

  async read(log: string, after: Position, options?: ReadOptions): Promise<Page> {
    this.#calls.assertOpen()
    const bounds = readBounds(options)
    return this.peek(log, after, bounds) ?? (await this.#readLive(log, after, bounds)) ?? this.#readStored(log, after, bounds)
  }

  peek(log: string, after: Position, options?: ReadOptions): Page | undefined {
    if (this.#calls.isClosed) return undefined
    const oldest = Date.now() - this.#options.ageMsMax
    const mark = this.#marks.get(log)
    // Of an event whose notification was lost, a page that ends before it MUST NOT report its end as the log's.
    const head = Math.max(this.#notifier.notifiedHead(log), mark?.epoch === after.epoch ? mark.offset : 0)
    return this.#recent.peek(log, after, { ...readBounds(options), oldest, head })
  }

  /** While the log is not verified, waits for an engine that can verify it. */
  async inspect(log: string): Promise<LogState | undefined> {
    const deadline = this.#calls.newDeadline()
    for (;;) {
      const forceVerify = this.#mayForceVerify()
      const answer = await this.#inspect(log, forceVerify, deadline)
      if (answer === undefined || answer.isVerified || forceVerify) return answer?.state
      await sleep(verificationPollMs)
    }
  }

  async list(prefix: string, after?: string): Promise<readonly string[]> {
    this.#calls.assertOpen()
    const { pattern, logOf } = this.#names.scanOf(prefix)
    const deadline = this.#calls.newDeadline()
    const names = new Set<string>()
    for (let cursor: string | undefined = '0'; cursor !== undefined; ) {
      const scan = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(keysPerScan)]
      const [next, keys] = (await this.#calls.connection.ask([scan], deadline)).answers[0] as [string, string[]]
      for (const key of keys) names.add(logOf(key))
      cursor = next === '0' ? undefined : next
    }
    return pageOfNames(names, prefix, after)
  }

  watch(log: string, bell: () => void): () => void {
    const unwatch = this.#notifier.watch(log, bell, this.#marks.get(log))
    return () => {
      unwatch()
      if (!this.#notifier.isSubscribed(log)) this.#marks.unsubscribed(log)
    }
  }

  async compact(log: string): Promise<void> {
    // In steps, so that appends do not wait for long.
    while (!this.#calls.isClosed && (await packOldest(this.#calls, log)));
  }

  async delete(log: string): Promise<boolean> {
    const existed = (await this.#calls.call(scripts.remove, log)) !== 0
    this.#forget(log)
    return existed
  }

  get counters(): Counters {
    return createCounters(this.#calls, this.#names)
  }

  readonly broadcast: Broadcast = {
    publish: async (topic, message) => {
      this.#calls.assertOpen()
      const [channel, deadline] = [this.#names.broadcastOf(topic), this.#calls.newDeadline()]
      const { connection } = this.#calls
      await this.#inTurn(channel, message.length, () => connection.publish(channel, message, deadline))
    },
    subscribe: async (topic, onMessage) => {
      this.#calls.assertOpen()
      return this.#calls.connection.subscribe(this.#names.broadcastOf(topic), onMessage, this.#calls.newDeadline())
    },
  }

  async close(): Promise<void> {
    if (this.#calls.isClosed) return
    clearInterval(this.#sweeper)
    this.#notifier.close()
    await this.#calls.close()
  }

  #onAdded(log: string, { number, epoch, head, server, isVerified, isSubscribed, batches }: Added): void {
    if (isVerified) this.#record(log, { epoch, offset: head, server, isSubscribed, own: { number, offset: head } })
    for (const batch of batches) this.#recent.push(log, batch)
    if (batches.some(({ events }) => events.length > 0)) this.#notifier.notify(log, head)
  }

  /** Reads what a notification was for, without a script; undefined when only a script can tell. */
  async #readLive(log: string, after: Position, bounds: Required<ReadOptions>): Promise<Page | undefined> {
    const isSubscribed = this.#notifier.isSubscribed(log)
    const count = this.#notifier.notifiedHead(log) - after.offset
    // With replicas only the script knows up to where events may be shown.
    if (!isSubscribed || this.#options.replicas > 0 || count < 1 || count > liveMax) return undefined
    const { server, answers } = await this.#calls.connection.ask(
      liveCommands(this.#names.keysOf(log), after, Math.min(count, bounds.eventsMax)),
      this.#calls.newDeadline(),
    )
    const page = livePage(after, answers, bounds)
    if (page?.server === server) this.#record(log, { epoch: after.epoch, offset: page.head.offset, server, isSubscribed })
    return page
  }

  async #readStored(log: string, after: Position, bounds: Required<ReadOptions>): Promise<Page> {
    const args = [after.epoch, after.offset, bounds.eventsMax, bounds.bytesMax].map(String)
    const isSubscribed = this.#notifier.isSubscribed(log)
    let server = ''
    const answer = await this.#calls.run(scripts.read, log, (to) => {
      server = to
      return [to, ...args]
    })
    const [isVerified, head, start, entries] = answer as [0 | 1, number, number, Entry[]]
    if (isVerified) this.#record(log, { epoch: after.epoch, offset: head, server, isSubscribed })
    const batches = await Promise.all(entries.map((entry) => this.#packs.read(after.epoch, entry)))
    return toPage(after, { head, start, batches }, bounds)
  }

  /** Verifies the log. With `forceVerify` a log that no engine can verify gets a new epoch. */
  async #inspect(log: string, forceVerify: boolean, deadline?: number): Promise<Inspected | undefined> {
    const isSubscribed = this.#notifier.isSubscribed(log)
    let server = ''
    const args = (to: string) => {
      server = to
      return this.#marks.argsFor(log, to, forceVerify)
    }
    const answer = (await this.#calls.call(scripts.inspect, log, args, deadline)) as [string, string, number, number, 0 | 1]
    const [status, epoch, head, start, isVerified] = answer
    if (status === 'session_not_found') return undefined
    if (isVerified) this.#record(log, { epoch, offset: head, server, isSubscribed })
    return { state: { start: { epoch, offset: start }, head: { epoch, offset: head } }, isVerified: isVerified === 1 }
  }

  /** Engines that can verify have had the time to do so. */
  #mayForceVerify(): boolean {
    return performance.now() >= this.#forceFrom
  }

  #record(log: string, seen: Mark): void {
    if (this.#marks.record(log, seen)) this.#recent.forget(log)
  }

  #forget(log: string): void {
    this.#marks.forget(log)
    this.#recent.forget(log)
    this.#notifier.notify(log, 0)
  }

  #subscribe(log: string, onHead: (head: number) => void): Promise<() => void> {
    return this.#calls.connection.subscribe(this.#names.channelOf(log), (message) => {
      const head = headIn(message)
      this.#marks.raise(log, head)
      if (head === 0) this.#recent.forget(log)
      else if (head > this.#notifier.notifiedHead(log)) this.#keep(log, message)
      onHead(head)
    })
  }

  /** A log that this engine does not know has perhaps been deleted since. */
  #keep(log: string, message: string): void {
    const appended = appendedIn(message)
    if (appended !== undefined && this.#marks.get(log)?.epoch === appended.epoch) this.#recent.push(log, appended)
  }

  #onSubscribed(): void {
    // Logs may have ended in between, without a notification.
    this.#recent.clear()
    this.#notifier.connected()
  }

  /** Another Redis process may have less than the one before it: compares each log with its mark. */
  #onReady(server: string): void {
    if (this.#server === server) return
    this.#server = server
    this.#forceFrom = performance.now() + verificationGraceMs
    for (const log of this.#marks.logs) this.#inspect(log, false).catch(() => {})
  }

  /** Redis expires and evicts logs without a notification. */
  async #sweep(): Promise<void> {
    for (const log of this.#notifier.watched) {
      if (this.#marks.get(log) !== undefined && (await this.#headOf(log).catch(() => true)) === undefined) this.#forget(log)
    }
  }

  async #headOf(log: string): Promise<Position | undefined> {
    return (await this.#inspect(log, false))?.state.head
  }
}
