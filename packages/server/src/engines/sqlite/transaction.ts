/** A transaction of the database, together with what the writer keeps in memory: both change, or neither. */
import type { DatabaseSync } from 'node:sqlite'
import type { LogTable } from './log-table.ts'

export function inTransaction<T>(database: DatabaseSync, logs: LogTable, act: () => T): T {
  logs.begin()
  database.exec('BEGIN')
  try {
    const result = act()
    database.exec('COMMIT')
    return result
  } catch (error) {
    // An error of the database itself, such as a full disk. SQLite may have ended the transaction.
    logs.rollback()
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
