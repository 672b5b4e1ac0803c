/**
 * The Redis engine: logs that many servers share. Each log is four keys with one hash tag, and each call one script
 * over them. "Acknowledged" means: Redis has taken it, and it survives what that Redis is set up to survive; where
 * that turns out to be less than was acknowledged, the log has a new epoch, and its readers are told.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError, type Position } from '@millrace/protocol'
import { sizeOfAll } from '../../log/event-size.ts'
import type { Appended, AppendOptions, Engine, LogState, NewEvent, Page, ReadOptions } from '../../log/log.ts'
import { pageOfNames } from '../shared/names.ts'
import { createNotifier } from '../shared/notifier.ts'
import { packAside, packed, toStored } from '../shared/packing.ts'
import { createQueues } from '../shared/queues.ts'
import { createRecentEvents } from '../shared/recent-events.ts'
import { createConnection } from './connection.ts'
import { createPacks, decode, type Entry, encode, toPage } from './entries.ts'
import { createHighWaterMarks, type Mark } from './high-water-marks.ts'
import { livePage, liveQuestions } from './live.ts'
import * as scripts from './scripts.ts'

export interface RedisEngineOptions {
  /** `redis://user:password@host:6379/0`, or `rediss://` for TLS. Redis 7.0 or later. */
  readonly url: string
  /** Every key and bell begins with `{prefix/`; default `millrace`. Servers with the same prefix share their logs. */
  readonly prefix?: string
  /** Bytes kept per log, however many events that is, 100 for each event beside its data, and up to an eighth more; default 64 MiB. */
  readonly bytesMax?: number
  /** Age up to which an event is kept; a log without events or appends for so long, and a tenth longer, is deleted. Default 30 days. */
  readonly ageMsMax?: number
  /**
   * Replicas that must have an event before it is acknowledged; default 0. With `min-replicas-to-write` of as many on
   * the Redis, a failover to any of them loses nothing that was acknowledged; while there are fewer, appends are refused.
   */
  readonly replicas?: number
  /** How long a call waits for a Redis that does not answer, in milliseconds; default 5,000. */
  readonly timeoutMs?: number
}

/**
 * So long after a Redis process was met for the first time, engines that can vouch for a log are waited for: they are
 * connected by then, and each holds what it knows against it as soon as it is.
 */
const verificationGraceMs = 2500
const verificationPollMs = 50
/** Events behind which a reader is live; further back the script gives whole pages. */
const liveMax = 16
/** Keys: some milliseconds of Redis's time. */
const scannedAtOnce = 5000
const dayMs = 24 * 60 * 60 * 1000

