/**
 * The NATS engine: logs in a JetStream stream that many servers share, a subject for each log and a message for each
 * batch. A batch is stored only behind the one that its writer knows as the last, so that writers on all nodes agree
 * on one order. "Acknowledged" means: JetStream has stored it, and it survives what that JetStream is set up to survive.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError, type Position } from '@millrace/protocol'
import { sizeOfAll } from '../../log/event-size.ts'
import type { Appended, AppendOptions, Engine, NewEvent, Page } from '../../log/log.ts'
import { isDamaged } from '../../log/quarantine.ts'
import { newId } from '../shared/new-epoch.ts'
import { createNotifier } from '../shared/notifier.ts'
import { createQueues } from '../shared/queues.ts'
import { type Bounds, createRecentEvents } from '../shared/recent-events.ts'
import { type Batch, decodeBatch, encodeBatch, encodeEnd, idOf, type NewBatch } from './batch.ts'
import { createConnection, type Stored } from './connection.ts'
import { erase } from './erase.ts'
import { createIndexCache, fold, type LogIndex, rewind, trim } from './index-cache.ts'
import { listLogs, token, untoken } from './list.ts'
import { newBatch, toAppended } from './next.ts'
import { loadPage } from './page.ts'

export interface NatsEngineOptions {
  /**
   * `nats://127.0.0.1:4222`, with `user:password@` or `token@` before the host, or `tls://`; several of one cluster with
   * commas. nats-server 2.9 or later, with JetStream. Throws a TypeError for what is no URL.
   */
  readonly url: string
  /** The stream that holds the logs, made if it does not exist; default `millrace`. Servers with the same one share their logs. */
  readonly stream?: string
  /** Bytes kept per log as they are stored, however many events that is, 100 for each event beside, and up to an eighth more; default 64 MiB. */
  readonly bytesMax?: number
  /** Age up to which an event is kept, at least 100 ms; a log in which nothing is left does not exist. Default 30 days. */
  readonly ageMsMax?: number
  /** How long a call waits for a NATS that does not answer, in milliseconds; default 15,000: a cluster without its leader needs ten seconds. */
  readonly timeoutMs?: number
}

const dayMs = 24 * 60 * 60 * 1000
/**
 * One of a cluster that was cut off, or stood still, may not know for ten seconds that it does not lead any more. Only
 * what is lost, or behind there, is less than somebody knows; a log may well have been deleted, and is not waited for as long.
 */
const staleMsMax = { less: 12_000, other: 2000 }
const stalePauseMs = 500
/** As often it is looked for what one of a cluster says is missing. */
const readsMax = 4
/** Logs that are watched and not written to are asked about at least so often; in a cluster a bell may be lost without a word. */
const pollMs = { alone: 60_000, inCluster: 5000 }
/** At the same time, and then a pause, so that thousands of them are no load. */
const polledAtOnce = 64
const pollPauseMs = 250

