/**
 * One session or channel as its writers and readers saw it: what was appended, what each reader received, and the log
 * at the end. Every event becomes a distinct number, so that history.ts can compare them.
 */
import { type Position, parsePosition } from '@millrace/protocol'
import { type Attempt, checkHistory, type Findings, type Given } from '../history.ts'

export interface WireEvent {
  readonly event: string
  readonly id: string
  readonly data: unknown
}

/** Numbers of the events of one run: 0 is its start, 1… are its deltas, and this is its end. */
const endNumber = 9_999_999
const perRun = endNumber + 1

export interface LogRecord {
  /** The query of the stream's address: `session=…`, `channel=…`. */
  readonly source: string
  /** A run of this session; an event of any other run is a phantom. */
  addRun(id: string): void
  /** The outcome of a published event, and the position it was acknowledged with. */
  note(value: number, outcome: Attempt['outcome'], position?: string): void
  /** Converts an event of the wire; several if deltas were merged. */
  toGiven(event: WireEvent): Given[]
  /** A new list for what one reader receives, from its start to the next reset. */
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
      // An event that a reader received is acknowledged; nothing is known about the model's other events.
      const known = (value: number | undefined): value is number => value !== undefined && value < runs.size * perRun
      for (const { value } of final) if (runs.size > 0 && known(value)) attempts.set(value, 'unknown')
      for (const list of lists)
        for (const { value } of list) if (runs.size > 0 && known(value)) attempts.set(value, 'acknowledged')
      const found = checkHistory({
        attempts: [...attempts].map(([value, outcome]) => ({ value, outcome })),
        readers: lists,
        final,
      })
      const isReported = [...lists, final].some((list) => list.some(({ value }) => value === undefined))
      const diverging = found.diverging + countMoved(places, final, isReported)
      const { lost, reordered } = addRuns(found, runs.size > 0 ? final : [])
      // A run whose log has lost events has holes.
      return { ...(isReported ? addUnreported(found, lists, final) : { ...found, lost }), reordered, diverging }
    },
  }

  function valuesOf(event: string, data: unknown): number[] {
    const { run, text, n } = data as { run?: string; text?: string; n?: number }
    if (run === undefined) return [n ?? -1]
    // Beyond the numbers of every run.
    const base = (runs.get(run) ?? 1_000_000) * perRun
    if (event === 'stream_start') return [base]
    if (event === 'stream_end') return [base + endNumber]
    return (text ?? '')
      .trim()
      .split(' ')
      .map((word) => base + Number(word))
  }
}

/** Counts publications that the log does not have at the position they were acknowledged with. */
function countMoved(places: ReadonlyMap<number, Position>, final: readonly Given[], isReported: boolean): number {
  let moved = 0
  for (const { epoch, offset, value } of final) {
    const place = value === undefined ? undefined : places.get(value)
    if (place === undefined || (isReported && place.epoch !== epoch)) continue
    if (place.epoch !== epoch || place.offset !== offset) moved += 1
  }
  return moved
}

/** Counts lost events. A reader that was reset may have seen some of them; no other reader may. */
function addUnreported(found: Findings, lists: readonly (readonly Given[])[], final: readonly Given[]): Findings {
  const kept = new Set(final.map(({ epoch, offset, value }) => `${epoch} ${offset} ${value}`))
  // A gap that the log itself reports is reported to every reader.
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

/** Checks that each run counts from 1 without a hole and ends once. */
function addRuns(found: Findings, final: readonly Given[]): Findings {
  let { lost, reordered } = found
  const last = new Map<number, number>()
  for (const { value = 0 } of final) {
    const run = Math.floor(value / perRun)
    const number = value % perRun
    const before = last.get(run)
    last.set(run, number)
    if (before === endNumber) reordered += 1
    // A run that resumes another starts at the number where that one ended.
    else if (number !== endNumber && before !== undefined && before > 0 && number > before + 1) lost += 1
  }
  return { ...found, lost, reordered }
}
