/**
 * Reads for live readers, as two plain commands: they cost Redis a quarter of the script, and are as exact. The entries
 * are read first: when the epoch read after them is the reader's, the entries are of that epoch, too.
 */
import type { Position } from '@millrace/protocol'
import type { Page, ReadOptions } from '../../log/log.ts'
import { decode, type Entry, toPage } from './entries.ts'

/** An entry as Redis returns it, with the fields written by `scripts.append`. */
type Raw = readonly [id: string, fields: readonly [n: string, count: string, t: string, time: string, d: string, data: string]]

export type Live = Page & {
  /** The Redis process in which the log was verified last. */
  readonly server: string | null
}

/** At most `batches` after a position, and the state of the log. */
export function liveCommands([meta, events]: readonly string[], { offset }: Position, batches: number): string[][] {
  return [
    ['XRANGE', String(events), `${offset + 1}-0`, '+', 'COUNT', String(batches)],
    ['HMGET', String(meta), 'epoch', 'head', 'start', 'server', 'shown'],
  ]
}

/** Undefined in any case but the common one; the script handles the others. */
export function livePage(after: Position, [raws, meta]: readonly unknown[], bounds: Required<ReadOptions>): Live | undefined {
  const [epoch, head, start, server, shown] = meta as readonly (string | null)[]
  if (epoch !== after.epoch || shown !== null || Number(start) > after.offset) return undefined
  const entries = (raws as readonly Raw[]).map(toEntry)
  let reached = after.offset
  for (const [last, count] of entries) {
    // An entry is missing or packed.
    if (last - Number(count) > reached) return undefined
    reached = last
  }
  // Beyond the head, the commands have read different data: a Redis that becomes a replica loads another's.
  if (reached === after.offset || reached > Number(head)) return undefined
  return {
    ...toPage(after, { head: Number(head), start: Number(start), batches: entries.map(decode) }, bounds),
    server: server ?? null,
  }
}

function toEntry([id, [, count, , time, , data]]: Raw): Entry {
  return [Number.parseInt(id, 10), count, time, data, 0]
}
