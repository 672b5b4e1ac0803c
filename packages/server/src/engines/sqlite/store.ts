/**
 * The database behind the SQLite engine, as plain calls: the contract of log/log.ts. It runs in a worker and is the only
 * writer of its file, so what it validates against is in memory. An append goes into the journal, and into the tables
 * later. It imports no package of Millrace: a rejection is an answer that names the code, and errors are thrown as
 * SQLite's.
 */
import type { StoredEvent, StoredText } from '../shared/packing.ts'
import { type NewStored, sizeOf } from './batch-text.ts'
import { Checkpoints } from './checkpoints.ts'
import { logDamage } from './damage.ts'
import { EventRows } from './event-rows.ts'
import { toFailure } from './failures.ts'
import type { Log } from './log.ts'
import { type Candidate, nextPack } from './packing.ts'
import { type Answer, isRead, type Limits, type Request } from './requests.ts'
import { Retention } from './retention.ts'
import { type Row, sumOfEvent } from './rows.ts'
import { openState, type State } from './state.ts'
import { inTransaction } from './transaction.ts'
import { insertPack } from './transfer.ts'

/** Free pages of 4 KiB returned to the disk in one step: some milliseconds of work. */
const pagesPerSweep = 2000

type RequestOf<Op extends Request['op']> = Extract<Request, { op: Op }>

export class Store {
  readonly #state: State
  readonly #limits: Limits
  readonly #retention: Retention
  readonly #events: EventRows
  readonly #checkpoints: Checkpoints

  constructor(file: string, limits: Limits) {
    this.#state = openState(file, limits)
    this.#limits = limits
    this.#retention = new Retention({ ...this.#state, limits })
    this.#events = new EventRows(this.#state.sql)
    this.#checkpoints = new Checkpoints(file, this.#state.database)
  }

  /** What the operator has to know about the file as it was opened. */
  get warning(): string | undefined {
    return this.#state.warning
  }

