/** The rows of the logs: created, cached, written back, trimmed by retention and removed. */
import { LRUCache } from 'lru-cache'
import { newId } from '../shared/new-epoch.ts'
import { isSum, logDamage, sumOfLog } from './checks.ts'
import type { Opened } from './database.ts'
import type { Limits } from './requests.ts'
import type { Log, Row, Statements } from './schema.ts'

/** Rows cached: a log used less recently is looked up again. */
const cachedMax = 10_000

export class LogTable {
  readonly #sql: Statements
  readonly #limits: Limits
  readonly #isReadOnly: boolean
  readonly #cached = new LRUCache<string, Log>({ max: cachedMax })
  /** Groups that were committed. */
  #groups: number
  /** The transaction under way has written. */
  #isWriting = false
  /** Of all logs; undefined until it is needed, and after a rollback. */
  #totalBytes: number | undefined

  constructor({ sql, marker, count }: Opened, limits: Limits) {
    this.#sql = sql
    this.#limits = limits
    this.#isReadOnly = marker === undefined
    this.#groups = count
  }

  begin(): void {
    this.#isWriting = false
    // The writer's thread may have changed the rows.
    if (this.#isReadOnly) this.#cached.clear()
  }

  /** The number of groups committed; undefined when this one has written nothing. */
  commit(): number | undefined {
    if (!this.#isWriting) return undefined
    this.#groups += 1
    return this.#groups
  }

  rollback(): void {
    this.#cached.clear()
    this.#totalBytes = undefined
  }

  /** Throws when the row is damaged. */
  find(name: string): Log | undefined {
    const found = this.#lookUp(name)
    if (found?.isDamaged) throw logDamage('the row of a log is not what was written')
    return found?.log
  }

  /** Also a log whose row is damaged, to remove it. */
  findAny(name: string): Log | undefined {
    return this.#lookUp(name)?.log
  }

  create(name: string, now: number): Log {
    const epoch = newId()
    const { lastInsertRowid } = this.#sql.create.run(name, epoch, now)
    const log = { id: Number(lastInsertRowid), name, epoch, start: 0, head: 0, bytes: 0, touched: now, written: 0 }
    this.#cached.set(name, log)
    return log
  }

  save(log: Log): void {
    this.#isWriting = true
    log.written = this.#groups + 1
    const { id, epoch, start, head, bytes, touched, written } = log
    this.#sql.save.run(epoch, start, head, bytes, touched, written, sumOfLog(log), id)
  }

  remove(log: Log): void {
    this.#isWriting = true
    this.grow(log, -log.bytes)
    this.#cached.delete(log.name)
    this.#sql.remove.run(log.id)
    this.#forgetRows(log, Number.MAX_SAFE_INTEGER)
    // The removed row may have been the one that recorded the number of groups.
    this.#sql.forgetGroups.run()
    this.#sql.noteGroups.run(this.#groups + 1)
  }

  /** Removes the oldest events beyond the bounds of the log; `keep` is the number of newest events to keep. */
  trim(log: Log, time: number, keep = Number.POSITIVE_INFINITY): void {
    const { bytesMax, ageMsMax } = this.#limits
    const isDue = (at: number) => log.head - log.start > keep || log.bytes > bytesMax || at < time - ageMsMax
    if (log.oldest !== undefined && !isDue(log.oldest)) return
    const before = log.start
    log.oldest = undefined
    for (const row of this.#sql.oldest.iterate(log.id, log.id) as Iterable<unknown>) {
      const { offset, time: at, size } = row as Row
      log.oldest = at
      // A pack is removed as a whole: only when the events after it are enough.
      const fits = log.head - offset >= keep || log.bytes > bytesMax || at < time - ageMsMax
      if (!fits || !isDue(at)) break
      if (offset > log.head) throw logDamage('an event is not where it was')
      log.oldest = undefined
      log.start = offset
      this.grow(log, -size)
    }
    if (log.start === before || this.#isReadOnly) return
    this.#forgetRows(log, log.start)
    this.save(log)
  }

  grow(log: Log, bytes: number): void {
    log.bytes += bytes
    if (this.#totalBytes !== undefined) this.#totalBytes += bytes
  }

  /** Of all logs; 0 when they are not bounded together. */
  get totalBytes(): number {
    if (this.#limits.totalBytesMax === Number.POSITIVE_INFINITY) return 0
    this.#totalBytes ??= (this.#sql.countBytes.get() as { bytes: number }).bytes
    return this.#totalBytes
  }

  /** Removes the logs with the oldest last append for `bytes`, or none when the removable ones are too few. */
  makeRoom(bytes: number, spare: readonly string[]): string[] {
    const spared = new Set(spare)
    const chosen: string[] = []
    let freed = 0
    for (const row of this.#sql.byTouched.iterate() as Iterable<unknown>) {
      const { name, bytes: size } = row as Log
      if (freed >= bytes) break
      if (spared.has(name) || size === 0) continue
      chosen.push(name)
      freed += size
    }
    if (freed < bytes) return []
    for (const name of chosen) this.remove(this.findAny(name) as Log)
    return chosen
  }

  /** Removes the logs that have no event left and had no append for the maximal age. */
  sweep(now: number): string[] {
    const removed: string[] = []
    for (const { name } of this.#sql.untouched.all(now - this.#limits.ageMsMax) as { name: string }[]) {
      const { log, isDamaged } = this.#lookUp(name) ?? {}
      // A damaged log stays until it is deleted.
      if (log === undefined || isDamaged) continue
      this.trim(log, now)
      if (log.start < log.head) continue
      this.remove(log)
      removed.push(name)
    }
    return removed
  }

  #lookUp(name: string): { readonly log: Log; readonly isDamaged: boolean } | undefined {
    const cached = this.#cached.get(name)
    if (cached !== undefined) return { log: cached, isDamaged: false }
    const row = this.#sql.find.get(name) as (Log & { sum: number | null }) | undefined
    if (row === undefined) return undefined
    const { sum, ...log } = row
    const isDamaged = !isSum(sum, sumOfLog(log))
    if (!isDamaged) this.#cached.set(name, log)
    return { log, isDamaged }
  }

  #forgetRows({ id }: Log, upTo: number): void {
    const { forgetEvents, forgetPacks, forgetKeys } = this.#sql
    for (const statement of [forgetEvents, forgetPacks, forgetKeys]) statement.run(id, upTo)
  }
}
