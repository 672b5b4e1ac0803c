/**
 * Repeats a fault in rounds, each at moments that a seed decides. `FAULT_ROUNDS` sets the number, which is small by default,
 * `FAULT_SEED` runs one seed, as a failure reports it, and `FAULT_RESULTS` names a file for the results.
 */
import { expect, it } from 'vitest'
import { nothingFound } from '../history.ts'
import { type Chance, createChance } from './chance.ts'
import { createTally, type Tally, writeResult } from './tally.ts'

export interface Fault<World> {
  /** The number of the fault and what is done, in a few words: `F1 kill -9 of a server`. */
  readonly fault: string
  /** What holds despite the fault. The test's name is `fault: claim`. */
  readonly claim: string
  /** Rounds in `npm test`; default 2; 0 leaves the fault to `npm run faults`. */
  readonly few?: number
  /** Rounds for each one of `FAULT_ROUNDS`; default 1. */
  readonly times?: number
  /** Whether readers may be reset; default false: the fault loses nothing. */
  readonly mayReset?: boolean
  /** Timeout of a round; default 30,000. */
  readonly msMax?: number
  /** Opens what all rounds share; it closes itself with `onTestFinished`. */
  readonly open: (tally: Tally) => Promise<World>
  readonly round: (world: World, chance: Chance, tally: Tally) => Promise<void>
  /** After the last round. */
  readonly after?: (tally: Tally) => void
  /** After many rounds, as in `npm run faults`: checks what a few rounds beside other tests cannot show, such as times. */
  readonly afterMany?: (tally: Tally) => void
}

/** From this number of `FAULT_ROUNDS` on, `afterMany` runs. */
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
    let failed: string | undefined = 'At the start'
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
      // The seed comes first: it reproduces the failure.
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
