/** The tables of the SQLite engine, their migration, and the statements over them. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { emptyRow, toValues } from './rows.ts'

const columns = 'id, name, epoch, start, head, bytes, touched, written, sum'

const tables = `
  CREATE TABLE IF NOT EXISTS logs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL,
    start INTEGER NOT NULL, head INTEGER NOT NULL, bytes INTEGER NOT NULL, touched INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS events (
    log INTEGER NOT NULL, "offset" INTEGER NOT NULL, type TEXT NOT NULL, time INTEGER NOT NULL, size INTEGER NOT NULL, data ANY,
    PRIMARY KEY (log, "offset")
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS packs (
    log INTEGER NOT NULL, "offset" INTEGER NOT NULL, time INTEGER NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (log, "offset")
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS keys (
    log INTEGER NOT NULL, key TEXT NOT NULL, "offset" INTEGER NOT NULL, PRIMARY KEY (log, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS keys_by_offset ON keys (log, "offset");
  CREATE INDEX IF NOT EXISTS logs_by_touched ON logs (touched);
`

/** The second version had sums, and counted its commits in the rows of the logs. */
const second = `
  ALTER TABLE events ADD COLUMN sum INTEGER;
  ALTER TABLE logs ADD COLUMN sum INTEGER;
  ALTER TABLE logs ADD COLUMN written INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE groups (count INTEGER NOT NULL) STRICT;
`

const insertJournal = 'INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'

/** Packs of many logs are written at once: in a table by log each would be in a page of its own. */
const packs = `
  ALTER TABLE packs RENAME TO earlier_packs;
  CREATE TABLE packs (
    id INTEGER PRIMARY KEY, log INTEGER NOT NULL, "offset" INTEGER NOT NULL, time INTEGER NOT NULL, size INTEGER NOT NULL,
    data BLOB NOT NULL, sum INTEGER
  ) STRICT;
  INSERT INTO packs (log, "offset", time, size, data) SELECT log, "offset", time, size, data FROM earlier_packs;
  DROP TABLE earlier_packs;
  CREATE UNIQUE INDEX packs_by_offset ON packs (log, "offset");
`

const journal = `
  CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, log INTEGER NOT NULL, "offset" INTEGER NOT NULL, count INTEGER NOT NULL, start INTEGER NOT NULL,
    bytes INTEGER NOT NULL, time INTEGER NOT NULL, size INTEGER NOT NULL, key TEXT, data TEXT, header INTEGER NOT NULL, sum INTEGER NOT NULL
  ) STRICT;
`

/** True when the file has had a commit marker beside it. */
export function createSchema(database: DatabaseSync): boolean {
  const has = (table: string) => database.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get(table) !== undefined
  if (has('journal')) return isJournalUsed(database)
  database.exec(`BEGIN; ${tables}`)
  try {
    if (!has('groups')) database.exec(second)
    const noted = database.prepare('SELECT max(count) AS count FROM groups').get() as { count: number | null }
    const { written } = database.prepare('SELECT coalesce(max(written), 0) AS written FROM logs').get() as { written: number }
    database.exec(`DROP TABLE groups; ${packs} ${journal}`)
    if (noted.count !== null) database.prepare(insertJournal).run(...toValues(emptyRow(Math.max(noted.count, written))))
    database.exec('COMMIT')
    return noted.count !== null
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function isJournalUsed(database: DatabaseSync): boolean {
  try {
    return database.prepare('SELECT 1 FROM journal').get() !== undefined
  } catch {
    // Damaged: the replay finds out.
    return true
  }
}

/** Where its pages cannot be read they cannot be removed either: the table stays, under another name. */
export function replaceJournal(database: DatabaseSync): void {
  database.exec(`ALTER TABLE journal RENAME TO damaged_journal_${Date.now()}; ${journal}`)
}

export type Statements = ReturnType<typeof prepare>

export function prepare(database: DatabaseSync) {
  const statement = (text: string): StatementSync => database.prepare(text)
  return {
    find: statement(`SELECT ${columns} FROM logs WHERE name = ?`),
    findById: statement(`SELECT ${columns} FROM logs WHERE id = ?`),
    names: statement('SELECT name FROM logs WHERE name >= ? AND name > ? ORDER BY name'),
    create: statement('INSERT INTO logs (name, epoch, start, head, bytes, touched, written) VALUES (?, ?, 0, 0, 0, ?, ?)'),
    save: statement('UPDATE logs SET epoch = ?, start = ?, head = ?, bytes = ?, touched = ?, written = ?, sum = ? WHERE id = ?'),
    remove: statement('DELETE FROM logs WHERE id = ?'),
    after: statement(`SELECT ${columns} FROM logs WHERE id > ? ORDER BY id LIMIT 1000`),
    // Several commits may fall into one millisecond; `written` orders them.
    byTouched: statement('SELECT name, bytes FROM logs ORDER BY touched, written'),
    countBytes: statement('SELECT coalesce(sum(bytes), 0) AS bytes FROM logs'),
    untouched: statement('SELECT name FROM logs WHERE touched < ? LIMIT 1000'),
    journal: statement('SELECT seq, log FROM journal WHERE seq >= ?'),
    insertJournal: statement(insertJournal),
    removeFromJournal: statement('DELETE FROM journal WHERE seq = ?'),
    trimJournal: statement('DELETE FROM journal WHERE seq <= ?'),
    emptyJournal: statement('DELETE FROM journal'),
    insert: statement('INSERT INTO events (log, "offset", type, time, size, data, sum) VALUES (?, ?, ?, ?, ?, ?, ?)'),
    insertPack: statement('INSERT INTO packs (log, "offset", time, size, data, sum) VALUES (?, ?, ?, ?, ?, ?)'),
    read: statement(`
      SELECT "offset", type, time, data, sum FROM events WHERE log = ? AND "offset" > ?
      UNION ALL SELECT "offset", NULL, time, data, sum FROM packs WHERE log = ? AND "offset" > ? ORDER BY 1 LIMIT ?`),
    // Without the data: large data is in pages of its own, and its type is not.
    unpacked: statement(`
      SELECT "offset", size, typeof(data) AS kind FROM events WHERE log = ? AND "offset" > ? ORDER BY "offset" LIMIT ?`),
    readEvents: statement(
      'SELECT "offset", type, time, size, data, sum FROM events WHERE log = ? AND "offset" BETWEEN ? AND ? ORDER BY "offset"',
    ),
    oldest: statement(`
      SELECT "offset", time, size FROM events WHERE log = ? AND "offset" > ?
      UNION ALL SELECT "offset", time, size FROM packs WHERE log = ? AND "offset" > ? ORDER BY 1`),
    forgetEvents: statement('DELETE FROM events WHERE log = ? AND "offset" <= ?'),
    forgetPacked: statement('DELETE FROM events WHERE log = ? AND "offset" BETWEEN ? AND ?'),
    forgetPacks: statement('DELETE FROM packs WHERE log = ? AND "offset" <= ?'),
    findKey: statement('SELECT "offset" FROM keys WHERE log = ? AND key = ?'),
    insertKey: statement('INSERT INTO keys (log, key, "offset") VALUES (?, ?, ?)'),
    forgetKeys: statement('DELETE FROM keys WHERE log = ? AND "offset" <= ?'),
  }
}
