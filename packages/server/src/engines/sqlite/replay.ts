/** At the start: gives the logs the batches of the journal that the tables do not have, and finds what the journal has lost. */
import type { DatabaseSync } from 'node:sqlite'
import { toFailure } from './failures.ts'
import { bytesOfRow, type Journal } from './journal.ts'
import type { Log } from './log.ts'
import type { LogTable } from './log-table.ts'
import { isSum, type JournalRow, type LogRow, sumOfBatch, sumOfHeader, sumOfLog } from './rows.ts'
import type { Statements } from './schema.ts'
import { lengthen } from './short-text.ts'

type StoredRow = JournalRow & { readonly header: number; readonly sum: number }

export interface Replayed {
  /** Why batches of unknown logs may be missing; undefined when none is. */
  readonly loss: string | undefined
  /** The table has pages that cannot be read, so it cannot be emptied. */
  readonly isUnreadable: boolean
}

export interface ReplayOptions {
  readonly database: DatabaseSync
  readonly sql: Statements
  readonly logs: LogTable
  readonly journal: Journal
}

export class Replay {
  readonly #database: DatabaseSync
  readonly #sql: Statements
  readonly #logs: LogTable
  readonly #journal: Journal
  /** By id; undefined where the log's row is damaged. */
  readonly #found = new Map<number, Log | undefined>()
  #first: number | undefined
  #last = 0
  #bytes = 0
  #loss: string | undefined

  constructor({ database, sql, logs, journal }: ReplayOptions) {
    this.#database = database
    this.#sql = sql
    this.#logs = logs
    this.#journal = journal
  }

  run(): Replayed {
    const isUnreadable = !this.#readAll()
    if (isUnreadable) this.#loss = 'a page of its journal is damaged'
    this.#journal.restore({ first: this.#first ?? 1, last: this.#last, bytes: this.#bytes })
    return { loss: this.#loss, isUnreadable }
  }

  /** False when a page cannot be read. The rows behind it are then read from the end. */
  #readAll(): boolean {
    try {
      for (const row of this.#rows('ASC')) this.#add(row)
      return true
    } catch (error) {
      if (toFailure(error).kind !== 'damaged') throw error
    }
    const behind: StoredRow[] = []
    try {
      for (const row of this.#rows('DESC')) {
        if (row.seq <= this.#last) break
        behind.push(row)
      }
    } catch {
      // The damaged page again.
    }
    for (const row of behind.reverse()) this.#add(row)
    return false
  }

  #add(row: StoredRow): void {
    const { seq, log: id, offset, count, start, bytes, time, size, key, data } = row
    if (this.#first === undefined) this.#first = seq
    else if (seq !== this.#last + 1) this.#loss = 'a row of its journal is missing'
    this.#last = seq
    const header = sumOfHeader(row)
    if (header !== row.header) {
      this.#loss = 'a row of its journal is not what was written'
      return
    }
    if (id === 0) return
    const log = this.#find(id)
    if (log === undefined || seq <= log.written) return
    const found = data === null ? undefined : lengthen(data, log.whole)
    const isCorrect = found !== undefined && row.sum === sumOfBatch(header, found.text)
    // Otherwise as before: most rows are about an earlier one, and the sums of the next tell whether they are.
    if (isCorrect) log.whole = found.whole
    const batch = { offset, count, time, size, key: key ?? undefined, text: isCorrect ? found.text : undefined }
    this.#logs.addJournaled(log, batch, { seq, bytes: this.#bytes })
    this.#bytes += bytesOfRow(batch.text)
    this.#logs.grow(log, bytes - log.bytes)
    Object.assign(log, { head: offset, touched: time, written: seq, oldest: undefined })
    if (log.start === start) return
    log.start = start
    this.#logs.dropJournaled(log)
  }

  #find(id: number): Log | undefined {
    if (this.#found.has(id)) return this.#found.get(id)
    const row = this.#sql.findById.get(id) as LogRow | undefined
    if (row === undefined) this.#loss = 'the log of a row of its journal is missing'
    // Where its row is damaged, the log is rejected until it is deleted.
    const log = row !== undefined && isSum(row.sum, sumOfLog(row)) ? this.#logs.find(row.name) : undefined
    this.#found.set(id, log)
    return log
  }

  /** A statement of its own: one that has failed does not see a table that takes the place of the other. */
  #rows(order: 'ASC' | 'DESC'): Iterable<StoredRow> {
    const rows: Iterable<unknown> = this.#database.prepare(`SELECT * FROM journal ORDER BY seq ${order}`).iterate()
    return rows as Iterable<StoredRow>
  }
}
