/**
 * The database behind the SQLite engine, as plain calls: what log/log.ts promises, in tables. It runs in a
 * worker and owns its file alone, so what it knows of a log it keeps. It knows no packages of Millrace's:
 * a refusal is thrown as `{ code }`.
 */
import { randomBytes } from 'node:crypto'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { pack, packed, type StoredData, type StoredEvent, unpack } from '../stored.ts'
import type { Answer, Limits, Request } from './requests.ts'

interface Log {
  readonly id: number
  readonly epoch: string
  /** Offset before the oldest event kept, and of the newest. */
  start: number
  head: number
  bytes: number
  touched: number
  /** When the oldest row was written; undefined where it has to be looked up. */
  oldest?: number | undefined
}

/** An event, or a pack of them under the offset and time of its last. */
interface Row {
  readonly offset: number
  readonly type: string | null
  readonly time: number
  readonly size: number
  readonly data: string | Uint8Array
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

/** Of each event beside its data. */
const overheadBytes = 100

/** Of 4 KiB, given back at once: some milliseconds of work. */
const pagesPerSweep = 2000

export interface Store {
  /** All of them in one transaction: none is answered that has not been written. */
  perform(requests: readonly Request[]): readonly Answer[]
  /** Of them what only reads, writing nothing on the way; the rest has no answer. */
  performReads(requests: readonly Request[]): readonly (Answer | undefined)[]
  close(): void
}

export function openStore(file: string, limits: Limits): Store {
  const database = new DatabaseSync(file)
  try {
    return createStore(database, limits)
  } catch (error) {
    // Whoever tries again would find the file in use.
    database.close()
    throw error
  }
}

function createStore(database: DatabaseSync, { eventsMax, bytesMax, ageMsMax, isDurableOnDisk }: Limits): Store {
  // Alone from the first write on: two servers on one file would each believe what it remembers.
  // Room that is given back to the disk in steps: only a new file can be told.
  database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL')
  // What is deleted is overwritten, not only left to be used again.
  database.exec('PRAGMA secure_delete = ON')
  database.exec(`PRAGMA synchronous = ${isDurableOnDisk ? 'FULL' : 'NORMAL'}; PRAGMA wal_autocheckpoint = 4000`)
  database.exec(schema)
  const sql = prepare(database)
  const known = new Map<string, Log>()
  let isReadOnly = false

  return {
    perform(requests) {
      database.exec('BEGIN')
      try {
        const answers = requests.map(answer)
        database.exec('COMMIT')
        if (requests.some(({ op }) => op === 'delete')) truncate()
        return answers
      } catch (error) {
        // Of the database itself, such as a full disk: nothing of this group has happened.
        known.clear()
        if (database.isTransaction) database.exec('ROLLBACK')
        throw error
      }
    },
    performReads(requests) {
      isReadOnly = true
      try {
        return requests.map((request) => (isReading(request) ? answer(request) : undefined))
      } finally {
        isReadOnly = false
        // What was let go of in memory alone.
        known.clear()
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
      case 'compact': {
        const log = find(request.log)
        return { goesOn: log !== undefined && compact(log) }
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

  /** The write-ahead log has what was deleted, too. */
  function truncate(): void {
    try {
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // A full disk; what was answered has happened, and the next checkpoint does this one's work.
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
      const size = overheadBytes + sizeOf(data)
      log.head += 1
      log.bytes += size
      sql.insert.run(log.id, log.head, type, time, size, data)
    }
    if (key !== undefined) sql.insertKey.run(log.id, key, log.head)
    log.touched = time
    if (log.start + events.length === log.head) log.oldest = time
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
    try {
      for (const event of eventsAfter(log, from, countMax)) {
        events.push(event)
        bytes += sizeOf(event.data)
        if (events.length === countMax || bytes >= sizeMax) break
      }
    } catch (error) {
      // The others of the group are answered: their logs are none the worse.
      if (isOfZlib(error)) return { refused: 'damaged' }
      throw error
    }
    return { epoch: log.epoch, head: log.head, start: from, events }
  }

  function* eventsAfter(log: Log, from: number, rowsMax: number): Generator<StoredEvent> {
    for (const row of sql.read.iterate(log.id, from, log.id, from, rowsMax) as Iterable<unknown>) {
      const { offset, type, time, data } = row as Row
      if (type !== null) yield { offset, type, time, data }
      else for (const event of unpack(offset, data as Uint8Array)) if (event.offset > from) yield event
    }
  }

  /** Puts the oldest events that are rows of their own into one; true where there are more of them. */
  function compact(log: Log): boolean {
    const events = sql.unpacked.all(log.id, packed.eventsMax) as unknown as (StoredEvent & { size: number })[]
    const last = events.at(-1)
    if (last === undefined || events.length < packed.eventsMin) return false
    const data = pack(events)
    const size = overheadBytes + data.byteLength
    log.bytes += size - events.reduce((sum, event) => sum + event.size, 0)
    log.oldest = undefined
    sql.forgetEvents.run(log.id, last.offset)
    sql.insertPack.run(log.id, last.offset, last.time, size, data)
    save(log)
    return events.length === packed.eventsMax
  }

  function create(name: string, now: number): Log {
    const epoch = newEpoch()
    const { lastInsertRowid } = sql.create.run(name, epoch, now)
    const log = { id: Number(lastInsertRowid), epoch, start: 0, head: 0, bytes: 0, touched: now }
    known.set(name, log)
    return log
  }

  function trim(log: Log, time: number, keep = eventsMax): void {
    const countMax = Math.min(keep, eventsMax)
    const isDue = (at: number) => log.head - log.start > countMax || log.bytes > bytesMax || at < time - ageMsMax
    if (log.oldest !== undefined && !isDue(log.oldest)) return
    const before = log.start
    log.oldest = undefined
    for (const row of sql.oldest.iterate(log.id, log.id) as Iterable<unknown>) {
      const { offset, time: at, size } = row as Row
      log.oldest = at
      // A pack goes as a whole: only where what is left is enough.
      const fits = log.head - offset >= countMax || log.bytes > bytesMax || at < time - ageMsMax
      if (!fits || !isDue(at)) break
      log.oldest = undefined
      log.start = offset
      log.bytes -= size
    }
    if (log.start === before || isReadOnly) return
    forget(log, log.start)
    save(log)
  }

  function save({ id, start, head, bytes, touched }: Log): void {
    sql.save.run(start, head, bytes, touched, id)
  }

  function remove(name: string, log: Log): void {
    known.delete(name)
    sql.remove.run(log.id)
    forget(log, log.head)
  }

  function forget({ id }: Log, upTo: number): void {
    for (const statement of [sql.forgetEvents, sql.forgetPacks, sql.forgetKeys]) statement.run(id, upTo)
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
    database.exec(`PRAGMA incremental_vacuum(${pagesPerSweep})`)
    return gone
  }
}

function isReading({ op }: Request): boolean {
  return op === 'read' || op === 'inspect'
}

function sizeOf(data: StoredData): number {
  return typeof data === 'string' ? data.length : data.byteLength
}

function isOfZlib(error: unknown): boolean {
  return String((error as { code?: unknown }).code).startsWith('Z_')
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
    insertPack: statement('INSERT INTO packs (log, "offset", time, size, data) VALUES (?, ?, ?, ?, ?)'),
    read: statement(`
      SELECT "offset", type, time, data FROM events WHERE log = ? AND "offset" > ?
      UNION ALL SELECT "offset", NULL, time, data FROM packs WHERE log = ? AND "offset" > ? ORDER BY 1 LIMIT ?`),
    unpacked: statement('SELECT "offset", type, time, size, data FROM events WHERE log = ? ORDER BY "offset" LIMIT ?'),
    oldest: statement(`
      SELECT "offset", time, size FROM events WHERE log = ?
      UNION ALL SELECT "offset", time, size FROM packs WHERE log = ? ORDER BY 1`),
    forgetEvents: statement('DELETE FROM events WHERE log = ? AND "offset" <= ?'),
    forgetPacks: statement('DELETE FROM packs WHERE log = ? AND "offset" <= ?'),
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
