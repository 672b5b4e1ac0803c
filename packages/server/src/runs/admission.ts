/** What runs need of the limits of who asks. `runs/` owns this contract, and `limits/` implements it. */
import type { Run } from './run.ts'

/** The place of a run within the limits of who asked. */
export interface RunPlace {
  /** The run was not started: it spends nothing. */
  giveBack(): void
  /** The run has ended. */
  leave(): void
}

/**
 * Called before anything of a run is recorded; undefined where nothing limits it. Rejects with
 * `too_many_runs`, `rate_limited` or `budget_exhausted`.
 */
export type AdmitRun = () => Promise<RunPlace | undefined>

interface Admittable {
  readonly id: string
  readonly admit?: AdmitRun | undefined
}

export interface AdmittedOptions {
  /** A run of another server. */
  readonly find: (run: string) => Promise<Run | undefined>
  /** Starts the run, and calls `take` when it is this server's: from then on the place is the run's. */
  readonly start: (take: () => RunPlace | undefined) => Promise<Run>
}

/** Starts a run in its place. A request that is sent again needs no second place, nor one that fails any. */
export async function startAdmitted({ id, admit }: Admittable, { find, start }: AdmittedOptions): Promise<Run> {
  if (admit === undefined) return start(() => undefined)
  let place: RunPlace | undefined
  try {
    place = await admit()
  } catch (error) {
    const known = await find(id)
    if (known === undefined) throw error
    return known
  }
  let isTaken = false
  try {
    return await start(() => {
      isTaken = true
      return place
    })
  } finally {
    if (!isTaken) place?.giveBack()
  }
}
