/**
 * One session or channel as all saw it: what was asked to be in it, what each reader was given, and what stands in it
 * at the end. Every event becomes a number of its own, so that history.ts can hold them against each other.
 */
import { type Position, parsePosition } from '@millrace/protocol'
import { type Attempt, checkHistory, type Findings, type Given } from '../history.ts'

export interface WireEvent {
  readonly event: string
  readonly id: string
  readonly data: unknown
}

/** Of the events of one run, 0 is its start, 1… are what it counts, and this is its end. */
const endNumber = 9_999_999
const perRun = endNumber + 1

export interface LogRecord {
  /** As in the address of a stream: `session=…`, `channel=…`. */
  readonly source: string
  /** A run that belongs to this session; what belongs to no run of it is a phantom. */
  addRun(id: string): void
  /** What became of an event that was published, and the position that it was acknowledged with. */
  note(value: number, outcome: Attempt['outcome'], position?: string): void
  /** An event of the wire; several where deltas were merged. */
  toGiven(event: WireEvent): Given[]
  /** A new list for what one reader is given, from its beginning to the next reset. */
  openList(): Given[]
  readonly acknowledged: number
  check(final: readonly Given[]): Findings
}

export function createLogRecord(source: string): LogRecord {
  const runs = new Map<string, number>()
  const attempts = new Map<number, Attempt['outcome']>()
  const places = new Map<number, Position>()
  const lists: Given[][] = []

  return {
    source,
    addRun: (id) => void runs.set(id, runs.size),
    note(value, outcome, position) {
      attempts.set(value, outcome)
      const place = position === undefined ? undefined : parsePosition(position)
      if (place !== undefined) places.set(value, place)
    },
    toGiven({ event, id, data }) {
      const { epoch = '', offset = 0 } = parsePosition(id) ?? {}
      if (event === 'gap') return [{ epoch, offset }]
      const values = valuesOf(event, data)
      return values.map((value, index) => ({ epoch, offset: offset - values.length + 1 + index, value }))
    },
    openList() {
      const list: Given[] = []
      lists.push(list)
      return list
    },
    get acknowledged() {
      return attempts.values().reduce((sum, outcome) => sum + (outcome === 'acknowledged' ? 1 : 0), 0)
    },
    check(final) {
      // What a reader was shown is acknowledged; of what a model said else nothing is known.
      const known = (value: number | undefined): value is number => value !== undefined && value < runs.size * perRun
      for (const { value } of final) if (runs.size > 0 && known(value)) attempts.set(value, 'unknown')
      for (const list of lists)
        for (const { value } of list) if (runs.size > 0 && known(value)) attempts.set(value, 'acknowledged')
      const found = checkHistory({
        attempts: [...attempts].map(([value, outcome]) => ({ value, outcome })),
        readers: lists,
        final,
      })
      const isTold = [...lists, final].some((list) => list.some(({ value }) => value === undefined))
      const diverging = found.diverging + countMoved(places, final, isTold)
      const { lost, reordered } = addRuns(found, runs.size > 0 ? final : [])
      // A run whose log has lost something has holes.
      return { ...(isTold ? addUntold(found, lists, final) : { ...found, lost }), reordered, diverging }
    },
  }

  function valuesOf(event: string, data: unknown): number[] {
    const { run, text, n } = data as { run?: string; text?: string; n?: number }
    if (run === undefined) return [n ?? -1]
    // Beyond every run there is.
    const base = (runs.get(run) ?? 1_000_000) * perRun
    if (event === 'stream_start') return [base]
    if (event === 'stream_end') return [base + endNumber]
    return (text ?? '')
      .trim()
      .split(' ')
      .map((word) => base + Number(word))
  }
}

/** Acknowledged with a position at which it does not stand. */
function countMoved(places: ReadonlyMap<number, Position>, final: readonly Given[], isTold: boolean): number {
  let moved = 0
  for (const { epoch, offset, value } of final) {
    const place = value === undefined ? undefined : places.get(value)
    if (place === undefined || (isTold && place.epoch !== epoch)) continue
    if (place.epoch !== epoch || place.offset !== offset) moved += 1
  }
  return moved
}

/** Who was told that it begins anew may have seen what is lost; nobody else. */
function addUntold(found: Findings, lists: readonly (readonly Given[])[], final: readonly Given[]): Findings {
  const kept = new Set(final.map(({ epoch, offset, value }) => `${epoch} ${offset} ${value}`))
  // What a log itself says it has no more, everybody is told who asks for it.
  const gone = final.find(({ value }) => value === undefined)
  let { lost } = found
  for (const list of lists) {
    if (list.at(-1)?.epoch === '') continue
    for (const { epoch, offset, value } of list) {
      if (gone?.epoch === epoch && offset <= gone.offset) continue
      if (value !== undefined && !kept.has(`${epoch} ${offset} ${value}`)) lost += 1
    }
  }
  return { ...found, lost }
}

/** Each run counts from 1 without a hole and says nothing after its end. */
function addRuns(found: Findings, final: readonly Given[]): Findings {
  let { lost, reordered } = found
  const last = new Map<number, number>()
  for (const { value = 0 } of final) {
    const run = Math.floor(value / perRun)
    const number = value % perRun
    const before = last.get(run)
    last.set(run, number)
    if (before === endNumber) reordered += 1
    // A run that goes on with another begins where that one ended.
    else if (number !== endNumber && before !== undefined && before > 0 && number > before + 1) lost += 1
  }
  return { ...found, lost, reordered }
}
