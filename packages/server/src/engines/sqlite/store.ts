/**
 * The database behind the SQLite engine, as plain calls: what log/log.ts promises, in tables. It runs in a
 * worker and owns its file alone, so what it knows of a log it keeps. It knows no packages of Millrace's:
 * a refusal is thrown as `{ code }`.
 */
import { randomBytes } from 'node:crypto'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Answer, Limits, Request, StoredEvent } from './requests.ts'

interface Log {
  readonly id: number
  readonly epoch: string
  /** Offset before the oldest event kept, and of the newest. */
  start: number
  head: number
  bytes: number
  touched: number
}

const schema = `
  CREATE TABLE IF NOT EXISTS logs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL,
    start INTEGER NOT NULL, head INTEGER NOT NULL, bytes INTEGER NOT NULL, touched INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS events (
    log INTEGER NOT NULL, "offset" INTEGER NOT NULL, type TEXT NOT NULL, time INTEGER NOT NULL, size INTEGER NOT NULL, data ANY,
    PRIMARY KEY (log, "offset")
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS keys (
    log INTEGER NOT NULL, key TEXT NOT NULL, "offset" INTEGER NOT NULL, PRIMARY KEY (log, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS keys_by_offset ON keys (log, "offset");
  CREATE INDEX IF NOT EXISTS logs_by_touched ON logs (touched);
`

/** Of each event beside its data. */
const overheadBytes = 100

export interface Store {
  /** All of them in one transaction: none is answered that has not been written. */
  perform(requests: readonly Request[]): readonly Answer[]
  close(): void
}

export function openStore(file: string, { eventsMax, bytesMax, ageMsMax, isDurableOnDisk }: Limits): Store {
  const database = new DatabaseSync(file)
  // Alone from the first write on: two servers on one file would each believe what it remembers.
  database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL')
  database.exec(`PRAGMA synchronous = ${isDurableOnDisk ? 'FULL' : 'NORMAL'}; PRAGMA wal_autocheckpoint = 4000`)
  database.exec(schema)
  const sql = prepare(database)
  const known = new Map<string, Log>()

  return {
    perform(requests) {
      database.exec('BEGIN')
      try {
        const answers = requests.map(answer)
        database.exec('COMMIT')
        return answers
      } catch (error) {
        // Of the database itself, such as a full disk: nothing of this group has happened.
        known.clear()
        if (database.isTransaction) database.exec('ROLLBACK')
        throw error
      }
    },
    close: () => database.close(),
  }

  function answer(request: Request): Answer {
    switch (request.op) {
      case 'append':
        return append(request)
      case 'read':
        return read(request)
      case 'inspect': {
        const log = find(request.log)
        if (log !== undefined) trim(log, request.now)
        return log === undefined ? {} : { epoch: log.epoch, start: log.start, head: log.head }
      }
      case 'delete': {
        const log = find(request.log)
        if (log !== undefined) remove(request.log, log)
        return { existed: log !== undefined }
      }
      case 'sweep':
        return { gone: sweep(request.now) }
    }
  }

  function find(name: string): Log | undefined {
    const log = known.get(name) ?? (sql.find.get(name) as Log | undefined)
    if (log !== undefined) known.set(name, log)
    return log
  }

  function append({ log: name, epoch, key, unless, keep, events, now }: Extract<Request, { op: 'append' }>): Answer {
    const existing = find(name)
    if (epoch !== undefined && existing?.epoch !== epoch) return { refused: 'position_foreign' }
    const used = findKey(existing, key)
    if (existing !== undefined && used !== undefined)
      return { epoch: existing.epoch, head: used.offset, start: existing.start, time: 0, duplicate: true }
    if (findKey(existing, unless) !== undefined) return { refused: 'fenced' }
    const log = existing ?? create(name, now)
    const time = Math.max(now, log.touched)
    for (const { type, data } of events) {
      const size = overheadBytes + (typeof data === 'string' ? data.length : data.byteLength)
      log.head += 1
      log.bytes += size
      sql.insert.run(log.id, log.head, type, time, size, data)
    }
    if (key !== undefined) sql.insertKey.run(log.id, key, log.head)
    log.touched = time
    trim(log, time, keep)
    save(log)
    return { epoch: log.epoch, head: log.head, start: log.start, time, duplicate: false }
  }

  function findKey(log: Log | undefined, key: string | undefined): { offset: number } | undefined {
    if (log === undefined || key === undefined) return undefined
    return sql.findKey.get(log.id, key) as { offset: number } | undefined
  }

  function read({
    log: name,
    epoch,
    offset,
    eventsMax: countMax,
    bytesMax: sizeMax,
    now,
  }: Extract<Request, { op: 'read' }>): Answer {
    const log = find(name)
    if (log === undefined) return { refused: 'session_not_found' }
    if (log.epoch !== epoch) return { refused: 'position_foreign' }
    if (offset > log.head) return { refused: 'position_ahead' }
    trim(log, now)
    const from = Math.max(offset, log.start)
    const events: StoredEvent[] = []
    let bytes = 0
    for (const row of sql.read.iterate(log.id, from, countMax)) {
      const event = row as unknown as StoredEvent & { size: number }
      events.push({ offset: event.offset, type: event.type, time: event.time, data: event.data })
      bytes += event.size - overheadBytes
      if (bytes >= sizeMax) break
    }
    return { epoch: log.epoch, head: log.head, start: from, events }
  }

  function create(name: string, now: number): Log {
    const epoch = newEpoch()
    const { lastInsertRowid } = sql.create.run(name, epoch, now)
    const log = { id: Number(lastInsertRowid), epoch, start: 0, head: 0, bytes: 0, touched: now }
    known.set(name, log)
    return log
  }

  function trim(log: Log, time: number, keep = eventsMax): void {
    const before = log.start
    for (const row of sql.oldest.iterate(log.id)) {
      const { offset, time: at, size } = row as { offset: number; time: number; size: number }
      if (log.head - log.start <= Math.min(keep, eventsMax) && log.bytes <= bytesMax && at >= time - ageMsMax) break
      log.start = offset
      log.bytes -= size
    }
    if (log.start === before) return
    sql.forget.run(log.id, log.start)
    sql.forgetKeys.run(log.id, log.start)
    save(log)
  }

  function save({ id, start, head, bytes, touched }: Log): void {
    sql.save.run(start, head, bytes, touched, id)
  }

  function remove(name: string, log: Log): void {
    known.delete(name)
    sql.remove.run(log.id)
    sql.forget.run(log.id, log.head)
    sql.forgetKeys.run(log.id, log.head)
  }

  /** Logs in which nothing is left, and nothing was written for so long. */
  function sweep(now: number): string[] {
    const gone: string[] = []
    for (const { name } of sql.untouched.all(now - ageMsMax) as { name: string }[]) {
      const log = find(name) as Log
      trim(log, now)
      if (log.start < log.head) continue
      remove(name, log)
      gone.push(name)
    }
    return gone
  }
}