export function natsEngine({ url, stream = 'millrace', timeoutMs = 15_000, ...options }: NatsEngineOptions): Engine {
  const { bytesMax = 64 * 1024 * 1024, ageMsMax = 30 * dayMs } = options
  const subjectPrefix = `${stream}.log.`
  const limits = { bytesMax, ageMsMax }
  const indexCache = createIndexCache()
  const recent = createRecentEvents()
  /** What is known of a log changes in one order. */
  const queue = createQueues()
  let isClosed = false
  const connection = createConnection({ url, stream, ageMsMax, onConnected })
  const notifier = createNotifier({
    subscribe: (log, onMessage) =>
      connection.subscribe(`${stream}.bell.${token(log)}`, (head) => {
        if (head === '0') recent.forget(log)
        onMessage(Number(head))
      }),
    headOf: async (log) => headOf(await inTurn(log, (known, deadline) => refresh(log, known, deadline))),
  })
  void pollWatched()

  return {
    isDurable: true,
    isShared: true,
    append: (log, events, asked = {}) =>
      inTurn(log, (known, deadline) => append(log, known, events, asked, deadline), sizeOfAll(events)),

    async read(log, after, { eventsMax: countMax = 512, bytesMax: sizeMax = 262_144 } = {}) {
      if (isClosed) throw new MillraceError('server_stopping')
      const bounds = { eventsMax: countMax, bytesMax: sizeMax, oldest: Date.now() - ageMsMax }
      const cached = recent.read(log, after, { ...bounds, head: notifier.notifiedHead(log) })
      // Nothing more here may still be something more there.
      if (cached !== undefined && cached.events.length > 0) return cached
      for (const askedAt = performance.now(); ; await sleep(stalePauseMs)) {
        const answer = await inTurn(log, (known, deadline) => readOn(log, known, after, bounds, deadline))
        // Others may wait for this log meanwhile: nobody may keep it busy with a position that is none.
        if (!(answer instanceof MillraceError)) return answer
        const staleMs = answer.code === 'position_ahead' ? staleMsMax.less : staleMsMax.other
        if (!connection.isInCluster || performance.now() > askedAt + staleMs) throw answer
      }
    },

    async inspect(log) {
      const known = await inTurn(log, (known, deadline) => refresh(log, known, deadline))
      const head = headOf(known)
      return head && { start: { ...head, offset: known.start }, head }
    },

    async list(prefix, after) {
      const subjects = await connection.subjects(performance.now() + timeoutMs)
      const all = subjects.map((each) => untoken(each.slice(subjectPrefix.length)))
      const isThere = async (log: string) =>
        (await inTurn(log, (known, deadline) => refresh(log, known, deadline))).epoch !== undefined
      return listLogs(all, isThere, prefix, after)
    },

    watch: (log, bell) => notifier.watch(log, bell, headOf(indexCache.get(log))),

    delete: (log) =>
      inTurn(log, async (known, deadline) => {
        try {
          const isOurs = await storeEnd(log, known, deadline)
          // Also what is left where this was cut off before: the log is gone by then, and its words are not.
          await erase(connection, subject(log), known.seq, timeoutMs)
          return isOurs
        } catch (error) {
          if (!isDamaged(error)) throw error
          await forceEnd(log, known, deadline)
          return true
        }
      }),

    async close() {
      if (isClosed) return
      isClosed = true
      notifier.close()
      await connection.close()
    },
  }

  async function inTurn<T>(log: string, act: (known: LogIndex, deadline: number) => Promise<T>, bytes = 0): Promise<T> {
    if (isClosed) throw new MillraceError('server_stopping')
    const deadline = performance.now() + timeoutMs
    return queue(log, bytes, () => act(indexCache.get(log), deadline))
  }

  async function append(
    log: string,
    known: LogIndex,
    events: readonly NewEvent[],
    asked: AppendOptions,
    deadline: number,
  ): Promise<Appended> {
    for (let isFresh = false; ; ) {
      if ((known.seq === 0 || known.before !== undefined) && !isFresh) {
        await refresh(log, known, deadline)
        isFresh = true
      }
      const answer = toAppended(known, events, asked)
      if (answer !== undefined) {
        if (!isFresh) {
          // By what is known here; it may have changed since.
          await refresh(log, known, deadline)
          isFresh = true
          continue
        }
        if (answer instanceof MillraceError) throw answer
        return answer
      }
      const batch = newBatch(known, events, asked, limits)
      const data = encodeBatch(batch)
      if (data.byteLength > connection.bytesMax - 1024) throw new MillraceError('event_too_large')
      const seq = await connection.store(subject(log), data, known.seq, deadline)
      if (seq === undefined) {
        await refresh(log, known, deadline)
        isFresh = true
        // Unless it is this one that was stored, and the answer to that was lost for longer than JetStream remembers.
        if (!known.batches.some(({ id }) => id === batch.id)) continue
      } else {
        take(log, known, seq, decodeBatch(data))
        if (batch.start > 0) connection.purge(subject(log), known.batches[0]?.seq ?? seq)
      }
      if (events.length > 0) connection.publish(`${stream}.bell.${token(log)}`, String(known.head))
      return { position: { epoch: batch.epoch, offset: batch.last }, duplicate: false }
    }
  }

  /** False where the log has ended already. */
  async function storeEnd(log: string, known: LogIndex, deadline: number): Promise<boolean> {
    const id = newId()
    const data = encodeEnd(id)
    for (;;) {
      await refresh(log, known, deadline)
      if (known.epoch === undefined) return known.id === id
      const seq = await connection.store(subject(log), data, known.seq, deadline)
      if (seq === undefined) continue
      take(log, known, seq, decodeBatch(data))
      connection.publish(`${stream}.bell.${token(log)}`, '0')
    }
  }

  /** Of a log that cannot be read an end is read once all that stands before it is erased. */
  async function forceEnd(log: string, known: LogIndex, deadline: number): Promise<void> {
    const end = encodeEnd(newId())
    for (;;) {
      const last = await connection.last(subject(log), deadline)
      const seq = await connection.store(subject(log), end, last?.seq ?? 0, deadline)
      if (seq === undefined) continue
      await erase(connection, subject(log), seq, timeoutMs)
      reset(log, known)
      return connection.publish(`${stream}.bell.${token(log)}`, '0')
    }
  }

  /** Folds what others have stored since. */
  async function refresh(log: string, known: LogIndex, deadline: number): Promise<LogIndex> {
    const last = await lastOf(log, known, deadline)
    if (last === undefined) {
      if (known.seq > 0) reset(log, known)
    } else if (last.seq !== known.seq || idOf(last.data) !== known.said) {
      const batch = decodeBatch(last.data)
      if (last.seq > known.seq && batch.after === known.id) take(log, known, last.seq, batch)
      else await catchUp(log, known, last.seq, deadline)
    }
    await reconcile(log, known, deadline)
    trim(known, ({ time }) => time < Date.now() - ageMsMax)
    return known
  }

  /**
   * Where it is less than is known, JetStream has lost something; or it is said by one of a cluster that does not lead
   * any more.
   */
  async function lastOf(log: string, { seq, time }: LogIndex, deadline: number): Promise<Stored | undefined> {
    for (const until = performance.now() + staleMsMax.less; ; await sleep(stalePauseMs)) {
      const last = await connection.last(subject(log), deadline)
      const isLess = (last?.seq ?? 0) < seq && time >= Date.now() - ageMsMax
      if (!isLess || !connection.isInCluster || performance.now() > until) return last
    }
  }

  async function catchUp(log: string, known: LogIndex, to: number, deadline: number): Promise<void> {
    let isWhole = known.seq > 0 && to > known.seq
    if (isWhole) {
      await connection.each(
        subject(log),
        known.seq + 1,
        (message, isLeaders) => {
          isWhole = takeNext(known, message, (batch) => take(log, known, message.seq, batch))
          if (!isWhole && !isLeaders) return 'doubtful'
          return isWhole && message.seq < to ? 'more' : 'enough'
        },
        deadline,
      )
    }
    // Between what is known and what is there something is missing: retention has taken it, or it was lost.
    if (!isWhole) await rebuildIndex(log, known, to, deadline)
  }

  /** What there is, whatever was known; nobody is given anything of it before it is whole. */
  async function rebuildIndex(log: string, known: LogIndex, to: number, deadline: number): Promise<void> {
    reset(log, known)
    await connection.each(
      subject(log),
      0,
      (message, isLeaders) => {
        const { seq, data } = message
        if (!takeNext(known, message, (batch) => fold(known, seq, batch))) {
          if (!isLeaders) return 'doubtful'
          const batch = decodeBatch(data)
          // Two were stored behind one, by a leader that did not know the first: the log goes on behind the second.
          if (!rewind(known, batch.after)) reset(log, known)
          fold(known, seq, batch)
        }
        return seq < to ? 'more' : 'enough'
      },
      deadline,
    )
    notifier.notify(log, known.head)
  }

  /** Gives a log that was folded anew a new epoch where something of it was lost, so that who has seen that is told. */
  async function reconcile(log: string, known: LogIndex, deadline: number): Promise<void> {
    const { before } = known
    if (before === undefined || known.seq === 0) return
    const isWhole = known.start <= before.start && known.batches.some(({ id }) => id === before.id)
    const isTrimmed = known.trimmedTo >= before.head || before.time < Date.now() - ageMsMax
    if (known.epoch !== before.epoch || isTrimmed || (isWhole && !before.isBroken)) {
      known.before = undefined
      return
    }
    const renewed: NewBatch = { ...newBatch(known, [], {}, limits), epoch: newId(), start: known.start, isRenewed: true }
    const data = encodeBatch(renewed)
    const stored = await connection.store(subject(log), data, known.seq, deadline)
    // Somebody else has written; whether something was lost is to be seen again.
    if (stored === undefined) return void (await refresh(log, known, deadline))
    known.before = undefined
    take(log, known, stored, decodeBatch(data))
    connection.publish(`${stream}.bell.${token(log)}`, '0')
  }

  /** False where it does not follow. A batch that is known is none: who has just begun to lead a cluster may store it twice. */
  function takeNext(known: LogIndex, { seq, data }: Stored, take: (batch: Batch) => void): boolean {
    const batch = decodeBatch(data)
    if (batch.after === known.id) take(batch)
    else if (known.batches.some(({ id }) => id === batch.id)) Object.assign(known, { seq, said: batch.id })
    else return false
    return true
  }

  function take(log: string, known: LogIndex, seq: number, batch: Batch): void {
    fold(known, seq, batch)
    if (batch.isEnd || batch.isRenewed) end(log)
    const { epoch, last: head, time, start, events } = batch
    if (!batch.isEnd && known.before === undefined) recent.push(log, { epoch, head, start, time, events })
    if (events.length > 0) notifier.notify(log, head)
  }

  function reset(log: string, known: LogIndex): void {
    const { epoch, head, start, id, time } = known
    if (epoch !== undefined) known.before ??= { epoch, head, start, id, time }
    Object.assign(known, { seq: 0, said: '', id: '', epoch: undefined, head: 0, start: 0, trimmedTo: 0, bytes: 0, batches: [] })
    known.keys.clear()
    if (epoch !== undefined) end(log)
  }

  function end(log: string): void {
    recent.forget(log)
    notifier.notify(log, 0)
  }

  /** A page, or a refusal that one of a cluster may have given who is behind. */
  async function readOn(
    log: string,
    known: LogIndex,
    after: Position,
    bounds: Bounds,
    deadline: number,
  ): Promise<Page | MillraceError> {
    for (let isSure = !connection.isInCluster, looks = 0; ; isSure ||= ++looks === readsMax) {
      await refresh(log, known, deadline)
      if (known.epoch === undefined) {
        const refusal = new MillraceError('session_not_found')
        // It was seen to end.
        if (known.seq > 0) throw refusal
        return refusal
      }
      if (known.epoch !== after.epoch) return new MillraceError('position_foreign')
      if (after.offset > known.head) return new MillraceError('position_ahead')
      const cached = after.offset >= known.start ? recent.read(log, after, bounds) : undefined
      // What was folded anew is not in there: who is told that it ends before would wait for a bell that has rung.
      const isWhole = cached?.head.offset === known.head
      const page = isWhole ? cached : await loadPage(connection, subject(log), known, after, bounds, deadline)
      if (page !== undefined) {
        notifier.resetNotifiedHead(log, page.head.offset)
        return page
      }
      const { seq } = known
      await refresh(log, known, deadline)
      // Unless others have written since, and let go of it.
      if (known.seq === seq) await rebuildIndex(log, known, seq, deadline)
      if (known.before !== undefined) known.before = { ...known.before, isBroken: isSure }
      if (!isSure) await sleep(stalePauseMs)
    }
  }

  function onConnected(): void {
    // What came to an end meanwhile was heard by nobody.
    recent.clear()
    notifier.connected()
  }

  /** About the logs that are watched: what nobody writes to goes by age without a word, and a bell may be lost. */
  async function pollWatched(): Promise<void> {
    const pause = (ms: number) => sleep(ms, undefined, { ref: false })
    const atMost = (ms: number) => Math.min(ms, Math.max(10, ageMsMax / 4))
    const ask = (log: string) => inTurn(log, (known, deadline) => refresh(log, known, deadline))
    for (let askedAt = performance.now(); !isClosed; await pause(atMost(pollMs.inCluster))) {
      // Which of the two it is, is known when it is connected, and may be another when it is again.
      if (!connection.isInCluster && performance.now() - askedAt < atMost(pollMs.alone)) continue
      askedAt = performance.now()
      const logs = [...notifier.watched]
      for (let at = 0; at < logs.length && !isClosed; at += polledAtOnce) {
        await Promise.allSettled(logs.slice(at, at + polledAtOnce).map(ask))
        await pause(pollPauseMs)
      }
    }
  }

  function subject(log: string): string {
    return `${subjectPrefix}${token(log)}`
  }
}

function headOf({ epoch, head }: LogIndex): Position | undefined {
  return epoch === undefined ? undefined : { epoch, offset: head }
}
