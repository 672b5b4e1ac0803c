/**
 * The database behind the SQLite engine, as plain calls: what log/log.ts promises, in tables. It runs in a
 * worker and alone writes its file, so what it knows of a log it keeps; another one reads it beside. It knows no packages of Millrace's: what is
 * refused is an answer that says so, and what is thrown is SQLite's, or told as it tells it.
 */
import { LRUCache } from 'lru-cache'
import { newId } from '../shared/new-epoch.ts'
import { createUnpacked, pack, type StoredData, type StoredEvent, type StoredText, unpack } from '../shared/packing.ts'
import { isSum, logDamage, sumOfEvent, sumOfLog } from './checks.ts'
import { type Opened, openDatabase, openForReading } from './database.ts'
import { type Candidate, nextPack } from './packing.ts'
import type { Answer, Limits, Request } from './requests.ts'
import type { Log, Row } from './schema.ts'

/** Of each event beside its data. */
const overheadBytes = 100

/** Beyond it the log that was asked for longest ago is looked up again. */
const knownMax = 10_000

/** Of 4 KiB, given back at once: some milliseconds of work. */
const pagesPerSweep = 2000

export interface Store {
  /** All of them in one transaction: none is answered that has not been written. */
  perform(requests: readonly Request[]): readonly Answer[]
  /** What the operator has to know of how it was found. */
  readonly warning: string | undefined
  close(): void
}

export function openStore(file: string, limits: Limits): Store {
  return createStore(openDatabase(file, limits), limits)
}

/** Of a file that a store has opened: what is asked of it MUST only read. */
export function openReader(file: string, limits: Limits): Store {
  return createStore(openForReading(file), limits)
}

