/** Watches the leases of other nodes. A node whose lease ends without a renewal is declared dead. */
import { LRUCache } from 'lru-cache'
import type { Engine } from '../log/log.ts'
import { inboxLogOf } from './inbox.ts'
import { leaseLogOf } from './lease.ts'

export interface NodeWatchOptions {
  readonly engine: Engine
  readonly leaseMs: number
  /** Between two calls of `poll`. */
  readonly periodMs: number
  readonly onNodeDead: (node: string) => void
  readonly now: () => number
}

interface RemoteNode {
  readonly unwatch: () => void
  lastSeenAt: number
  /** Of its lease's log. */
  head: number
  isChecking: boolean
}

const deadMax = 1000

export class NodeWatch {
  readonly #options: NodeWatchOptions
  readonly #nodes = new Map<string, RemoteNode>()
  /** Declared dead by this node, most recently. */
  readonly #dead = new LRUCache<string, true>({ max: deadMax })
  #polledAt = Number.POSITIVE_INFINITY

  constructor(options: NodeWatchOptions) {
    this.#options = options
  }

  /** Watches a node until it is dead, and checks it at once. */
  watch(node: string): void {
    if (this.#nodes.has(node)) return
    const { engine, now } = this.#options
    const unwatch = engine.watch(leaseLogOf(node), () => void this.#check(node, remote))
    const remote: RemoteNode = { unwatch, lastSeenAt: now(), head: 0, isChecking: false }
    this.#nodes.set(node, remote)
    void this.#check(node, remote)
  }

  wasDeclaredDead(node: string): boolean {
    return this.#dead.has(node)
  }

  poll(): void {
    const { periodMs, now } = this.#options
    // This process was paused, and on a busy machine the other one with it: that time does not count.
    const lateMs = Math.max(0, now() - this.#polledAt - periodMs)
    this.#polledAt = now()
    for (const [node, remote] of this.#nodes) {
      remote.lastSeenAt = Math.min(now(), remote.lastSeenAt + lateMs)
      void this.#check(node, remote)
    }
  }

  close(): void {
    for (const { unwatch } of this.#nodes.values()) unwatch()
    this.#nodes.clear()
  }

  async #check(node: string, remote: RemoteNode): Promise<void> {
    if (remote.isChecking) return
    remote.isChecking = true
    const { engine, leaseMs, periodMs, now } = this.#options
    const askedAt = now()
    try {
      const state = await engine.inspect(leaseLogOf(node))
      const head = state?.head.offset
      // While the engine did not respond, the node could not renew its lease: that time does not count.
      const unavailableMs = now() - askedAt
      remote.lastSeenAt += unavailableMs
      if (head !== undefined && (head !== remote.head || unavailableMs > periodMs)) {
        remote.head = head
        remote.lastSeenAt = now()
      }
      if (head === undefined || now() - remote.lastSeenAt > leaseMs) await this.#declareDead(node, remote)
    } catch {
      // The engine is unavailable, so the node cannot renew its lease either.
      remote.lastSeenAt = now()
    } finally {
      remote.isChecking = false
    }
  }

  async #declareDead(node: string, remote: RemoteNode): Promise<void> {
    const { engine, onNodeDead } = this.#options
    await engine.delete(leaseLogOf(node))
    this.#dead.set(node, true)
    // A node that is alive after all creates its inbox again.
    await engine.delete(inboxLogOf(node))
    if (!this.#nodes.delete(node)) return
    remote.unwatch()
    onNodeDead(node)
  }
}
