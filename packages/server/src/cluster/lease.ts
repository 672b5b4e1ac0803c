/** This node's lease: an event that it appends to a log of its own while it is alive, and that the other nodes watch. */
import type { Engine } from '../log/log.ts'

export const leaseLogOf = (node: string): string => `node/${node}`

export interface LeaseOptions {
  readonly engine: Engine
  readonly node: string
  /** A renewal that takes longer counts as missed. */
  readonly periodMs: number
  readonly now: () => number
}

export class Lease {
  readonly #options: LeaseOptions
  renewedAt = Number.NEGATIVE_INFINITY
  /** When the engine last failed to take a renewal in time. */
  missedAt = Number.NEGATIVE_INFINITY

  constructor(options: LeaseOptions) {
    this.#options = options
  }

  async renew(): Promise<void> {
    const { engine, node, periodMs, now } = this.#options
    const askedAt = now()
    try {
      await engine.append(leaseLogOf(node), [{ type: 'beat', data: null }], { keep: 1 })
      this.renewedAt = now()
    } finally {
      if (now() - askedAt > periodMs || this.renewedAt < askedAt) this.missedAt = now()
    }
  }

  /** The other nodes see at once that this node is dead. */
  async release(): Promise<void> {
    await this.#options.engine.delete(leaseLogOf(this.#options.node))
  }
}
