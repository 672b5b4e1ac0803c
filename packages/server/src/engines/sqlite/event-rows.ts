/** The events of a log: from rows and packs, each checked against its sum, and from the batches in the journal. */
import { createUnpacked, type StoredEvent, unpack } from '../shared/packing.ts'
import { fromBatchText } from './batch-text.ts'
import { logDamage } from './damage.ts'
import { type Log, storedHead } from './log.ts'
import { isSum, type Row, sumOfEvent, sumOfPack } from './rows.ts'
import type { Statements } from './schema.ts'

export class EventRows {
  readonly #sql: Statements
  readonly #unpacked = createUnpacked<readonly StoredEvent[]>()

  constructor(sql: Statements) {
    this.#sql = sql
  }

  /** Events after an offset, of the tables from at most `rowsMax` rows. */
  *after(log: Log, from: number, rowsMax: number): Generator<StoredEvent> {
    if (from < storedHead(log)) yield* this.#stored(log, from, rowsMax)
    for (const { offset, count, time, text } of log.journaled) {
      if (offset <= from) continue
      if (text === undefined) throw logDamage('an event is not what was written')
      for (const event of fromBatchText(text, offset - count, time)) if (event.offset > from) yield event
    }
  }

  *#stored(log: Log, from: number, rowsMax: number): Generator<StoredEvent> {
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
  #unpack({ id, epoch }: Log, { offset, time, data, sum }: Row): readonly StoredEvent[] {
    const key = `${epoch} ${offset}`
    const cached = this.#unpacked.get(key)
    if (cached !== undefined) return cached
    if (!isSum(sum, sumOfPack(id, { offset, time, data }))) throw logDamage('a pack is not what was written')
    try {
      const events = unpack(offset, data as Uint8Array)
      this.#unpacked.set(key, events)
      return events
    } catch {
      throw logDamage('a pack is not what was written')
    }
  }
}
