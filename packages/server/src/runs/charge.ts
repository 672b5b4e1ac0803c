/** What runs need of the ledger of usage. `runs/` owns this contract, and `limits/` implements it. */
import type { Cost, LaneEnd, Usage } from '@millrace/protocol'

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

/** The cost that the end of a lane gets; undefined for a model without a price. */
export type Quote = (model: string, usage: Usage) => Cost | undefined

/** With its cost, unless it has one. */
export function quoted(end: LaneEnd, quote: Quote | undefined): LaneEnd {
  const cost = end.cost ?? quote?.(end.model, end.usage)
  return cost === undefined ? end : { ...end, cost }
}