export function redisEngine({
  url,
  prefix = 'millrace',
  timeoutMs = 5000,
  replicas = 0,
  ...options
}: RedisEngineOptions): Engine {
  const { bytesMax = 64 * 1024 * 1024, ageMsMax = 30 * dayMs } = options
  const marks = createHighWaterMarks()
  const recent = createRecentEvents()
  const packs = createPacks()
  /** Of appends: one at a time can be made again without doubt whether it was made. */
  const inTurn = createQueues()
  let number = 0
  let server = ''
  let settledAt = Number.POSITIVE_INFINITY
  let isClosed = false
  const connection = createConnection({ url, onReady, onSubscribed })
  // Of its own, because all that comes behind a write that waits for replicas would wait with it.
  const writing = replicas > 0 ? createConnection({ url, replicas }) : connection
  const notifier = createNotifier({
    subscribe: (log, onMessage) =>
      connection.subscribe(channelOf(log), (head) => {
        marks.note(log, Number(head))
        if (head === '0') recent.forget(log)
        onMessage(Number(head))
      }),
    headOf,
  })
  const sweeper = setInterval(() => void sweep(), Math.min(60_000, Math.max(10, ageMsMax / 4)))
  sweeper.unref()

  return {
    isDurable: true,
    isShared: true,

    append(log, events, asked = {}) {
      const deadline = performance.now() + timeoutMs
      return inTurn(log, sizeOfAll(events), () => append(log, events, asked, deadline))
    },

    async read(log, position, { eventsMax = 512, bytesMax = 262_144 } = {}) {
      if (isClosed) throw new MillraceError('server_stopping')
      const bounds = { eventsMax, bytesMax }
      const cached = recent.read(log, position, { ...bounds, oldest: Date.now() - ageMsMax, head: notifier.notifiedHead(log) })
      // Nothing more here may still be something more there.
      if (cached !== undefined && cached.events.length > 0) return cached
      const live = await readLive(log, position, bounds)
      if (live !== undefined) return live
      const args = [position.epoch, position.offset, eventsMax, bytesMax].map(String)
      const isSubscribed = notifier.isSubscribed(log)
      let asked = ''
      const to = (name: string) => {
        asked = name
        return [name, ...args]
      }
      const [isVerified, head, start, entries] = (await run(scripts.read, log, to)) as [0 | 1, number, number, Entry[]]
      if (isVerified) remember(log, { epoch: position.epoch, offset: head, server: asked, isSubscribed })
      const batches = await Promise.all(entries.map((entry) => packs.read(position.epoch, entry)))
      return toPage(position, { head, start, batches }, bounds)
    },

    async inspect(log) {
      const deadline = performance.now() + timeoutMs
      for (;;) {
        const forceVerify = mayForceVerify()
        const answer = await inspect(log, forceVerify, deadline)
        if (answer === undefined || answer.isVerified || forceVerify) return answer?.state
        await sleep(verificationPollMs)
      }
    },

    async list(prefix, after) {
      if (isClosed) throw new MillraceError('server_stopping')
      const [before, behind] = [channelOf('').slice(0, -1), '}:meta']
      const pattern = `${before}${prefix}`.replace(/[\\*?[\]]/g, '\\$&')
      const deadline = performance.now() + timeoutMs
      const names = new Set<string>()
      for (let cursor: string | undefined = '0'; cursor !== undefined; ) {
        const scan = ['SCAN', cursor, 'MATCH', `${pattern}*${behind}`, 'COUNT', String(scannedAtOnce)]
        const [next, keys] = (await connection.ask([scan], deadline)).answers[0] as [string, string[]]
        for (const key of keys) names.add(key.slice(before.length, -behind.length))
        cursor = next === '0' ? undefined : next
      }
      return pageOfNames(names, prefix, after)
    },

    watch(log, bell) {
      const unwatch = notifier.watch(log, bell, marks.offsetOf(log))
      return () => {
        unwatch()
        if (!notifier.isSubscribed(log)) marks.unsubscribed(log)
      }
    },

    async compact(log) {
      // Step by step, so that nobody who writes waits for long.
      while (!isClosed && (await compactSome(log)));
    },

    async delete(log) {
      const existed = (await call(scripts.remove, log)) !== 0
      forget(log)
      return existed
    },

    async close() {
      if (isClosed) return
      isClosed = true
      clearInterval(sweeper)
      notifier.close()
      await Promise.all([connection.close(), ...(writing === connection ? [] : [writing.close()])])
    },
  }

  async function append(log: string, events: readonly NewEvent[], asked: AppendOptions, deadline: number): Promise<Appended> {
    const mine = ++number
    const { epoch: wanted = '', key = '', unless = '', expect = '', keep = '' } = asked
    const limits = [keep, bytesMax, ageMsMax, replicas > 0 ? 1 : 0]
    const field = events.some(({ data }) => data instanceof Uint8Array) ? 'b' : 'd'
    const rest = [mine, wanted, key, unless, ...limits, events.length, encode(events), field, expect].map(String)
    const isSubscribed = notifier.isSubscribed(log)
    let to = ''
    const args = (name: string) => {
      to = name
      return [...marks.say(log, name, mayForceVerify()), ...rest]
    }
    let answer = await run(scripts.append, log, args, deadline)
    while (answer.at(-1) === 'unvouched') {
      await sleep(verificationPollMs)
      answer = await run(scripts.append, log, args, deadline)
    }
    const [epoch, head, start, time, isVerified, status] = answer as [string, number, number, number, 0 | 1, string]
    if (replicas > 0) await run(scripts.show, log, () => [epoch, String(head)], deadline)
    const duplicate = status === 'duplicate'
    if (!duplicate) {
      if (isVerified) remember(log, { epoch, offset: head, server: to, isSubscribed, own: { number: mine, offset: head } })
      recent.push(log, { epoch, head, start, time: Number(time), events })
      if (events.length > 0) notifier.notify(log, head)
    }
    return { position: { epoch, offset: head }, duplicate }
  }

  /** What has just been rung for, without a script; undefined where one has to look. */
  async function readLive(log: string, after: Position, bounds: Required<ReadOptions>): Promise<Page | undefined> {
    const isSubscribed = notifier.isSubscribed(log)
    const count = notifier.notifiedHead(log) - after.offset
    // Where replicas are waited for, only a script can tell what may be shown.
    if (!isSubscribed || replicas > 0 || count < 1 || count > liveMax) return undefined
    const { server: asked, answers } = await connection.ask(
      liveQuestions(keysOf(log), after, Math.min(count, bounds.eventsMax)),
      performance.now() + timeoutMs,
    )
    const page = livePage(after, answers, bounds)
    if (page?.server === asked) remember(log, { epoch: after.epoch, offset: page.head.offset, server: asked, isSubscribed })
    return page
  }

  /** Decides that a log has a new epoch, where nobody vouches for it and `isForced` says not to wait for one that does. */
  async function inspect(log: string, forceVerify: boolean, deadline?: number): Promise<Inspected | undefined> {
    const isSubscribed = notifier.isSubscribed(log)
    let asked = ''
    const args = (to: string) => {
      asked = to
      return marks.say(log, to, forceVerify)
    }
    const answer = (await call(scripts.inspect, log, args, deadline)) as [string, string, number, number, 0 | 1]
    const [status, epoch, head, start, isVerified] = answer
    if (status === 'session_not_found') return undefined
    if (isVerified) remember(log, { epoch, offset: head, server: asked, isSubscribed })
    return { state: { start: { epoch, offset: start }, head: { epoch, offset: head } }, isVerified: isVerified === 1 }
  }

  function remember(log: string, seen: Mark): void {
    if (marks.remember(log, seen)) recent.forget(log)
  }

  /** Whoever knows a log has had the time to say so. */
  function mayForceVerify(): boolean {
    return performance.now() >= settledAt
  }

  /** Puts the oldest batches into one entry; true where there may be more of them. */
  async function compactSome(log: string): Promise<boolean> {
    const bounds = [packed.eventsMax, packed.eventsMin, packed.bytesMax].map(String)
    const [status, epoch, entries] = (await call(scripts.unpacked, log, () => bounds)) as [string, string, Entry[]]
    if (status === 'moved') return true
    if (status !== 'done') return false
    const events = entries.flatMap(decode).map(({ data, ...event }) => ({ ...event, data: toStored(data) as string }))
    const [first, last] = [entries[0], entries.at(-1)]
    if (first === undefined || last === undefined || events.length < packed.eventsMin) return false
    const data = Buffer.from(await packAside(events)).toString('base64')
    const size = events.reduce((sum, each) => sum + each.data.length, 0)
    const args = [epoch, first[0], last[0], events.length, last[2], data, size].map(String)
    await run(scripts.compact, log, () => args)
    return true
  }

  /** What a script answers behind its status; throws where that is a refusal. */
  async function run(
    script: string,
    log: string,
    args: (to: string) => readonly string[] = () => [],
    deadline?: number,
  ): Promise<unknown[]> {
    const [status, ...answer] = (await call(script, log, args, deadline)) as [string, ...unknown[]]
    if (status === 'done' || status === 'duplicate' || status === 'unvouched') return [...answer, status]
    if (status === 'position_foreign') forget(log)
    const [epoch = '', offset = 0] = answer as [string?, number?]
    throw new MillraceError(status as 'position_foreign', { position: epoch === '' ? undefined : { epoch, offset } })
  }

  function call(
    script: string,
    log: string,
    args: (to: string) => readonly string[] = () => [],
    deadline = performance.now() + timeoutMs,
  ) {
    if (isClosed) return Promise.reject(new MillraceError('server_stopping'))
    const { run: perform } = script === scripts.append ? writing : connection
    return perform(script, keysOf(log), (to) => [channelOf(log), ...args(to)], deadline)
  }

  function keysOf(log: string): readonly string[] {
    return ['meta', 'events', 'keys', 'packs'].map((name) => `${channelOf(log)}:${name}`)
  }

  /** A hash tag, so that all of a log is in one slot of a cluster. */
  function channelOf(log: string): string {
    return `{${prefix}/${log}}`
  }

  function forget(log: string): void {
    marks.forget(log)
    recent.forget(log)
    notifier.notify(log, 0)
  }

  function onSubscribed(): void {
    // What came to an end meanwhile was heard by nobody.
    recent.clear()
    notifier.connected()
  }

  /** Another Redis process may have less than the one before it: each log is held against what was seen of it. */
  function onReady(next: string): void {
    if (server === next) return
    server = next
    settledAt = performance.now() + verificationGraceMs
    for (const log of marks.logs) inspect(log, false).catch(() => {})
  }

  /** Redis lets a log go without a word. */
  async function sweep(): Promise<void> {
    for (const log of notifier.watched) {
      if (marks.has(log) && (await headOf(log).catch(() => true)) === undefined) forget(log)
    }
  }

  async function headOf(log: string): Promise<Position | undefined> {
    return (await inspect(log, false))?.state.head
  }
}

interface Inspected {
  readonly state: LogState
  readonly isVerified: boolean
}
