/**
 * Moves batches from the journal into the tables, some hundred events of a log at once: that writes a few pages, as one
 * event would. A log is moved when it is at rest, when it has many events in the journal, or when the journal is long, and
 * then the log first that needs its oldest row.
 */
import type { DatabaseSync } from 'node:sqlite'
import { pack, packed, type StoredText } from '../shared/packing.ts'
import { fromBatchText, sizeOf } from './batch-text.ts'
import { isOfOne, toFailure } from './failures.ts'
import type { Journal } from './journal.ts'
import type { Batch, Log } from './log.ts'
import type { LogTable } from './log-table.ts'
import { sumOfEvent, sumOfPack } from './rows.ts'
import type { Statements } from './schema.ts'
import { inTransaction } from './transaction.ts'

/** A log with so much in the journal is moved: with the batch that exceeds it, mostly one pack. */
const logMax = { events: packed.eventsMax - 64, bytes: packed.bytesMax / 2 }
/** Many logs may be due at once. Each group moves some of them; a log with this multiple is moved in any case. */
const overdue = 4
/** Beyond it, logs are moved although they have little in the journal. */
const journalMax = { bytes: 16 * 1024 * 1024, logs: 4096 }
/** What the journal grows by, after a move that damage has prevented, until logs are moved again. */
const bytesAfterDamage = 1024 * 1024
/** That a group moves at least, and twice what it appends. */
const eventsPerGroup = 1024
/** Rows of the journal that a group removes at least. */
const rowsPerGroup = 64

export interface TransferOptions {
  readonly database: DatabaseSync
  readonly sql: Statements
  readonly journal: Journal
  readonly logs: LogTable
}

export class Transfer {
  readonly #database: DatabaseSync
  readonly #sql: Statements
  readonly #journal: Journal
  readonly #logs: LogTable
  /** Events that this group may still move. */
  #budget = 0
  /** The last row of the journal before the last group. */
  #last = 0
  /** Logs that damage keeps out of the tables. */
  readonly #prevented = new WeakSet<Log>()
  #resumesAt = 0

  constructor({ database, sql, journal, logs }: TransferOptions) {
    this.#database = database
    this.#sql = sql
    this.#journal = journal
    this.#logs = logs
  }

  begin(): void {
    this.#budget = eventsPerGroup
    // About as many rows as are added: their pages are used again in the same commit.
    this.trimJournal(2 * (this.#journal.last - this.#last) + rowsPerGroup)
    this.#last = this.#journal.last
  }

  /** After an append. */
  moveIfLarge(log: Log, appended: number): void {
    this.#budget += 2 * appended
    const multiple = Math.max(log.journaledEvents / logMax.events, log.journaledBytes / logMax.bytes)
    if (multiple >= overdue || (multiple >= 1 && this.#budget > 0)) this.move(log)
  }

  /** Keeps the journal short, but for a log that damage keeps out of the tables. */
  end(): void {
    if (this.#journal.bytes < this.#resumesAt) return
    for (const log of this.#logs.journaled.values()) {
      if (this.#prevented.has(log)) continue
      const isLong = this.#journal.bytes - (log.since?.bytes ?? 0) > journalMax.bytes
      if (this.#budget <= 0 || !(isLong || this.#logs.journaled.size > journalMax.logs)) break
      try {
        this.move(log)
      } catch (error) {
        if (!isOfOne(toFailure(error))) throw error
        this.#prevented.add(log)
        // The requests of this group are performed again, each on its own: none of them may fail because of the next log.
        this.#resumesAt = this.#journal.bytes + bytesAfterDamage
        throw error
      }
    }
  }

  /** In transactions of its own. Leaves logs in the journal whose tables are damaged. */
  moveAll(): void {
    const all = [...this.#logs.journaled.values()]
    if (this.#tryToMove(all)) return
    for (const log of all) this.#tryToMove([log])
  }

  /** Removes at most `rowsMax` rows of the journal that the tables have. */
  trimJournal(rowsMax = Number.MAX_SAFE_INTEGER): void {
    const [first] = this.#logs.journaled.values()
    this.#journal.trim((first?.since?.seq ?? Number.MAX_SAFE_INTEGER) - 1, rowsMax)
  }

  /** Moves the batches of a log into the tables, and saves its row. */
  move(log: Log): void {
    this.#logs.change(log)
    if (log.savedStart < log.start) this.#logs.forgetRows(log, log.start)
    const stored = chunksOf(log.journaled).reduce((bytes, events) => bytes + this.#insert(log, events), 0)
    for (const { key, offset } of log.journaled) if (key !== undefined) this.#sql.insertKey.run(log.id, key, offset)
    this.#budget -= log.journaledEvents
    this.#logs.grow(log, stored - log.journaledBytes)
    log.oldest = undefined
    this.#logs.clearJournaled(log)
    this.#logs.save(log)
  }

  #tryToMove(logs: readonly Log[]): boolean {
    try {
      inTransaction(this.#database, this.#logs, () => {
        for (const log of logs) this.move(log)
      })
      return true
    } catch (error) {
      if (!isOfOne(toFailure(error))) throw error
      return false
    }
  }

  /** Returns the bytes stored. */
  #insert(log: Log, events: readonly StoredText[]): number {
    if (events.length >= packed.eventsMin) return insertPack(this.#sql, log, events)
    for (const event of events) {
      const { offset, type, time, data } = event
      this.#sql.insert.run(log.id, offset, type, time, sizeOf(data), data, sumOfEvent(log.id, event))
    }
    return events.reduce((bytes, { data }) => bytes + sizeOf(data), 0)
  }
}

/** Returns the bytes stored. */
export function insertPack(sql: Statements, { id }: Log, events: readonly StoredText[]): number {
  const { offset, time } = events.at(-1) as StoredText
  const data = pack(events)
  sql.insertPack.run(id, offset, time, sizeOf(data), data, sumOfPack(id, { offset, time, data }))
  return sizeOf(data)
}

/** The events in packs of about the same size, with no hole inside. */
function chunksOf(batches: readonly Batch[]): StoredText[][] {
  // A damaged batch leaves a hole, which every read of the log finds.
  const all = batches.flatMap(({ text, offset, count, time }) =>
    text === undefined ? [] : fromBatchText(text, offset - count, time),
  )
  const countMax = Math.ceil(all.length / Math.ceil(all.length / packed.eventsMax))
  const chunks: StoredText[][] = []
  let chunk: StoredText[] = []
  let bytes = 0
  for (const event of all) {
    const isNext = event.offset === (chunk.at(-1)?.offset ?? 0) + 1
    if (chunk.length === 0 || !isNext || chunk.length === countMax || bytes + sizeOf(event.data) > packed.bytesMax) {
      chunk = []
      bytes = 0
      chunks.push(chunk)
    }
    chunk.push(event)
    bytes += sizeOf(event.data)
  }
  return chunks
}
