/** Chooses the events of a log to pack next: consecutive ones without bytes that fit into a pack. */
import { packed } from '../shared/packing.ts'

export interface Candidate {
  readonly offset: number
  readonly size: number
  /** SQLite's name of the type. */
  readonly kind: 'text' | 'blob'
}

export interface NextPack {
  /** Absent when no run of rows is worth a pack. */
  readonly first?: number
  readonly last?: number | undefined
  /** The offset after which to look next; undefined at the end of the log. */
  readonly next: number | undefined
}

/** `load` returns at most `rowsMax` of the log's oldest rows. */
export function nextPack(load: (rowsMax: number) => readonly Candidate[]): NextPack {
  const rows = load(packed.eventsMax)
  const isAll = rows.length < packed.eventsMax
  let run: Candidate[] = []
  let size = 0
  for (const row of rows) {
    const isLeft = row.kind === 'blob' || row.size > packed.bytesMax
    const isNext = run.length === 0 || row.offset === (run.at(-1) as Candidate).offset + 1
    if (run.length > 0 && (isLeft || !isNext || size + row.size > packed.bytesMax)) {
      if (run.length >= packed.eventsMin) break
      run = []
      size = 0
    }
    if (isLeft) continue
    run.push(row)
    size += row.size
  }
  const [first, last] = [run[0]?.offset, run.at(-1)?.offset]
  if (first !== undefined && run.length >= packed.eventsMin) return { first, last, next: last }
  // A short run at the end of the log waits for more events; at the end of the rows loaded it is loaded again with the next.
  return { next: isAll ? undefined : first === undefined ? rows.at(-1)?.offset : first - 1 }
}
