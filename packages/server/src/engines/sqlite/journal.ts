/**
 * The journal: batches of all logs in the order of their commit, one row each, so that a commit writes few pages however
 * many logs it is about. Its rows are numbered without a gap, and the last number counts what was committed. A row stays
 * until the tables have its batch, and the last row always.
 */
import type { Batch, Log } from './log.ts'
import { emptyRow, type JournalRow, toValues } from './rows.ts'
import type { Statements } from './schema.ts'
import { shorten } from './short-text.ts'

/** That a batch takes in memory, with what it takes beside its text. */
export function bytesOfRow(text: string | undefined): number {
  return 40 + (text?.length ?? 0)
}

export class Journal {
  readonly #sql: Statements
  /** Numbers of the last row, and of the oldest one that is kept. */
  #last = 0
  #first = 1
  /** Of the batches since the start, to compare: only differences count. */
  #bytes = 0
  #before = { last: 0, first: 1, bytes: 0 }

  constructor(sql: Statements) {
    this.#sql = sql
  }

  get last(): number {
    return this.#last
  }

  get bytes(): number {
    return this.#bytes
  }

  /** What is in the table. */
  restore({ first, last, bytes }: { first: number; last: number; bytes: number }): void {
    this.#first = first
    this.#last = last
    this.#bytes = bytes
  }

  begin(): void {
    this.#before = { last: this.#last, first: this.#first, bytes: this.#bytes }
  }

  rollback(): void {
    this.restore(this.#before)
  }

  /** Adds the batch to which the log has just grown; without text when the tables have it. */
  append(log: Log, { offset, count, time, size, key, text }: Batch): void {
    this.#last += 1
    const { id, start, bytes, whole } = log
    const short = text === undefined ? undefined : shorten(text, whole)
    if (short !== undefined) log.whole = short.whole
    this.#bytes += bytesOfRow(text)
    const data = short?.text ?? null
    this.#insert({ seq: this.#last, log: id, offset, count, start, bytes, time, size, key: key ?? null, data }, text)
    log.written = this.#last
  }

  /** Counts a commit that is about no event, such as of a deletion. */
  note(seq = this.#last + 1): void {
    this.#last = seq
    this.#insert(emptyRow(seq))
  }

  /** Overwrites the rows of logs, each up to a number. The numbers stay without a gap. */
  erase(logs: ReadonlyMap<number, number>): void {
    const found: number[] = []
    for (const row of this.#sql.journal.iterate(this.#first) as Iterable<unknown>) {
      const { seq, log } = row as JournalRow
      if (seq <= (logs.get(log) ?? 0)) found.push(seq)
    }
    for (const seq of found) {
      this.#sql.removeFromJournal.run(seq)
      this.#insert(emptyRow(seq))
    }
  }

  /** Removes rows up to a number, at most `rowsMax` of them, and never the last one. */
  trim(upTo: number, rowsMax: number): void {
    const end = Math.min(upTo, this.#last - 1, this.#first + rowsMax - 1)
    if (end < this.#first) return
    this.#sql.trimJournal.run(end)
    this.#first = end + 1
  }

  #insert(row: JournalRow, text?: string): void {
    this.#sql.insertJournal.run(...toValues(row, text))
  }
}
