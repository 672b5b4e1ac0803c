/**
 * The logs: found, created, saved and removed. A log that has batches in the journal stays in memory, others are cached.
 * What a transaction changes in memory is undone when it is rolled back.
 */
import { LRUCache } from 'lru-cache'
import { newId } from '../shared/new-epoch.ts'
import { logDamage } from './damage.ts'
import type { Journal } from './journal.ts'
import { type Batch, type Log, toLog } from './log.ts'
import { isSum, type LogRow, sumOfLog } from './rows.ts'
import type { Statements } from './schema.ts'

/** Rows cached: a log used less recently is looked up again. */
const cachedMax = 10_000

/** A log as it was before a transaction. */
interface Snapshot {
  readonly log: Readonly<Log>
  readonly batches: number
}

export class LogTable {
  readonly #sql: Statements
  readonly #journal: Journal
  readonly #cached = new LRUCache<string, Log>({ max: cachedMax })
  /** Logs with batches in the journal, in the order of `since`. */
  #journaled = new Map<string, Log>()
  /** The logs that this transaction has changed; undefined for one that it has created. */
  readonly #before = new Map<Log, Snapshot | undefined>()
  /** The ids that this transaction has removed, with the last row of the journal that may be about them. */
  readonly #removed = new Map<number, number>()
  /** Of all logs. */
  #totalBytes = 0
  #totalBefore = 0

  /** The bytes of all logs are counted only when they are bounded together. */
  constructor(sql: Statements, journal: Journal, isBounded: boolean) {
    this.#sql = sql
    this.#journal = journal
    if (isBounded) this.#totalBytes = (sql.countBytes.get() as { bytes: number }).bytes
  }

  get totalBytes(): number {
    return this.#totalBytes
  }

  get journaled(): ReadonlyMap<string, Log> {
    return this.#journaled
  }

  begin(): void {
    this.#before.clear()
    this.#removed.clear()
    this.#totalBefore = this.#totalBytes
    this.#journal.begin()
  }

  rollback(): void {
    this.#journal.rollback()
    this.#totalBytes = this.#totalBefore
    for (const [log, before] of this.#before) {
      if (before === undefined) {
        this.#cached.delete(log.name)
        continue
      }
      Object.assign(log, before.log)
      log.journaled.length = before.batches
    }
    const isCreated = (log: Log) => this.#before.has(log) && this.#before.get(log) === undefined
    const logs = new Set([...this.#journaled.values(), ...this.#before.keys()])
    const journaled = [...logs].filter((log) => log.since !== undefined && !isCreated(log))
    journaled.sort((one, other) => (one.since?.seq ?? 0) - (other.since?.seq ?? 0))
    this.#journaled = new Map(journaled.map((log) => [log.name, log]))
    this.#before.clear()
  }

  /** MUST be called before a log is changed. */
  change(log: Log): void {
    if (!this.#before.has(log)) this.#before.set(log, { log: { ...log }, batches: log.journaled.length })
  }

  /** Throws when the row is damaged. */
  find(name: string): Log | undefined {
    const found = this.findAny(name)
    if (found?.isDamaged) throw logDamage('the row of a log is not what was written')
    return found?.log
  }

  /** Also a log whose row is damaged, to remove it. */
  findAny(name: string): { readonly log: Log; readonly isDamaged: boolean } | undefined {
    const known = this.#journaled.get(name) ?? this.#cached.get(name)
    if (known !== undefined) return { log: known, isDamaged: false }
    const row = this.#sql.find.get(name) as LogRow | undefined
    if (row === undefined) return undefined
    const log = toLog(row)
    const isDamaged = !isSum(row.sum, sumOfLog(row))
    if (!isDamaged) this.#cached.set(name, log)
    return { log, isDamaged }
  }

  create(name: string, now: number): Log {
    const epoch = newId()
    const written = this.#journal.last
    const { lastInsertRowid } = this.#sql.create.run(name, epoch, now, written)
    const row = { id: Number(lastInsertRowid), name, epoch, start: 0, head: 0, bytes: 0, touched: now, written, sum: null }
    const log = toLog(row)
    this.#before.set(log, undefined)
    this.#cached.set(name, log)
    this.save(log)
    return log
  }

  /** Writes the row. The tables MUST have the log's batches. */
  save(log: Log): void {
    const { id, epoch, start, head, bytes, touched, written } = log
    this.#sql.save.run(epoch, start, head, bytes, touched, written, sumOfLog(log), id)
    log.savedStart = start
  }

  /** Adds a batch that the journal has got. */
  addJournaled(log: Log, batch: Batch, since: Log['since']): void {
    log.journaled.push(batch)
    log.journaledEvents += batch.count
    log.journaledBytes += batch.size
    if (log.since !== undefined) return
    log.since = since
    this.#journaled.set(log.name, log)
  }

  /** Drops the batches that retention has removed, with their keys. */
  dropJournaled(log: Log): void {
    const dropped = log.journaled.findIndex(({ offset }) => offset > log.start)
    const count = dropped === -1 ? log.journaled.length : dropped
    for (const { count: events, size } of log.journaled.slice(0, count)) {
      log.journaledEvents -= events
      log.journaledBytes -= size
    }
    log.journaled = log.journaled.slice(count)
  }

  /** The tables have got the log's batches. */
  clearJournaled(log: Log): void {
    Object.assign(log, { journaled: [], journaledEvents: 0, journaledBytes: 0, since: undefined, whole: undefined })
    this.#journaled.delete(log.name)
    this.#cached.set(log.name, log)
  }

  remove(log: Log): void {
    this.change(log)
    this.grow(log, -log.bytes)
    this.#cached.delete(log.name)
    this.#journaled.delete(log.name)
    this.#sql.remove.run(log.id)
    this.forgetRows(log, Number.MAX_SAFE_INTEGER)
    this.#removed.set(log.id, this.#journal.last)
  }

  /** After the last removal of a transaction: the journal is read once for all of them. */
  eraseRemoved(): void {
    if (this.#removed.size === 0) return
    this.#journal.erase(this.#removed)
    this.#journal.note()
  }

  /** Removes the rows of events and keys up to an offset. */
  forgetRows({ id }: Log, upTo: number): void {
    const { forgetEvents, forgetPacks, forgetKeys } = this.#sql
    for (const statement of [forgetEvents, forgetPacks, forgetKeys]) statement.run(id, upTo)
  }

  grow(log: Log, bytes: number): void {
    log.bytes += bytes
    this.#totalBytes += bytes
  }
}