function prepare(database: DatabaseSync) {
  const statement = (text: string): StatementSync => database.prepare(text)
  return {
    find: statement('SELECT id, epoch, start, head, bytes, touched FROM logs WHERE name = ?'),
    create: statement('INSERT INTO logs (name, epoch, start, head, bytes, touched) VALUES (?, ?, 0, 0, 0, ?)'),
    save: statement('UPDATE logs SET start = ?, head = ?, bytes = ?, touched = ? WHERE id = ?'),
    remove: statement('DELETE FROM logs WHERE id = ?'),
    untouched: statement('SELECT name FROM logs WHERE touched < ? LIMIT 1000'),
    insert: statement('INSERT INTO events (log, "offset", type, time, size, data) VALUES (?, ?, ?, ?, ?, ?)'),
    read: statement(
      'SELECT "offset", type, time, size, data FROM events WHERE log = ? AND "offset" > ? ORDER BY "offset" LIMIT ?',
    ),
    oldest: statement('SELECT "offset", time, size FROM events WHERE log = ? ORDER BY "offset"'),
    forget: statement('DELETE FROM events WHERE log = ? AND "offset" <= ?'),
    findKey: statement('SELECT "offset" FROM keys WHERE log = ? AND key = ?'),
    insertKey: statement('INSERT INTO keys (log, key, "offset") VALUES (?, ?, ?)'),
    forgetKeys: statement('DELETE FROM keys WHERE log = ? AND "offset" <= ?'),
  }
}

/** 60 bits: two epochs of one name never meet by chance. */
function newEpoch(): string {
  const digits = '0123456789abcdefghijklmnopqrstuv'
  return Array.from(randomBytes(12), (byte) => digits[byte % 32]).join('')
}
