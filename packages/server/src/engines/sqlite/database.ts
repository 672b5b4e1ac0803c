/**
 * Opens the file of the SQLite engine: locks it for this process, migrates it, and compares it with its commit marker.
 * When acknowledged events may be missing, every log gets a new epoch before its first read.
 */
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { newId } from '../shared/new-epoch.ts'
import { damage, isSum, sumOfLog } from './checks.ts'
import { type CommitMarker, detectLoss, openMarker, readMarker, sizeOf } from './commit-marker.ts'
import type { Limits } from './requests.ts'
import { createSchema, type Log, prepare, type Statements } from './schema.ts'

/** How long a checkpoint waits for readers, far longer than a group of reads takes. */
const readMsMax = 1000

export interface Opened {
  readonly database: DatabaseSync
  readonly sql: Statements
  /** The lock against other processes, and the count of commits; absent in a connection that only reads. */
  readonly lock?: DatabaseSync
  readonly marker?: CommitMarker
  /** Committed groups. */
  readonly count: number
  /** What the operator has to know, in sentences. */
  readonly warning: string | undefined
}

export function openDatabase(file: string, { isDurableOnDisk }: Limits): Opened {
  const beside = join(dirname(file), 'millrace.marker')
  const seen = readMarker(beside)
  // SQLite would treat an empty file as a new database, and delete the write-ahead log.
  if (sizeOf(file) === 0 && (sizeOf(`${file}-wal`) > 0 || (seen !== undefined && seen.count !== 0)))
    throw damage('it is missing or empty, but the files beside it exist')
  const lock = lockFolder(dirname(file))
  const database = new DatabaseSync(file, { timeout: readMsMax })
  try {
    // Returns free pages to the disk in steps. SQLite takes this setting only for a new file.
    database.exec('PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL')
    // Overwrites deleted data, instead of only marking its pages as free.
    database.exec('PRAGMA secure_delete = ON')
    database.exec(`PRAGMA synchronous = ${isDurableOnDisk ? 'FULL' : 'NORMAL'}; PRAGMA wal_autocheckpoint = 4000`)
    const hadMarker = createSchema(database)
    const sql = prepare(database)
    const unnamed = repair(database, sql)
    let { count } = sql.countGroups.get() as { count: number }
    const loss = hadMarker || seen !== undefined ? detectLoss(seen, count, file) : undefined
    if (loss !== undefined) {
      count = Math.max(count, seen?.count || 0) + 1
      renewEpochs(database, sql, count)
    }
    const marker = openMarker(beside, file, { count, isFlushed: isDurableOnDisk })
    if (!hadMarker) sql.noteGroups.run(count)
    return { database, sql, lock, marker, count, warning: warningOf(file, loss, unnamed) }
  } catch (error) {
    // Otherwise the next attempt would find the file in use.
    database.close()
    lock.close()
    throw error
  }
}

/** A read-only connection: with WAL it can read while another one writes. */
export function openForReading(file: string): Opened {
  const database = new DatabaseSync(file, { readOnly: true, timeout: readMsMax })
  return { database, sql: prepare(database), count: 0, warning: undefined }
}

/**
 * Two servers on one file would each rely on their caches. The lock is SQLite's own, on a second file: the system
 * releases it when the process ends, however it ends. Throws SQLite's error when another process has the lock.
 */
function lockFolder(folder: string): DatabaseSync {
  const lock = new DatabaseSync(join(folder, 'millrace.lock'))
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    throw error
  }
}

/**
 * A log that is missing in the index of names would not be found, and a new log would take its name: the index is
 * rebuilt from the rows when the two differ. Returns the number of damaged rows, whose names are unknown.
 */
function repair(database: DatabaseSync, sql: Statements): number {
  if (isWhole(database)) return 0
  database.exec('REINDEX logs')
  if (!isWhole(database)) throw damage('the table of the logs cannot be read')
  return allLogs(sql).reduce((sum, log) => (isSum(log.sum, sumOfLog(log)) ? sum : sum + 1), 0)
}

function isWhole(database: DatabaseSync): boolean {
  const { integrity_check: found } = database.prepare('PRAGMA integrity_check(logs)').get() as { integrity_check: string }
  return found === 'ok'
}

function renewEpochs(database: DatabaseSync, sql: Statements, count: number): void {
  database.exec('BEGIN')
  try {
    for (const log of allLogs(sql)) {
      // A new sum would hide the damage.
      if (!isSum(log.sum, sumOfLog(log))) continue
      const { id, start, head, bytes, touched } = log
      const renewed = { ...log, epoch: newId(), written: count }
      sql.save.run(renewed.epoch, start, head, bytes, touched, count, sumOfLog(renewed), id)
    }
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
  // Flushed before the marker records the new count.
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
}

type Kept = Log & { readonly sum: number | null }

function* allLogs({ after }: Statements): Generator<Kept> {
  for (let last = 0; ; ) {
    const rows = after.all(last) as unknown as Kept[]
    yield* rows
    const { id } = rows.at(-1) ?? {}
    if (id === undefined) return
    last = id
  }
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
