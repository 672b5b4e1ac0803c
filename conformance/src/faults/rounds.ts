/**
 * A fault done again and again, each time at moments that a seed decides. `FAULT_ROUNDS` says how often, which is
 * otherwise few, `FAULT_SEED` takes one seed alone, as a failure names it, and `FAULT_RESULTS` is a file for what came of it.
 */
import { expect, it } from 'vitest'
import { nothingFound } from '../history.ts'
import { type Chance, createChance } from './chance.ts'
import { createTally, type Tally, writeResult } from './tally.ts'

export interface Fault<World> {
  /** Which of the known faults it is, and what is done, in a few words: `F1 kill -9 of a server`. */
  readonly fault: string
  /** What holds all the same: the name of the test. */
  readonly claim: string
  /** Rounds in `npm test`; default 2; 0 leaves it to `npm run faults`. */
  readonly few?: number
  /** For each round that is asked for by `FAULT_ROUNDS`, so many are done; default 1. */
  readonly times?: number
  /** Whether readers may be told to begin anew; default false: nothing is lost that they would have to be told of. */
  readonly mayReset?: boolean
  /** How long a round may take; default 30,000. */
  readonly msMax?: number
  /** What all rounds share; it ends itself with `onTestFinished`. */
  readonly open: (tally: Tally) => Promise<World>
  readonly round: (world: World, chance: Chance, tally: Tally) => Promise<void>
  /** After the last round. */
  readonly after?: (tally: Tally) => void
  /** After the last of many, as `npm run faults` does: for what few rounds beside other tests do not show, as times. */
  readonly afterMany?: (tally: Tally) => void
}

/** From so many `FAULT_ROUNDS` on they are many. */
const manyRounds = 50
const areMany = Number(process.env.FAULT_ROUNDS) >= manyRounds
const seedMax = 2 ** 31

export function itWithstands<World>({
  fault,
  claim,
  few = 2,
  times = 1,
  mayReset = false,
  msMax = 30_000,
  open,
  round,
  after,
  afterMany,
}: Fault<World>): void {
  const { FAULT_ROUNDS, FAULT_SEED, FAULT_RESULTS } = process.env
  const count = FAULT_ROUNDS === undefined ? few : Math.max(1, Math.round(Number(FAULT_ROUNDS) * times))
  const randomSeed = Math.floor(Math.random() * seedMax)
  const seeds = FAULT_SEED === undefined ? [...Array(count).keys()].slice(1) : [Number(FAULT_SEED)]
  if (FAULT_SEED === undefined) seeds.push(randomSeed)

  const why = count === 0 ? ' (skipped: it is for `npm run faults`)' : ''
  it.skipIf(count === 0)(`${fault}: ${claim}${why}`, { timeout: msMax * (seeds.length + 1) }, async () => {
    const tally = createTally()
    let failed: string | undefined
    try {
      const world = await open(tally)
      for (const seed of seeds) {
        failed = `With FAULT_SEED=${seed}`
        await inTime(round(world, createChance(seed), tally), msMax)
        const resets = mayReset ? 0 : tally.resets
        expect({ ...tally.found, resets }).toEqual({ ...nothingFound, resets: 0 })
      }
      failed = 'After all of them'
      after?.(tally)
      if (FAULT_SEED === undefined && areMany) afterMany?.(tally)
      failed = undefined
    } catch (error) {
      // Whoever looks into it needs the seed first of all.
      failed = `${failed}: ${(error as Error).message}`
      ;(error as Error).message = failed
      throw error
    } finally {
      const row = { fault, rounds: seeds.length, firstSeed: seeds[0] ?? 0, randomSeed, ...(failed && { failed }) }
      if (FAULT_RESULTS !== undefined) {
        process.stdout.write(`${fault}: seeds ${seeds[0]}…${seeds.at(-2) ?? ''} and ${randomSeed}\n`)
        writeResult(FAULT_RESULTS, row, tally)
      }
    }
  })
}

async function inTime(round: Promise<void>, msMax: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the round did not end within ${msMax} ms`)), msMax)
  })
  await Promise.race([round, late]).finally(() => clearTimeout(timer))
}
