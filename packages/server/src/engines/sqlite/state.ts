/**
 * The opened database with what the writer keeps in memory about it: replays the journal, and compares the file with its
 * commit marker. When acknowledged events may be missing, every log gets a new epoch before its first read.
 */
import type { DatabaseSync } from 'node:sqlite'
import { newId } from '../shared/new-epoch.ts'
import { type CommitMarker, detectLoss, openMarker } from './commit-marker.ts'
import { allLogs, type Database, openDatabase } from './database.ts'
import { Journal } from './journal.ts'
import { LogTable } from './log-table.ts'
import { Replay } from './replay.ts'
import type { Limits } from './requests.ts'
import { isSum, sumOfLog } from './rows.ts'
import { replaceJournal, type Statements } from './schema.ts'
import { inTransaction } from './transaction.ts'
import { Transfer } from './transfer.ts'

export interface State {
  readonly database: DatabaseSync
  readonly sql: Statements
  readonly journal: Journal
  readonly logs: LogTable
  readonly transfer: Transfer
  readonly marker: CommitMarker
  /** What the operator has to know, in sentences. */
  readonly warning: string | undefined
  close(): void
}

export function openState(file: string, limits: Limits): State {
  const opened = openDatabase(file, limits)
  try {
    return restoreState(file, limits, opened)
  } catch (error) {
    closeDatabase(opened)
    throw error
  }
}

function restoreState(file: string, limits: Limits, opened: Database): State {
  const { database, sql, seen, hadMarker, markerFile, unnamed } = opened
  const isBounded = limits.totalBytesMax < Number.POSITIVE_INFINITY
  const found = replay(opened, isBounded)
  const loss = (hadMarker ? detectLoss(seen, found.journal.last, file) : undefined) ?? found.loss
  if (loss !== undefined) {
    renewEpochs(opened, found, Math.max(found.journal.last, seen?.count || 0) + 1)
    // Of the old epochs.
    Object.assign(found, replay(opened, isBounded))
  }
  const { journal, logs, transfer } = found
  const marker = openMarker(markerFile, file, { count: journal.last, isFlushed: limits.isDurableOnDisk })
  try {
    if (!hadMarker) journal.note(0)
    marker.note(journal.last)
  } catch (error) {
    marker.close()
    throw error
  }
  return { database, sql, journal, logs, transfer, marker, warning: warningOf(file, loss, unnamed), close }

  function close(): void {
    closeDatabase(opened)
    marker.close()
  }
}

function closeDatabase({ database, lock }: Database): void {
  database.close()
  lock.close()
}

function replay({ database, sql }: Database, isBounded: boolean) {
  const journal = new Journal(sql)
  const logs = new LogTable(sql, journal, isBounded)
  const transfer = new Transfer({ database, sql, journal, logs })
  return { journal, logs, transfer, ...new Replay({ database, sql, logs, journal }).run() }
}

function renewEpochs({ database, sql }: Database, found: ReturnType<typeof replay>, count: number): void {
  const { journal, logs, transfer, isUnreadable } = found
  transfer.moveAll()
  inTransaction(database, logs, () => {
    for (const { sum, ...log } of allLogs(sql)) {
      // A new sum would hide the damage.
      if (!isSum(sum, sumOfLog(log))) continue
      const { id, start, head, bytes, touched } = log
      const epoch = newId()
      sql.save.run(epoch, start, head, bytes, touched, count, sumOfLog({ ...log, epoch, written: count }), id)
    }
    if (isUnreadable) replaceJournal(database)
    else sql.emptyJournal.run()
    journal.note(count)
  })
  // Flushed before the marker records the new count.
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
}

function warningOf(file: string, loss: string | undefined, unnamed: number): string | undefined {
  const warning: string[] = []
  if (loss !== undefined)
    warning.push(
      `The logs in ${file} may have lost acknowledged events: ${loss}. Each log gets a new epoch, and its readers read it again.`,
    )
  if (unnamed > 0) warning.push(`${unnamed} logs in ${file} cannot be found by name: their rows are damaged.`)
  return warning.length === 0 ? undefined : warning.join(' ')
}
