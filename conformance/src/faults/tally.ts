/** The results of all rounds of one fault, for the test and for results/faults.json. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Findings, nothingFound } from '../history.ts'

export interface Tally {
  readers: number
  /** Events that all readers together received. */
  events: number
  /** Appends acknowledged to the caller, or by being shown to a reader. */
  acknowledged: number
  /** Readers whose position was rejected, so that they started over. */
  resets: number
  found: Findings
  /** Milliseconds by what was measured: `resume`, `end`. */
  readonly times: Map<string, number[]>
}

export function createTally(): Tally {
  return { readers: 0, events: 0, acknowledged: 0, resets: 0, found: nothingFound, times: new Map() }
}

export function noteTime({ times }: Tally, what: string, ms: number): void {
  const all = times.get(what) ?? []
  times.set(what, all)
  all.push(ms)
}

export function addFindings(tally: Tally, found: Findings): void {
  const kinds = Object.keys(nothingFound) as (keyof Findings)[]
  tally.found = Object.fromEntries(kinds.map((kind) => [kind, tally.found[kind] + found[kind]])) as unknown as Findings
}

/** The given percentile; 0 for no values. */
export function percentile(times: readonly number[], part: number): number {
  const sorted = [...times].sort((a, b) => a - b)
  return Math.round(sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0)
}

export interface Rounds {
  readonly fault: string
  readonly rounds: number
  readonly firstSeed: number
  readonly randomSeed: number
  /** What failed, with the seed. */
  readonly failed?: string
}

/** Writes one fault's row into the file of all rows. Faults run one at a time when there is such a file. */
export function writeResult(file: string, { fault, ...rounds }: Rounds, { times, ...tally }: Tally): void {
  const timesMs = Object.fromEntries(
    [...times].map(([what, all]) => [what, { p50: percentile(all, 0.5), p99: percentile(all, 0.99) }]),
  )
  mkdirSync(dirname(file), { recursive: true })
  const before = readResults(file)
  const faults = { ...before, [fault]: { ...rounds, ...tally, timesMs } }
  writeFileSync(file, `${JSON.stringify(faults, null, 2)}\n`)
}

function readResults(file: string): object {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as object
  } catch {
    // There is no file yet.
    return {}
  }
}
