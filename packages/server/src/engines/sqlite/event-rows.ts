/** The events of a log as the database has them, in rows and packs, each checked against its sum. */
import { createUnpacked, type StoredEvent, unpack } from '../shared/packing.ts'
import { isSum, logDamage, sumOfEvent } from './checks.ts'
import type { Log, Row, Statements } from './schema.ts'

export class EventRows {
  readonly #sql: Statements
  readonly #unpacked = createUnpacked<readonly StoredEvent[]>()

  constructor(sql: Statements) {
    this.#sql = sql
  }

  /** Events after an offset, from at most `rowsMax` rows. */
  *after(log: Log, from: number, rowsMax: number): Generator<StoredEvent> {
    for (const row of this.#sql.read.iterate(log.id, from, log.id, from, rowsMax) as Iterable<unknown>) {
      const { type } = row as Row
      if (type !== null) yield this.checked(log, row as Row & StoredEvent)
      else for (const event of this.#unpack(log, row as Row)) if (event.offset > from) yield event
    }
  }

  checked({ id }: Log, { offset, type, time, data, sum }: StoredEvent & Pick<Row, 'sum'>): StoredEvent {
    const event = { offset, type, time, data }
    if (!isSum(sum, sumOfEvent(id, event))) throw logDamage('an event is not what was written')
    return event
  }

  /** Cached by epoch and offset: a pack of a log of one epoch never changes. */
  #unpack({ epoch }: Log, { offset, data }: Row): readonly StoredEvent[] {
    const key = `${epoch} ${offset}`
    const cached = this.#unpacked.get(key)
    if (cached !== undefined) return cached
    try {
      const events = unpack(offset, data as Uint8Array)
      this.#unpacked.set(key, events)
      return events
    } catch {
      throw logDamage('a pack is not what was written')
    }
  }
}
