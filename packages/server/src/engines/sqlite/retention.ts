/** What the limits remove: the oldest events of a log, and whole logs. */
import { logDamage } from './damage.ts'
import { type Log, storedHead } from './log.ts'
import type { LogTable } from './log-table.ts'
import type { Limits } from './requests.ts'
import type { Row } from './rows.ts'
import type { Statements } from './schema.ts'
import type { Transfer } from './transfer.ts'

export interface RetentionOptions {
  readonly sql: Statements
  readonly logs: LogTable
  readonly transfer: Transfer
  readonly limits: Limits
}

export class Retention {
  readonly #sql: Statements
  readonly #logs: LogTable
  readonly #transfer: Transfer
  readonly #limits: Limits

  constructor({ sql, logs, transfer, limits }: RetentionOptions) {
    this.#sql = sql
    this.#logs = logs
    this.#transfer = transfer
    this.#limits = limits
  }

  /**
   * Removes the oldest events beyond the bounds of the log; `keep` is the number of newest events to keep. Their rows are
   * removed when the log's row is written next.
   */
  trim(log: Log, time: number, keep = Number.POSITIVE_INFINITY): void {
    const { bytesMax, ageMsMax } = this.#limits
    const isDue = (at: number) => log.head - log.start > keep || log.bytes > bytesMax || at < time - ageMsMax
    if (log.oldest !== undefined && !isDue(log.oldest)) return
    this.#logs.change(log)
    const before = log.start
    log.oldest = undefined
    for (const { offset, time: at, size } of this.#oldestRows(log)) {
      log.oldest = at
      // A pack or batch is removed as a whole: only when the events after it are enough.
      const fits = log.head - offset >= keep || log.bytes > bytesMax || at < time - ageMsMax
      if (!fits || !isDue(at)) break
      if (offset > log.head) throw logDamage('an event is not where it was')
      log.oldest = undefined
      log.start = offset
      this.#logs.grow(log, -size)
    }
    if (log.start > before) this.#logs.dropJournaled(log)
  }

  /** Removes the logs with the oldest last append for `bytes`, or none when the removable ones are too few. */
  makeRoom(bytes: number, spare: readonly string[]): string[] {
    const spared = new Set(spare)
    // The table has their last append only when they are moved.
    for (const log of this.#logs.journaled.values()) if (!spared.has(log.name)) this.#transfer.move(log)
    const chosen: string[] = []
    let freed = 0
    for (const row of this.#sql.byTouched.iterate() as Iterable<unknown>) {
      const { name, bytes: size } = row as Pick<Log, 'name' | 'bytes'>
      if (freed >= bytes) break
      if (spared.has(name) || size === 0) continue
      chosen.push(name)
      freed += size
    }
    if (freed < bytes) return []
    for (const name of chosen) this.#logs.remove(this.#logs.findAny(name)?.log as Log)
    return chosen
  }

  /** Removes the logs that have no event left and had no append for the maximal age. */
  sweep(now: number): string[] {
    const removed: string[] = []
    const oldest = now - this.#limits.ageMsMax
    for (const { name } of this.#sql.untouched.all(oldest) as { name: string }[]) {
      const { log, isDamaged } = this.#logs.findAny(name) ?? {}
      // A damaged log stays until it is deleted.
      if (log === undefined || isDamaged) continue
      this.trim(log, now)
      if (log.start < log.head || log.touched >= oldest) {
        // The table learns of its last append.
        if (log.since !== undefined) this.#transfer.move(log)
        continue
      }
      this.#logs.remove(log)
      removed.push(name)
    }
    return removed
  }

  *#oldestRows(log: Log): Generator<Pick<Row, 'offset' | 'time' | 'size'>> {
    const { id, start, journaled } = log
    if (start < storedHead(log)) yield* this.#sql.oldest.iterate(id, start, id, start) as Iterable<unknown> as Iterable<Row>
    for (const batch of journaled) if (batch.count > 0) yield batch
  }
}
