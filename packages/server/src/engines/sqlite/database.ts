/** Opens the file of the SQLite engine: locks it for this process, migrates it, and checks that its logs can be found. */
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type MarkerRecord, readMarker, sizeOf } from './commit-marker.ts'
import { damage } from './damage.ts'
import type { Limits } from './requests.ts'
import { isSum, type LogRow, sumOfLog } from './rows.ts'
import { createSchema, prepare, type Statements } from './schema.ts'

/** Pages in the write-ahead log at which SQLite itself makes a checkpoint: `checkpoints.ts` does it earlier. */
const pagesMax = 8000
/** How long a checkpoint waits for another program that reads the file. */
const readMsMax = 1000

export interface Database {
  readonly database: DatabaseSync
  readonly sql: Statements
  /** Against other processes. */
  readonly lock: DatabaseSync
  readonly markerFile: string
  /** As the last process has left it. */
  readonly seen: MarkerRecord | undefined
  /** The file has had a marker beside it. */
  readonly hadMarker: boolean
  /** Logs whose rows are damaged, so that their names are unknown. */
  readonly unnamed: number
}

export function openDatabase(file: string, { isDurableOnDisk }: Limits): Database {
  const markerFile = join(dirname(file), 'millrace.marker')
  const seen = readMarker(markerFile)
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
    database.exec(`PRAGMA synchronous = ${isDurableOnDisk ? 'FULL' : 'NORMAL'}; PRAGMA wal_autocheckpoint = ${pagesMax}`)
    const hadMarker = createSchema(database) || seen !== undefined
    const sql = prepare(database)
    const unnamed = repair(database, sql)
    return { database, sql, lock, markerFile, seen, hadMarker, unnamed }
  } catch (error) {
    // Otherwise the next attempt would find the file in use.
    database.close()
    lock.close()
    throw error
  }
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

export function* allLogs({ after }: Statements): Generator<LogRow> {
  for (let last = 0; ; ) {
    const rows = after.all(last) as unknown as LogRow[]
    yield* rows
    const { id } = rows.at(-1) ?? {}
    if (id === undefined) return
    last = id
  }
}
