/** The tables of the SQLite engine, their migration, and the statements over them. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** The row of a log, cached and changed by the store. */
export interface Log {
  readonly id: number
  readonly name: string
  epoch: string
  /** The offset before the oldest event kept, and the offset of the newest. */
  start: number
  head: number
  bytes: number
  touched: number
  /** The number of the group that wrote this row. */
  written: number
  /** Time of the oldest row; undefined until it is looked up. */
  oldest?: number | undefined
}

/** An event, or a pack under the offset and time of its last event. */
export interface Row {
  readonly offset: number
  readonly type: string | null
  readonly time: number
  readonly size: number
  readonly data: string | Uint8Array
  /** Null for a pack, which has its own checksum, and for an event of an older version. */
  readonly sum: number | null
}

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

/**
 * The second version: sums, and the number of the group that wrote a log's row. The number of groups is the greatest of
 * these, which costs no page more per group; only a group that removes a row writes the number into `groups`.
 */
const later = `
  ALTER TABLE events ADD COLUMN sum INTEGER;
  ALTER TABLE logs ADD COLUMN sum INTEGER;
  ALTER TABLE logs ADD COLUMN written INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE groups (count INTEGER NOT NULL) STRICT;
`

/** True when the file has had a commit marker beside it. */
export function createSchema(database: DatabaseSync): boolean {
  database.exec(tables)
  const isLater = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'groups'").get() !== undefined
  if (!isLater) database.exec(`BEGIN; ${later} COMMIT`)
  return database.prepare('SELECT 1 FROM groups').get() !== undefined
}

export type Statements = ReturnType<typeof prepare>

export function prepare(database: DatabaseSync) {
  const statement = (text: string): StatementSync => database.prepare(text)
  return {
    find: statement('SELECT id, name, epoch, start, head, bytes, touched, written, sum FROM logs WHERE name = ?'),
    names: statement('SELECT name FROM logs WHERE name >= ? AND name > ? ORDER BY name'),
    create: statement('INSERT INTO logs (name, epoch, start, head, bytes, touched) VALUES (?, ?, 0, 0, 0, ?)'),
    save: statement('UPDATE logs SET epoch = ?, start = ?, head = ?, bytes = ?, touched = ?, written = ?, sum = ? WHERE id = ?'),
    remove: statement('DELETE FROM logs WHERE id = ?'),
    after: statement(
      'SELECT id, name, epoch, start, head, bytes, touched, written, sum FROM logs WHERE id > ? ORDER BY id LIMIT 1000',
    ),
    // Several commits may fall into one millisecond; `written` counts them.
    byTouched: statement('SELECT name, bytes FROM logs ORDER BY touched, written'),
    countBytes: statement('SELECT coalesce(sum(bytes), 0) AS bytes FROM logs'),
    untouched: statement('SELECT name FROM logs WHERE touched < ? LIMIT 1000'),
    countGroups: statement(
      'SELECT max(coalesce((SELECT max(count) FROM groups), 0), coalesce((SELECT max(written) FROM logs), 0)) AS count',
    ),
    forgetGroups: statement('DELETE FROM groups'),
    noteGroups: statement('INSERT INTO groups (count) VALUES (?)'),
    insert: statement('INSERT INTO events (log, "offset", type, time, size, data, sum) VALUES (?, ?, ?, ?, ?, ?, ?)'),
    insertPack: statement('INSERT INTO packs (log, "offset", time, size, data) VALUES (?, ?, ?, ?, ?)'),
    read: statement(`
      SELECT "offset", type, time, data, sum FROM events WHERE log = ? AND "offset" > ?
      UNION ALL SELECT "offset", NULL, time, data, NULL FROM packs WHERE log = ? AND "offset" > ? ORDER BY 1 LIMIT ?`),
    // Without the data: large data is in pages of its own, and its type is not.
    unpacked: statement(`
      SELECT "offset", size, typeof(data) AS kind FROM events WHERE log = ? AND "offset" > ? ORDER BY "offset" LIMIT ?`),
    readEvents: statement(
      'SELECT "offset", type, time, size, data, sum FROM events WHERE log = ? AND "offset" BETWEEN ? AND ? ORDER BY "offset"',
    ),
    oldest: statement(`
      SELECT "offset", time, size FROM events WHERE log = ?
      UNION ALL SELECT "offset", time, size FROM packs WHERE log = ? ORDER BY 1`),
    forgetEvents: statement('DELETE FROM events WHERE log = ? AND "offset" <= ?'),
    forgetPacked: statement('DELETE FROM events WHERE log = ? AND "offset" BETWEEN ? AND ?'),
    forgetPacks: statement('DELETE FROM packs WHERE log = ? AND "offset" <= ?'),
    findKey: statement('SELECT "offset" FROM keys WHERE log = ? AND key = ?'),
    insertKey: statement('INSERT INTO keys (log, key, "offset") VALUES (?, ?, ?)'),
    forgetKeys: statement('DELETE FROM keys WHERE log = ? AND "offset" <= ?'),
  }
}
