/** What came of all rounds of one fault, for the test and for results/faults.json. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Findings, nothingFound } from '../history.ts'

export interface Tally {
  readers: number
  /** Events that readers were given, of all of them together. */
  events: number
  /** Appends that were acknowledged to whoever asked for them, or by being shown to a reader. */
  acknowledged: number
  /** Readers that were told to begin anew. */
  resets: number
  found: Findings
  /** Milliseconds by what they were the time of: `resume`, `end`. */
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

/** The smallest time that so many of them do not exceed; 0 of none. */
export function percentile(times: readonly number[], part: number): number {
  const sorted = [...times].sort((a, b) => a - b)
  return Math.round(sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0)
}

export interface Rounds {
  readonly fault: string
  readonly rounds: number
  readonly firstSeed: number
  readonly randomSeed: number
  /** What went wrong, where something did, with its seed. */
  readonly failed?: string
}

/** Puts one fault's row into a file of them; faults are run one at a time where there is such a file. */
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
    // The first one.
    return {}
  }
}
