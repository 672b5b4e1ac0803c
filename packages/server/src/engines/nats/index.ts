/**
 * The NATS engine: logs in a JetStream stream that many servers share, a subject for each log and a message for each
 * batch. A batch is stored only behind the one that its writer knows as the last, so that writers on all nodes agree
 * on one order. "Acknowledged" means: JetStream has stored it, and it survives what that JetStream is set up to survive.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError, type Position } from '@millrace/protocol'
import { createBells } from '../../log/bells.ts'
import type { Appended, AppendOptions, Engine, LogEvent, NewEvent, Page } from '../../log/log.ts'
import { createRecent, sizeOf } from '../../log/recent.ts'
import { decodeBatch, encodeBatch, encodeEnd, idOf, type NewBatch } from './batch.ts'
import { createConnection, type Stored } from './connection.ts'
import { createShelf, fold, type Known, trim } from './shelf.ts'

export interface NatsEngineOptions {
  /**
   * `nats://127.0.0.1:4222`, with `user:password@` or `token@` before the host, or `tls://`; several of one cluster with
   * commas. nats-server 2.9 or later, with JetStream. Throws a TypeError for what is no URL.
   */
  readonly url: string
  /** The stream that holds the logs, made if it does not exist; default `millrace`. Servers with the same one share their logs. */
  readonly stream?: string
  /** Events kept per log, and up to an eighth more; default 100,000. */
  readonly eventsMax?: number
  /** Bytes kept per log as they are stored, 100 for each event beside, and up to an eighth more; default 64 MiB. */
  readonly bytesMax?: number
  /** Age up to which an event is kept, at least 100 ms; a log in which nothing is left does not exist. Default 30 days. */
  readonly ageMsMax?: number
  /** How long a call waits for a NATS that does not answer, in milliseconds; default 15,000: a cluster without its leader needs ten seconds. */
  readonly timeoutMs?: number
}

const dayMs = 24 * 60 * 60 * 1000
/** One of a cluster that was cut off knows after a heartbeat, of which there is one each second. */
const doubtMs = 1500
/** Messages of a deleted log that are overwritten at the same time. */
const erasedAtOnce = 256

