/**
 * The file of the SQLite engine, opened: by this process alone, in today's form, and held against its witness. Where
 * what was acknowledged may be missing each log gets a new epoch before anybody is given one of its positions.
 */
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { newId } from '../shared/new-epoch.ts'
import { damage, isSum, sumOfLog } from './checks.ts'
import { type CommitMarker, doubtOf, openMarker, readMarker, sizeOf } from './commit-marker.ts'
import type { Limits } from './requests.ts'
import { createSchema, type Log, prepare, type Statements } from './schema.ts'

/** Far more than reading a group takes. */
const readMsMax = 1000

export interface Opened {
  readonly database: DatabaseSync
  readonly sql: Statements
  /** What keeps other processes away, and what says how far it had come; absent where it is only read. */
  readonly lock?: DatabaseSync
  readonly marker?: CommitMarker
  /** Groups that were committed to it. */
  readonly count: number
  /** What its operator has to know, in sentences. */
  readonly warning: string | undefined
}

export function openDatabase(file: string, { isDurableOnDisk }: Limits): Opened {
  const beside = join(dirname(file), 'millrace.marker')
  const seen = readMarker(beside)
  // SQLite would take it for a new one, and delete the write-ahead log.
  if (sizeOf(file) === 0 && (sizeOf(`${file}-wal`) > 0 || (seen !== undefined && seen.count !== 0)))
    throw damage('it is gone or empty, and what stood beside it is there')
  const lock = lockFolder(dirname(file))
  // A checkpoint that has to empty the write-ahead log waits for who reads in it.
  const database = new DatabaseSync(file, { timeout: readMsMax })
  try {
    // Room that is given back to the disk in steps: only a new file can be told.
    database.exec('PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL')
    // What is deleted is overwritten, not only left to be used again.
    database.exec('PRAGMA secure_delete = ON')
    database.exec(`PRAGMA synchronous = ${isDurableOnDisk ? 'FULL' : 'NORMAL'}; PRAGMA wal_autocheckpoint = 4000`)
    const hadMarker = createSchema(database)
    const sql = prepare(database)
    const unnamed = repair(database, sql)
    let { count } = sql.countGroups.get() as { count: number }
    const loss = hadMarker || seen !== undefined ? doubtOf(seen, count, file) : undefined
    if (loss !== undefined) {
      count = Math.max(count, seen?.count || 0) + 1
      renewEpochs(database, sql, count)
    }
    const marker = openMarker(beside, file, { count, isFlushed: isDurableOnDisk })
    if (!hadMarker) sql.noteGroups.run(count)
    return { database, sql, lock, marker, count, warning: tell(file, loss, unnamed) }
  } catch (error) {
    // Whoever tries again would find the file in use.
    database.close()
    lock.close()
    throw error
  }
}

/** A connection that only reads: WAL lets it do so while another one writes. */
export function openForReading(file: string): Opened {
  const database = new DatabaseSync(file, { readOnly: true, timeout: readMsMax })
  return { database, sql: prepare(database), count: 0, warning: undefined }
}

/**
 * Two servers on one file would each believe what it remembers. The lock is SQLite's own, on a file beside: the system
 * gives it up with the process, however that ends. Throws as SQLite does where another one has it.
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
 * A log that its index does not lead to would be none, and a new one would take its name: the index is made anew from
 * the rows where the two differ. Returns how many rows are not what was written, whose names nobody can tell then.
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
      // What is damaged stays so.
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
  // Flushed before the witness says that all is well.
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

function tell(file: string, loss: string | undefined, unnamed: number): string | undefined {
  const warning: string[] = []
  if (loss !== undefined)
    warning.push(
      `The logs in ${file} may have lost events that were acknowledged: ${loss}. Each goes on under a new epoch, and its readers are told to read it anew.`,
    )
  if (unnamed > 0) warning.push(`Of the logs in ${file}, ${unnamed} cannot be found by name any more: their rows are damaged.`)
  return warning.length === 0 ? undefined : warning.join(' ')
}
