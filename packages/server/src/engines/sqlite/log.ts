/** A log as the writer's memory has it: its row, and the batches that are in the journal only. */
import type { LogRow } from './rows.ts'

export interface Log {
  readonly id: number
  readonly name: string
  epoch: string
  /** The offset before the oldest event kept, and the offset of the newest. */
  start: number
  head: number
  bytes: number
  touched: number
  /** The number of its last row in the journal. In the table: rows up to this number are in the tables, too. */
  written: number
  /** Time of the oldest row; undefined until it is looked up. */
  oldest?: number | undefined
  /** Batches that are not in the tables yet, oldest first. Replaced where batches leave, so that a rollback has them. */
  journaled: Batch[]
  /** Events and bytes of these batches. */
  journaledEvents: number
  journaledBytes: number
  /** The journal from where it has these batches. Undefined when all are in the tables. */
  since?: { readonly seq: number; readonly bytes: number } | undefined
  /** The last event that the journal has whole since then: later ones may be stored as what they do not share with it. */
  whole?: string | undefined
  /** `start` in the table: events and keys up to `start` are still there when it is smaller. */
  savedStart: number
  /** A key that the log does not have: a run asks for the same one with each append. */
  absentKey?: string | undefined
}

export interface Batch {
  readonly offset: number
  readonly count: number
  readonly time: number
  readonly size: number
  readonly key: string | undefined
  /** Undefined when it is not what was written. */
  readonly text: string | undefined
}

export function toLog({ id, name, epoch, start, head, bytes, touched, written }: LogRow): Log {
  return {
    id,
    name,
    epoch,
    start,
    head,
    bytes,
    touched,
    written,
    journaled: [],
    journaledEvents: 0,
    journaledBytes: 0,
    since: undefined,
    whole: undefined,
    savedStart: start,
    oldest: undefined,
    absentKey: undefined,
  }
}

/** The offset up to which the tables have the log. */
export function storedHead({ journaled: [first], head }: Log): number {
  return first === undefined ? head : first.offset - first.count
}