export function natsEngine({ url, stream = 'millrace', timeoutMs = 15_000, ...options }: NatsEngineOptions): Engine {
  const { eventsMax = 100_000, bytesMax = 64 * 1024 * 1024, ageMsMax = 30 * dayMs } = options
  const shelf = createShelf()
  const recent = createRecent()
  /** Of each log, the call that others wait for: what is known of it changes in one order. */
  const busy = new Map<string, Promise<unknown>>()
  let isClosed = false
  const connection = createConnection({ url, stream, ageMsMax, onConnected })
  const bells = createBells({
    listen: (log, hear) =>
      connection.listen(`${stream}.bell.${token(log)}`, (head) => {
        if (head === '0') recent.forget(log)
        hear(Number(head))
      }),
    headOf: async (log) => headOf(await inTurn(log, (known, deadline) => refresh(log, known, deadline))),
  })
  const sweeper = setInterval(() => void sweep(), Math.min(60_000, Math.max(10, ageMsMax / 4)))
  sweeper.unref()

  return {
    isDurable: true,
    isShared: true,
    append: (log, events, asked = {}) => inTurn(log, (known, deadline) => append(log, known, events, asked, deadline)),

    async read(log, after, { eventsMax: countMax = 512, bytesMax: sizeMax = 262_144 } = {}) {
      if (isClosed) throw new MillraceError('server_stopping')
      const bounds = { eventsMax: countMax, bytesMax: sizeMax, oldest: Date.now() - ageMsMax }
      const held = recent.read(log, after, bounds)
      // Nothing more here may still be something more there.
      if (held !== undefined && held.events.length > 0) return held
      return inTurn(log, async (known, deadline) => {
        for (;;) {
          await refresh(log, known, deadline)
          if (known.epoch === undefined) throw new MillraceError('session_not_found')
          if (known.epoch !== after.epoch) throw new MillraceError('position_foreign')
          if (after.offset > known.head) throw new MillraceError('position_ahead')
          const from = Math.max(after.offset, known.start)
          const held = from === after.offset ? recent.read(log, after, bounds) : undefined
          const page = held ?? (await load(log, known, { after, from, countMax, sizeMax, deadline }))
          if (page !== undefined) return page
        }
      })
    },

    async inspect(log) {
      const known = await inTurn(log, (known, deadline) => refresh(log, known, deadline))
      const head = headOf(known)
      return head && { start: { ...head, offset: known.start }, head }
    },

    watch: (log, bell) => bells.watch(log, bell, headOf(shelf.get(log))),

    delete: (log) =>
      inTurn(log, async (known, deadline) => {
        const id = newId()
        for (;;) {
          await refresh(log, known, deadline)
          if (known.epoch === undefined) break
          const data = encodeEnd(id)
          const seq = await connection.store(subject(log), data, known.seq, deadline)
          if (seq === undefined) continue
          fold(known, seq, decodeBatch(data))
          end(log)
          connection.publish(`${stream}.bell.${token(log)}`, '0')
        }
        // Also what is left where this was cut off before: the log is gone by then, and its words are not.
        await erase(log, known.seq)
        return known.id === id
      }),

    async close() {
      if (isClosed) return
      isClosed = true
      clearInterval(sweeper)
      bells.close()
      await connection.close()
    },
  }

  async function inTurn<T>(log: string, act: (known: Known, deadline: number) => Promise<T>): Promise<T> {
    if (isClosed) throw new MillraceError('server_stopping')
    const deadline = performance.now() + timeoutMs
    const before = busy.get(log)
    const mine = (async () => {
      await before?.catch(() => {})
      return act(shelf.get(log), deadline)
    })()
    busy.set(log, mine)
    try {
      return await mine
    } finally {
      if (busy.get(log) === mine) busy.delete(log)
    }
  }

  async function append(
    log: string,
    known: Known,
    events: readonly NewEvent[],
    asked: AppendOptions,
    deadline: number,
  ): Promise<Appended> {
    for (let isFresh = false; ; ) {
      if (known.seq === 0 && !isFresh) {
        await refresh(log, known, deadline)
        isFresh = true
      }
      const answer = answerOf(known, events, asked)
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
      const batch = newBatch(known, events, asked)
      const data = encodeBatch(batch)
      if (data.byteLength > connection.bytesMax - 1024) throw new MillraceError('event_too_large')
      const seq = await connection.store(subject(log), data, known.seq, deadline)
      if (seq === undefined) {
        await refresh(log, known, deadline)
        isFresh = true
        // Unless it is this one that was stored, and the answer to that was lost for longer than JetStream remembers.
        if (!known.batches.some(({ id }) => id === batch.id)) continue
      } else {
        take(log, known, seq, data)
        if (batch.start > 0) connection.purge(subject(log), known.batches[0]?.seq ?? seq)
      }
      if (events.length > 0) {
        bells.ring(log, known.head)
        connection.publish(`${stream}.bell.${token(log)}`, String(known.head))
      }
      return { position: { epoch: batch.epoch, offset: batch.last }, duplicate: false }
    }
  }

  /** Overwrites all messages of a log before one, a few at a time. */
  async function erase(log: string, before: number): Promise<void> {
    const seqs: number[] = []
    const note = ({ seq }: Stored) => seq < before && seqs.push(seq) > 0
    await connection.each(subject(log), 0, note, performance.now() + timeoutMs)
    for (let at = 0; at < seqs.length; at += erasedAtOnce) {
      const deadline = performance.now() + timeoutMs
      await Promise.all(seqs.slice(at, at + erasedAtOnce).map((seq) => connection.erase(seq, deadline)))
    }
  }

  /** Undefined where there is something to store. */
  function answerOf(
    known: Known,
    events: readonly NewEvent[],
    { epoch, key, unless }: AppendOptions,
  ): Appended | MillraceError | undefined {
    if (epoch !== undefined && epoch !== known.epoch) return new MillraceError('position_foreign')
    const used = key === undefined ? undefined : known.keys.get(key)
    if (used !== undefined && known.epoch !== undefined)
      return { position: { epoch: known.epoch, offset: used }, duplicate: true }
    if (unless !== undefined && known.keys.has(unless)) return new MillraceError('fenced')
    if (events.length > 0 || key !== undefined || known.epoch === undefined) return undefined
    return { position: { epoch: known.epoch, offset: known.head }, duplicate: false }
  }

  function newBatch(known: Known, events: readonly NewEvent[], { key, keep = eventsMax }: AppendOptions): NewBatch {
    const { epoch = newId(), id: after, batches } = known
    const last = known.head + events.length
    const time = Math.max(Date.now(), known.time)
    const countMax = Math.min(keep, eventsMax)
    let { start, bytes } = known
    const oldest = batches.find(({ count }) => count > 0)?.time ?? time
    const isOver = last - start > countMax + Math.min(1000, countMax / 8) || bytes > bytesMax * 1.125 || oldest < time - ageMsMax
    for (const place of isOver ? batches : []) {
      if (last - place.last < countMax && bytes <= bytesMax && place.time >= time - ageMsMax) break
      start = place.last
      bytes -= place.bytes
    }
    return { id: newId(), after, epoch, last, time, start, key, events }
  }

  /** Folds what others have stored since. */
  async function refresh(log: string, known: Known, deadline: number): Promise<Known> {
    const last = await lastOf(log, known, deadline)
    if (last === undefined) {
      if (known.seq > 0) reset(log, known)
    } else if (last.seq !== known.seq || idOf(last.data) !== known.id) {
      if (last.seq > known.seq && decodeBatch(last.data).after === known.id) take(log, known, last.seq, last.data)
      else await catchUp(log, known, last.seq, deadline)
    }
    trim(known, ({ time }) => time < Date.now() - ageMsMax)
    return known
  }

  /**
   * Where it is less than is known, JetStream has lost something; or it is said by one of a cluster that has been
   * replaced and does not know it yet, and will when it is asked again.
   */
  async function lastOf(log: string, { seq, time }: Known, deadline: number): Promise<Stored | undefined> {
    for (const until = performance.now() + doubtMs; ; await sleep(doubtMs / 10)) {
      const last = await connection.last(subject(log), deadline)
      const isLess = (last?.seq ?? 0) < seq && time >= Date.now() - ageMsMax
      if (!isLess || performance.now() > until) return last
    }
  }

  async function catchUp(log: string, known: Known, to: number, deadline: number): Promise<void> {
    let isWhole = to > known.seq
    if (isWhole) {
      await connection.each(
        subject(log),
        known.seq + 1,
        (message) => {
          isWhole = decodeBatch(message.data).after === known.id
          if (isWhole) take(log, known, message.seq, message.data)
          return isWhole && message.seq < to
        },
        deadline,
      )
    }
    // Between what is known and what is there something is missing: retention has taken it, or it was lost.
    if (!isWhole) await foldAnew(log, known, to, deadline)
  }

  /** What there is, whatever was known; with a new epoch where something of it was lost, so that who has seen that is told. */
  async function foldAnew(log: string, known: Known, to: number, deadline: number): Promise<void> {
    const { epoch, head } = known
    reset(log, known)
    await connection.each(
      subject(log),
      0,
      (message) => {
        if (decodeBatch(message.data).after !== known.id) reset(log, known)
        take(log, known, message.seq, message.data)
        return message.seq < to
      },
      deadline,
    )
    if (epoch === undefined || known.epoch !== epoch || known.start >= head) return
    const renewed: NewBatch = { ...newBatch(known, [], {}), epoch: newId(), start: known.start, isRenewed: true }
    const data = encodeBatch(renewed)
    const stored = await connection.store(subject(log), data, known.seq, deadline)
    if (stored === undefined) {
      // Somebody else was first.
      reset(log, known)
      await refresh(log, known, deadline)
      return
    }
    take(log, known, stored, data)
    connection.publish(`${stream}.bell.${token(log)}`, '0')
    bells.ring(log, 0)
  }

  function take(log: string, known: Known, seq: number, data: Uint8Array): void {
    const batch = decodeBatch(data)
    fold(known, seq, batch)
    if (batch.isEnd || batch.isRenewed) recent.forget(log)
    const { epoch, last: head, time, start, events } = batch
    if (!batch.isEnd) recent.push(log, { epoch, head, start, time, events })
  }

  function reset(log: string, known: Known): void {
    const hadLog = known.epoch !== undefined
    Object.assign(known, { seq: 0, id: '', epoch: undefined, head: 0, start: 0, bytes: 0, batches: [] })
    known.keys.clear()
    if (hadLog) end(log)
  }

  function end(log: string): void {
    recent.forget(log)
    bells.ring(log, 0)
  }

  interface Loading {
    readonly after: Position
    readonly from: number
    readonly countMax: number
    readonly sizeMax: number
    readonly deadline: number
  }

  /** Undefined where it is to be asked for again, because the log was not what it was known to be. */
  async function load(
    log: string,
    known: Known,
    { after, from, countMax, sizeMax, deadline }: Loading,
  ): Promise<Page | undefined> {
    const events: LogEvent[] = []
    let reached = from
    let size = 0
    const place = from < known.head ? known.batches.find(({ last }) => last > from) : undefined
    let isBroken = false
    const take = ({ seq, data }: Stored) => {
      // Not gone by age, and yet gone.
      isBroken = place !== undefined && events.length === 0 && seq > place.seq && place.time >= Date.now() - ageMsMax
      if (isBroken) return false
      for (const event of decodeBatch(data).events) {
        if (event.offset <= reached) continue
        isBroken = events.length > 0 && event.offset !== reached + 1
        if (isBroken) return false
        if (events.length === countMax || (size >= sizeMax && events.length > 0)) return false
        // What has gone by age since is missing before the first.
        if (events.length === 0) known.start = Math.max(known.start, event.offset > from + 1 ? event.offset - 1 : 0)
        events.push(event)
        reached = event.offset
        size += sizeOf(event.data)
      }
      return reached < known.head
    }
    if (place !== undefined) await connection.each(subject(log), place.seq, take, deadline)
    if (isBroken) {
      const { seq } = known
      await refresh(log, known, deadline)
      // Unless others have written since, and let go of it.
      if (known.seq === seq) await foldAnew(log, known, seq, deadline)
      return undefined
    }
    const first = (events[0]?.offset ?? from + 1) - 1
    const at = (offset: number): Position => ({ epoch: after.epoch, offset })
    const page = { events, position: at(events.at(-1)?.offset ?? first), head: at(known.head) }
    return first === after.offset ? page : { ...page, gap: { from: after, to: at(first) } }
  }

  function onConnected(): void {
    // What came to an end meanwhile was heard by nobody.
    recent.clear()
    bells.connected()
  }

  /** What nobody writes to goes by age without a word. */
  async function sweep(): Promise<void> {
    for (const log of bells.watched) await inTurn(log, (known, deadline) => refresh(log, known, deadline)).catch(() => {})
  }

  function subject(log: string): string {
    return `${stream}.log.${token(log)}`
  }
}

/** One token of a subject, whatever the name. */
function token(log: string): string {
  return `_${Buffer.from(log).toString('base64url')}`
}

function headOf({ epoch, head }: Known): Position | undefined {
  return epoch === undefined ? undefined : { epoch, offset: head }
}

/** 60 bits: two epochs of one name, or two batches, never meet by chance. */
function newId(): string {
  const digits = '0123456789abcdefghijklmnopqrstuv'
  return Array.from(randomBytes(12), (byte) => digits[byte % 32]).join('')
}
