/** Which events of a log are packed next: those that come one after another, are no bytes and fit. */
import { packed } from '../shared/packing.ts'

export interface Candidate {
  readonly offset: number
  readonly size: number
  /** As SQLite names it. */
  readonly kind: 'text' | 'blob'
}

export interface NextPack {
  /** Absent where none of the rows are worth it. */
  readonly first?: number
  readonly last?: number | undefined
  /** Behind which offset to look further; undefined at the end of the log. */
  readonly next: number | undefined
}

/** `load` gives the oldest rows of the log, at most so many. */
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
  // A few at the end of a log wait for more; at the end of what was loaded they are looked at again with what follows.
  return { next: isAll ? undefined : first === undefined ? rows.at(-1)?.offset : first - 1 }
}
