/**
 * The database behind the SQLite engine, as plain calls: the contract of log/log.ts, in tables. It runs in a worker and
 * is the only writer of its file, so it caches what it writes; a second, read-only store has its own connection. It
 * imports no package of Millrace: a rejection is an answer that names the code, and errors are thrown as SQLite's.
 */
import { pack, type StoredData, type StoredEvent, type StoredText } from '../shared/packing.ts'
import { logDamage, sumOfEvent } from './checks.ts'
import { type Opened, openDatabase, openForReading } from './database.ts'
import { EventRows } from './event-rows.ts'
import { LogTable } from './log-table.ts'
import { type Candidate, nextPack } from './packing.ts'
import type { Answer, Limits, Request } from './requests.ts'
import type { Log, Row } from './schema.ts'

/** Of each event beside its data. */
const overheadBytes = 100

/** Free pages of 4 KiB returned to the disk in one step: some milliseconds of work. */
const pagesPerSweep = 2000

export interface Store {
  /** Performs the requests in one transaction: no request is answered before all are committed. */
  perform(requests: readonly Request[]): readonly Answer[]
  /** What the operator has to know about the file as it was opened. */
  readonly warning: string | undefined
  close(): void
}

type RequestOf<Op extends Request['op']> = Extract<Request, { op: Op }>

export function openStore(file: string, limits: Limits): Store {
  return new DatabaseStore(openDatabase(file, limits), limits)
}

/** Of a file that a store has opened: its requests MUST only read. */
export function openReader(file: string, limits: Limits): Store {
  return new DatabaseStore(openForReading(file), limits)
}

class DatabaseStore implements Store {
  readonly warning: string | undefined
  readonly #opened: Opened
  readonly #limits: Limits
  readonly #logs: LogTable
  readonly #events: EventRows

  constructor(opened: Opened, limits: Limits) {
    this.#opened = opened
    this.#limits = limits
    this.#logs = new LogTable(opened, limits)
    this.#events = new EventRows(opened.sql)
    this.warning = opened.warning
  }

  perform(requests: readonly Request[]): readonly Answer[] {
    const { database, marker } = this.#opened
    this.#logs.begin()
    database.exec('BEGIN')
    try {
      const answers = requests.map((request) => this.#answer(request))
      database.exec('COMMIT')
      const committed = this.#logs.commit()
      if (committed !== undefined) marker?.note(committed)
      if (requests.some(({ op }) => op === 'delete')) this.#truncate()
      return answers
    } catch (error) {
      // An error of the database itself, such as a full disk: nothing of this group has happened.
      this.#logs.rollback()
      if (database.isTransaction) database.exec('ROLLBACK')
      throw error
    }
  }

  close(): void {
    const { database, marker, lock } = this.#opened
    database.close()
    marker?.close()
    lock?.close()
  }

  #answer(request: Request): Answer {
    switch (request.op) {
      case 'open':
        return {}
      case 'append':
        return this.#append(request)
      case 'read':
        return this.#read(request)
      case 'inspect': {
        const log = this.#logs.find(request.log)
        if (log !== undefined) this.#logs.trim(log, request.now)
        return log === undefined ? {} : { epoch: log.epoch, start: log.start, head: log.head }
      }
      case 'list':
        return { names: this.#list(request) }
      case 'compact': {
        const log = this.#logs.find(request.log)
        return { next: log && this.#compact(log, request.after) }
      }
      case 'delete': {
        const log = this.#logs.findAny(request.log)
        if (log !== undefined) this.#logs.remove(log)
        return { existed: log !== undefined }
      }
      case 'makeRoom':
        return { removed: this.#logs.makeRoom(request.bytes, request.spare) }
      case 'sweep': {
        const removed = this.#logs.sweep(request.now)
        this.#opened.database.exec(`PRAGMA incremental_vacuum(${pagesPerSweep})`)
        return { removed }
      }
    }
  }

  /** Removes deleted data from the write-ahead log, too. */
  #truncate(): void {
    try {
      this.#opened.database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // A full disk; the deletion is committed, and the next checkpoint empties the log.
    }
  }

  #append({ log: name, epoch, key, unless, expect, keep, events, now }: RequestOf<'append'>): Answer {
    const { bytesMax, totalBytesMax } = this.#limits
    const existing = this.#logs.find(name)
    if (epoch !== undefined && existing?.epoch !== epoch) return { rejected: 'position_foreign' }
    const used = this.#findKey(existing, key)
    if (existing !== undefined && used !== undefined)
      return { epoch: existing.epoch, head: used.offset, start: existing.start, time: 0, duplicate: true }
    if (this.#findKey(existing, unless) !== undefined) return { rejected: 'fenced' }
    if (expect !== undefined && expect !== (existing?.head ?? 0))
      return { rejected: 'head_moved', ...(existing && { epoch: existing.epoch, head: existing.head }) }
    const bytes = events.reduce((sum, { data }) => sum + sizeOf(data), 0)
    // A log at its own bound removes its own oldest events.
    const bytesOver = this.#logs.totalBytes + Math.min(bytes, bytesMax - (existing?.bytes ?? 0)) - totalBytesMax
    if (events.length > 0 && bytesOver > 0) return { bytesOver }
    const log = existing ?? this.#logs.create(name, now)
    const time = Math.max(now, log.touched)
    this.#insert(log, events, time)
    if (key !== undefined) this.#opened.sql.insertKey.run(log.id, key, log.head)
    log.touched = time
    if (log.start + events.length === log.head) log.oldest = time
    this.#logs.trim(log, time, keep)
    this.#logs.save(log)
    return { epoch: log.epoch, head: log.head, start: log.start, time, duplicate: false }
  }

  #insert(log: Log, events: RequestOf<'append'>['events'], time: number): void {
    for (const { type, data } of events) {
      const size = sizeOf(data)
      log.head += 1
      this.#logs.grow(log, size)
      const sum = sumOfEvent(log.id, { offset: log.head, type, time, data })
      this.#opened.sql.insert.run(log.id, log.head, type, time, size, data, sum)
    }
  }

  #findKey(log: Log | undefined, key: string | undefined): { offset: number } | undefined {
    if (log === undefined || key === undefined) return undefined
    return this.#opened.sql.findKey.get(log.id, key) as { offset: number } | undefined
  }

