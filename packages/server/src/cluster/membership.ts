/**
 * The servers that share an engine: which of them are alive, and messages between them. A node that has runs, or readers
 * who acknowledge heartbeats, renews a lease. A node whose lease ends has lost its runs, and the first node that notices
 * ends each of them.
 */
import type { Json } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { Liveness } from '../runs/cluster.ts'
import { Inbox, sendMessage } from './inbox.ts'
import { Lease, leaseLogOf } from './lease.ts'
import { NodeWatch } from './node-watch.ts'

/** Liveness, and messages between the servers. */
export interface Membership extends Liveness {
  /** When the engine last failed to renew this node's lease in time, by `now`; messages sent to it then may be lost. */
  readonly missedAt: number
  /** Sends a message to a node, which may be dead. */
  send(node: string, message: Json): Promise<void>
  /** Leaves: the others need not wait for the lease to end. */
  close(): Promise<void>
}

export interface MembershipOptions {
  readonly engine: Engine
  readonly id: string
  /** How long a node lives without a renewal, in milliseconds; default 6,000. */
  readonly leaseMs?: number | undefined
  /** A watched node is dead. Its lease and its inbox are deleted. */
  readonly onNodeDead: (node: string) => void
  readonly onMessage: (message: Json) => void
  /** Milliseconds that never go back; default `performance.now`. */
  readonly now?: () => number
}

/**
 * A run is recorded only with a lease renewed this recently. Other nodes may have declared this node dead while its
 * process was suspended, or the engine may have lost the lease, and the next renewal may be seconds away.
 */
const freshMs = 100

export function createMembership(options: MembershipOptions): Membership {
  const { engine, id, leaseMs = 6000, onNodeDead, onMessage, now = () => performance.now() } = options
  const periodMs = leaseMs / 3
  const lease = new Lease({ engine, node: id, periodMs, now })
  const inbox = new Inbox({ engine, node: id, onMessage })
  const nodes = new NodeWatch({ engine, leaseMs, periodMs, onNodeDead, now })
  let joining: Promise<void> | undefined
  let timer: ReturnType<typeof setInterval> | undefined

  return {
    id,
    async join() {
      joining ??= join()
      await joining
      if (now() - lease.renewedAt > freshMs) await lease.renew()
    },
    isDead,
    watchNode(node) {
      nodes.watch(node)
      startTimer()
    },
    get missedAt() {
      return lease.missedAt
    },
    async send(node, message) {
      // It would get a new inbox that no process empties. A lease may also be lost with the engine's data while its node
      // is alive, so only nodes that were declared dead are checked.
      if (nodes.wasDeclaredDead(node) && (await isDead(node))) return
      await sendMessage(engine, node, message)
    },
    async close() {
      clearInterval(timer)
      inbox.close()
      nodes.close()
      if (joining === undefined) return
      await joining.catch(() => {})
      await Promise.allSettled([lease.release(), inbox.delete()])
    },
  }

  async function isDead(node: string): Promise<boolean> {
    return node !== id && (await engine.inspect(leaseLogOf(node))) === undefined
  }

  async function join(): Promise<void> {
    try {
      await lease.renew()
      await inbox.open()
      startTimer()
    } catch (error) {
      joining = undefined
      throw error
    }
  }

  function startTimer(): void {
    timer ??= setInterval(() => {
      // The next period renews a lease that the engine did not take.
      if (joining !== undefined) lease.renew().catch(() => {})
      inbox.poll()
      nodes.poll()
    }, periodMs).unref()
  }
}
