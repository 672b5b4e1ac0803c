/** What runs need of the ledger of usage. `runs/` owns this contract, and `limits/` implements it. */
import type { LaneEnd } from '@millrace/protocol'

export interface UsedByRun {
  readonly run: string
  /** Id of who asked; undefined for the host's own code. */
  readonly principal: string | undefined
  /** When, in milliseconds since 1970: the day that the usage counts for, also where another server ends the run. */
  readonly askedAt: number
  readonly lanes: readonly LaneEnd[]
}

/**
 * Called before the end of a run is recorded, so that no recorded end is without its usage. A run is charged once, by the
 * first call for it on any server. Never rejects, and waits for the engine for a bounded time.
 */
export type Charge = (used: UsedByRun) => Promise<void>