  #list({ prefix, after, namesMax }: RequestOf<'list'>): string[] {
    const names: string[] = []
    for (const row of this.#opened.sql.names.iterate(prefix, after) as Iterable<unknown>) {
      const { name } = row as { name: string }
      if (!name.startsWith(prefix) || names.length === namesMax) break
      names.push(name)
    }
    return names
  }

  #read({ log: name, epoch, offset, eventsMax, bytesMax, now }: RequestOf<'read'>): Answer {
    const log = this.#logs.find(name)
    if (log === undefined) return { rejected: 'session_not_found' }
    if (log.epoch !== epoch) return { rejected: 'position_foreign' }
    if (offset > log.head) return { rejected: 'position_ahead' }
    this.#logs.trim(log, now)
    const from = Math.max(offset, log.start)
    const events: StoredEvent[] = []
    let bytes = 0
    for (const event of this.#events.after(log, from, eventsMax)) {
      if (event.offset !== from + events.length + 1) throw logDamage('an event is missing')
      events.push(event)
      bytes += event.data.length
      if (events.length === eventsMax || bytes >= bytesMax) break
    }
    // When the key of a row was damaged, SQLite finds no later row of the log, and reports no error.
    const isCut = events.length < eventsMax && bytes < bytesMax && from + events.length < log.head
    if (isCut) throw logDamage('an event is missing')
    return { epoch: log.epoch, head: log.head, start: from, events }
  }

  /** Packs events after an offset into one row. Returns the offset after which to look for more, if there may be any. */
  #compact(log: Log, after: number): number | undefined {
    const { sql } = this.#opened
    const found = nextPack((rowsMax) => sql.unpacked.all(log.id, after, rowsMax) as unknown as Candidate[])
    if (found.first === undefined) return found.next
    const { first, last = first } = found
    const rows = sql.readEvents.all(log.id, first, last) as unknown as (StoredEvent & Row)[]
    // The sums of the rows are checked here: a pack has only its own.
    const data = pack(rows.map((row) => this.#events.checked(log, row) as StoredText))
    const size = sizeOf(data)
    this.#logs.grow(log, size - rows.reduce((sum, row) => sum + row.size, 0))
    log.oldest = undefined
    sql.forgetPacked.run(log.id, first, last)
    sql.insertPack.run(log.id, last, (rows.at(-1) as Row).time, size, data)
    this.#logs.save(log)
    return found.next
  }
}

/** Of a row, as the limits in bytes count it. */
function sizeOf(data: StoredData): number {
  return overheadBytes + data.length
}