  /** Performs the requests, all writes in one transaction: none is answered before all are committed. */
  perform(requests: readonly Request[]): readonly Answer[] {
    if (requests.every(isRead)) {
      this.#state.logs.begin()
      return requests.map((request) => this.#answer(request))
    }
    const answers = this.#write(requests)
    // Deleted data is in the write-ahead log, too.
    if (requests.some(({ op }) => op === 'delete')) this.#checkpoints.truncate()
    else if (requests.some(({ op }) => op === 'sweep')) this.#checkpoints.truncateAgain()
    return answers
  }

  /** The next start has nothing to replay. */
  close(): void {
    const { database, logs, transfer } = this.#state
    try {
      transfer.moveAll()
      inTransaction(database, logs, () => transfer.trimJournal())
    } catch {
      // A full disk: the journal has what the tables have not.
    }
    this.#checkpoints.settle()
    this.#state.close()
  }

  #write(requests: readonly Request[]): readonly Answer[] {
    const { logs, journal, transfer, marker } = this.#state
    const before = journal.last
    const answers = this.#inTransaction(() => {
      transfer.begin()
      const all = requests.map((request) => this.#answer(request))
      transfer.end()
      logs.eraseRemoved()
      return all
    })
    if (journal.last !== before) marker.note(journal.last)
    this.#checkpoints.noteCommit(requests.reduce((sum, request) => sum + bytesOf(request), 0))
    return answers
  }

  #inTransaction<T>(act: () => T): T {
    const { database, logs } = this.#state
    try {
      return inTransaction(database, logs, act)
    } catch (error) {
      if (toFailure(error).kind === 'full') this.#checkpoints.noteFull()
      throw error
    }
  }

  #answer(request: Request): Answer {
    const { logs, database } = this.#state
    switch (request.op) {
      case 'append':
        return this.#append(request)
      case 'read':
        return this.#read(request)
      case 'inspect': {
        const log = logs.find(request.log)
        if (log !== undefined) this.#retention.trim(log, request.now)
        return log === undefined ? {} : { epoch: log.epoch, start: log.start, head: log.head }
      }
      case 'list':
        return { names: this.#list(request) }
      case 'compact': {
        const log = logs.find(request.log)
        return { next: log && this.#compact(log, request.after) }
      }
      case 'delete': {
        const { log } = logs.findAny(request.log) ?? {}
        if (log !== undefined) logs.remove(log)
        return { existed: log !== undefined }
      }
      case 'makeRoom':
        return { removed: this.#retention.makeRoom(request.bytes, request.spare) }
      case 'sweep': {
        const removed = this.#retention.sweep(request.now)
        database.exec(`PRAGMA incremental_vacuum(${pagesPerSweep})`)
        return { removed }
      }
    }
  }

  #append({ log: name, epoch, key, unless, expect, keep, batch, now }: RequestOf<'append'>): Answer {
    const { logs } = this.#state
    const { bytesMax, totalBytesMax } = this.#limits
    const { count, size } = batch
    const existing = logs.find(name)
    if (epoch !== undefined && existing?.epoch !== epoch) return { rejected: 'position_foreign' }
    const used = existing && this.#findKey(existing, key)
    if (existing !== undefined && used !== undefined)
      return { epoch: existing.epoch, head: used, start: existing.start, time: 0, duplicate: true }
    if (existing !== undefined && this.#findKey(existing, unless) !== undefined) return { rejected: 'fenced' }
    if (expect !== undefined && expect !== (existing?.head ?? 0))
      return { rejected: 'head_moved', ...(existing && { epoch: existing.epoch, head: existing.head }) }
    // A log at its own bound removes its own oldest events.
    const bytesOver = logs.totalBytes + Math.min(size, bytesMax - (existing?.bytes ?? 0)) - totalBytesMax
    if (count > 0 && bytesOver > 0) return { bytesOver }
    const log = existing ?? logs.create(name, now)
    logs.change(log)
    const time = Math.max(now, log.touched)
    this.#insert(log, batch, { key, time, keep })
    return { epoch: log.epoch, head: log.head, start: log.start, time, duplicate: false }
  }

  #insert(
    log: Log,
    { count, size, content }: RequestOf<'append'>['batch'],
    { key, time, keep }: { key: string | undefined; time: number; keep: number | undefined },
  ): void {
    const { journal, logs, transfer, sql } = this.#state
    const since = { seq: journal.last + 1, bytes: journal.bytes }
    const isText = typeof content === 'string'
    if (!isText) {
      if (log.since !== undefined) transfer.move(log)
      this.#insertRows(log, content, time)
    }
    log.head += count
    log.touched = time
    if (log.start + count === log.head) log.oldest = time
    if (key === log.absentKey) log.absentKey = undefined
    logs.grow(log, size)
    const batch = { offset: log.head, count, time, size, key, text: isText ? content : undefined }
    if (isText) logs.addJournaled(log, batch, since)
    else if (key !== undefined) sql.insertKey.run(log.id, key, log.head)
    this.#retention.trim(log, time, keep)
    journal.append(log, batch)
    if (isText) transfer.moveIfLarge(log, count)
    else transfer.move(log)
  }

  /** Of a batch that is too large for the journal. */
  #insertRows(log: Log, events: readonly NewStored[], time: number): void {
    let offset = log.head
    for (const { type, data } of events) {
      offset += 1
      const sum = sumOfEvent(log.id, { offset, type, time, data })
      this.#state.sql.insert.run(log.id, offset, type, time, sizeOf(data), data, sum)
    }
  }

  /** The offset of its batch. */
  #findKey(log: Log, key: string | undefined): number | undefined {
    if (key === undefined || key === log.absentKey) return undefined
    const journaled = log.journaled.findLast((batch) => batch.key === key)
    if (journaled !== undefined) return journaled.offset
    const { offset } = (this.#state.sql.findKey.get(log.id, key) ?? {}) as { offset?: number }
    // The row of a key that was removed with its batch may still be there.
    const isRemoved = offset !== undefined && offset <= log.start && log.savedStart < log.start
    if (offset !== undefined && !isRemoved) return offset
    log.absentKey = key
    return undefined
  }

  #list({ prefix, after, namesMax }: RequestOf<'list'>): string[] {
    const names: string[] = []
    for (const row of this.#state.sql.names.iterate(prefix, after) as Iterable<unknown>) {
      const { name } = row as { name: string }
      if (!name.startsWith(prefix) || names.length === namesMax) break
      names.push(name)
    }
    return names
  }

  #read({ log: name, epoch, offset, eventsMax, bytesMax, now }: RequestOf<'read'>): Answer {
    const log = this.#state.logs.find(name)
    if (log === undefined) return { rejected: 'session_not_found' }
    if (log.epoch !== epoch) return { rejected: 'position_foreign' }
    if (offset > log.head) return { rejected: 'position_ahead' }
    this.#retention.trim(log, now)
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
    const { sql, logs, transfer } = this.#state
    if (log.since !== undefined) transfer.move(log)
    const found = nextPack((rowsMax) => sql.unpacked.all(log.id, after, rowsMax) as unknown as Candidate[])
    if (found.first === undefined) return found.next
    const { first, last = first } = found
    const rows = sql.readEvents.all(log.id, first, last) as unknown as (StoredEvent & Row)[]
    // The sums of the rows are checked here: a pack has only its own.
    const events = rows.map((row) => this.#events.checked(log, row) as StoredText)
    logs.change(log)
    log.oldest = undefined
    sql.forgetPacked.run(log.id, first, last)
    logs.grow(log, insertPack(sql, log, events) - rows.reduce((sum, row) => sum + row.size, 0))
    transfer.move(log)
    return found.next
  }
}

function bytesOf(request: Request): number {
  return request.op === 'append' ? request.batch.size : 0
}