function createStore(
  { database, sql, lock, marker, warning, ...opened }: Opened,
  { bytesMax, ageMsMax, totalBytesMax }: Limits,
): Store {
  const known = new LRUCache<string, Log>({ max: knownMax })
  const unpacked = createUnpacked<readonly StoredEvent[]>()
  const isReadOnly = marker === undefined
  /** Groups that were committed. */
  let { count } = opened
  let isWriting = false
  /** Of all logs; undefined where it has to be looked up, also since what was counted was rolled back. */
  let totalBytes: number | undefined

  return {
    perform(requests) {
      isWriting = false
      // What the other thread has written since.
      if (isReadOnly) known.clear()
      database.exec('BEGIN')
      try {
        const answers = requests.map(answer)
        database.exec('COMMIT')
        if (isWriting) marker?.note(++count)
        if (requests.some(({ op }) => op === 'delete')) truncate()
        return answers
      } catch (error) {
        // Of the database itself, such as a full disk: nothing of this group has happened.
        known.clear()
        totalBytes = undefined
        if (database.isTransaction) database.exec('ROLLBACK')
        throw error
      }
    },
    warning,
    close() {
      database.close()
      marker?.close()
      lock?.close()
    },
  }

  function answer(request: Request): Answer {
    switch (request.op) {
      case 'open':
        return {}
      case 'append':
        return append(request)
      case 'read':
        return read(request)
      case 'inspect': {
        const log = find(request.log)
        if (log !== undefined) trim(log, request.now)
        return log === undefined ? {} : { epoch: log.epoch, start: log.start, head: log.head }
      }
      case 'list':
        return { names: list(request) }
      case 'compact': {
        const log = find(request.log)
        return { next: log && compact(log, request.after) }
      }
      case 'delete': {
        const log = find(request.log, { isDamagedToo: true })
        if (log !== undefined) remove(log)
        return { existed: log !== undefined }
      }
      case 'makeRoom':
        return { gone: makeRoom(request) }
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

  function find(name: string, { isDamagedToo = false } = {}): Log | undefined {
    const found = known.get(name)
    if (found !== undefined) return found
    const row = sql.find.get(name) as (Log & { sum: number | null }) | undefined
    if (row === undefined) return undefined
    const { sum, ...log } = row
    if (!isSum(sum, sumOfLog(log))) {
      if (isDamagedToo) return log
      throw logDamage('the row of a log is not what was written')
    }
    return know(log)
  }

  function know(log: Log): Log {
    known.set(log.name, log)
    return log
  }

  function append({ log: name, epoch, key, unless, expect, keep, events, now }: Extract<Request, { op: 'append' }>): Answer {
    const existing = find(name)
    if (epoch !== undefined && existing?.epoch !== epoch) return { refused: 'position_foreign' }
    const used = findKey(existing, key)
    if (existing !== undefined && used !== undefined)
      return { epoch: existing.epoch, head: used.offset, start: existing.start, time: 0, duplicate: true }
    if (findKey(existing, unless) !== undefined) return { refused: 'fenced' }
    if (expect !== undefined && expect !== (existing?.head ?? 0))
      return { refused: 'head_moved', ...(existing && { epoch: existing.epoch, head: existing.head }) }
    const bytes = events.reduce((sum, { data }) => sum + overheadBytes + sizeOf(data), 0)
    // Of a log that is full by itself its own oldest make room.
    const bytesOver = countAll() + Math.min(bytes, bytesMax - (existing?.bytes ?? 0)) - totalBytesMax
    if (events.length > 0 && bytesOver > 0) return { bytesOver }
    const log = existing ?? create(name, now)
    const time = Math.max(now, log.touched)
    for (const { type, data } of events) {
      const size = overheadBytes + sizeOf(data)
      log.head += 1
      log.bytes += size
      const sum = sumOfEvent(log.id, { offset: log.head, type, time, data })
      sql.insert.run(log.id, log.head, type, time, size, data, sum)
    }
    if (key !== undefined) sql.insertKey.run(log.id, key, log.head)
    log.touched = time
    grow(bytes)
    if (log.start + events.length === log.head) log.oldest = time
    trim(log, time, keep)
    save(log)
    return { epoch: log.epoch, head: log.head, start: log.start, time, duplicate: false }
  }

  function list({ prefix, after, namesMax }: Extract<Request, { op: 'list' }>): string[] {
    const names: string[] = []
    for (const row of sql.names.iterate(prefix, after) as Iterable<unknown>) {
      const { name } = row as { name: string }
      if (!name.startsWith(prefix) || names.length === namesMax) break
      names.push(name)
    }
    return names
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
    for (const event of eventsAfter(log, from, countMax)) {
      if (event.offset !== from + events.length + 1) throw logDamage('an event is missing')
      events.push(event)
      bytes += sizeOf(event.data)
      if (events.length === countMax || bytes >= sizeMax) break
    }
    // Where the key of a row is not what was written, SQLite finds no more rows of the log and nothing wrong.
    const isCut = events.length < countMax && bytes < sizeMax && from + events.length < log.head
    if (isCut) throw logDamage('an event is missing')
    return { epoch: log.epoch, head: log.head, start: from, events }
  }

  function* eventsAfter(log: Log, from: number, rowsMax: number): Generator<StoredEvent> {
    for (const row of sql.read.iterate(log.id, from, log.id, from, rowsMax) as Iterable<unknown>) {
      const { type } = row as Row
      if (type !== null) yield checked(log, row as Row & StoredEvent)
      else for (const event of unpackOnce(log, row as Row)) if (event.offset > from) yield event
    }
  }

  /** A pack of a log of one epoch is never another one. */
  function unpackOnce({ epoch }: Log, { offset, data }: Row): readonly StoredEvent[] {
    const key = `${epoch} ${offset}`
    const cached = unpacked.get(key)
    if (cached !== undefined) return cached
    try {
      const events = unpack(offset, data as Uint8Array)
      unpacked.set(key, events)
      return events
    } catch {
      throw logDamage('a pack is not what was written')
    }
  }

  function checked({ id }: Log, { offset, type, time, data, sum }: StoredEvent & Pick<Row, 'sum'>): StoredEvent {
    const event = { offset, type, time, data }
    if (!isSum(sum, sumOfEvent(id, event))) throw logDamage('an event is not what was written')
    return event
  }

  /** Puts events behind an offset into one row; answers behind which one to look for more, if there may be any. */
  function compact(log: Log, after: number): number | undefined {
    const found = nextPack((rowsMax) => sql.unpacked.all(log.id, after, rowsMax) as unknown as Candidate[])
    if (found.first === undefined) return found.next
    const { first, last = first } = found
    const rows = sql.readEvents.all(log.id, first, last) as unknown as (StoredEvent & Row)[]
    // What a pack has is taken as true from then on.
    const data = pack(rows.map((row) => checked(log, row) as StoredText))
    const size = overheadBytes + data.byteLength
    const growth = size - rows.reduce((sum, row) => sum + row.size, 0)
    log.bytes += growth
    grow(growth)
    log.oldest = undefined
    sql.forgetPacked.run(log.id, first, last)
    sql.insertPack.run(log.id, last, (rows.at(-1) as Row).time, size, data)
    save(log)
    return found.next
  }

  function create(name: string, now: number): Log {
    const epoch = newId()
    const { lastInsertRowid } = sql.create.run(name, epoch, now)
    return know({ id: Number(lastInsertRowid), name, epoch, start: 0, head: 0, bytes: 0, touched: now, written: 0 })
  }

  function trim(log: Log, time: number, keep = Number.POSITIVE_INFINITY): void {
    const isDue = (at: number) => log.head - log.start > keep || log.bytes > bytesMax || at < time - ageMsMax
    if (log.oldest !== undefined && !isDue(log.oldest)) return
    const before = log.start
    log.oldest = undefined
    for (const row of sql.oldest.iterate(log.id, log.id) as Iterable<unknown>) {
      const { offset, time: at, size } = row as Row
      log.oldest = at
      // A pack goes as a whole: only where what is left is enough.
      const fits = log.head - offset >= keep || log.bytes > bytesMax || at < time - ageMsMax
      if (!fits || !isDue(at)) break
      if (offset > log.head) throw logDamage('an event is not where it was')
      log.oldest = undefined
      log.start = offset
      log.bytes -= size
      grow(-size)
    }
    if (log.start === before || isReadOnly) return
    forget(log, log.start)
    save(log)
  }

  function save(log: Log): void {
    isWriting = true
    log.written = count + 1
    const { id, epoch, start, head, bytes, touched, written } = log
    sql.save.run(epoch, start, head, bytes, touched, written, sumOfLog(log), id)
  }

  function countAll(): number {
    if (totalBytesMax === Number.POSITIVE_INFINITY) return 0
    totalBytes ??= (sql.countBytes.get() as { bytes: number }).bytes
    return totalBytes
  }

  function grow(bytes: number): void {
    if (totalBytes !== undefined) totalBytes += bytes
  }

  function makeRoom({ bytes, spare }: Extract<Request, { op: 'makeRoom' }>): string[] {
    const spared = new Set(spare)
    const chosen: string[] = []
    let freed = 0
    for (const row of sql.byTouched.iterate() as Iterable<unknown>) {
      const { name, bytes: size } = row as Log
      if (freed >= bytes) break
      if (spared.has(name) || size === 0) continue
      chosen.push(name)
      freed += size
    }
    if (freed < bytes) return []
    for (const name of chosen) remove(find(name, { isDamagedToo: true }) as Log)
    return chosen
  }

  function remove(log: Log): void {
    isWriting = true
    grow(-log.bytes)
    known.delete(log.name)
    sql.remove.run(log.id)
    forget(log, Number.MAX_SAFE_INTEGER)
    // Its row may have been the one that said how many groups there were.
    sql.forgetGroups.run()
    sql.noteGroups.run(count + 1)
  }

  function forget({ id }: Log, upTo: number): void {
    for (const statement of [sql.forgetEvents, sql.forgetPacks, sql.forgetKeys]) statement.run(id, upTo)
  }

  /** Logs in which nothing is left, and nothing was written for so long. */
  function sweep(now: number): string[] {
    const gone: string[] = []
    for (const { name } of sql.untouched.all(now - ageMsMax) as { name: string }[]) {
      const log = find(name, { isDamagedToo: true }) as Log
      // One that is damaged lies where it is until somebody deletes it.
      if (!known.has(name)) continue
      trim(log, now)
      if (log.start < log.head) continue
      remove(log)
      gone.push(name)
    }
    database.exec(`PRAGMA incremental_vacuum(${pagesPerSweep})`)
    return gone
  }
}

function sizeOf(data: StoredData): number {
  return typeof data === 'string' ? data.length : data.byteLength
}
