/**
 * Readers' acknowledgements of heartbeats. Behind a load balancer they arrive at any server, so a stream's name contains
 * its node, and others pass them on. They are gathered for a moment, because each message is an append for the engine.
 */
import type { HeartbeatAcks } from '../transports/heartbeat.ts'
import type { Membership } from './membership.ts'

export interface HeartbeatAcksOptions {
  readonly newId: () => string
  /** False where the stream is another server's. */
  readonly acknowledgeHere: (stream: string) => boolean
  /** With a shared engine. */
  readonly membership: Membership | undefined
  /** How long acknowledgements are gathered; a fraction of the time between two heartbeats. */
  readonly gatherMs: number
}

/** Bounds of one message and of the nodes with messages waiting: names come from clients. */
const gatheredMax = 2000
const nodesMax = 1000

export function createHeartbeatAcks({ newId, acknowledgeHere, membership, gatherMs }: HeartbeatAcksOptions): HeartbeatAcks {
  const gathered = new Map<string, Set<string>>()
  let isJoined = false

  return {
    newStream() {
      if (membership === undefined) return newId()
      // Only a node that has joined receives messages.
      if (!isJoined) void join(membership)
      return `${membership.id}.${newId()}`
    },
    acknowledge(stream) {
      const [node, name] = stream.split('.')
      if (
        acknowledgeHere(stream) ||
        membership === undefined ||
        node === undefined ||
        name === undefined ||
        node === membership.id
      )
        return
      const streams = gathered.get(node) ?? gather(membership, node)
      if (streams !== undefined && streams.size < gatheredMax) streams.add(stream)
    },
    acknowledgeAll(streams) {
      for (const stream of streams) acknowledgeHere(stream)
    },
  }

  async function join(membership: Membership): Promise<void> {
    isJoined = true
    try {
      await membership.join()
    } catch {
      // The engine is unavailable: the next stream tries again.
      isJoined = false
    }
  }

  function gather(membership: Membership, node: string): Set<string> | undefined {
    if (gathered.size >= nodesMax) return undefined
    const streams = new Set<string>()
    gathered.set(node, streams)
    setTimeout(() => {
      gathered.delete(node)
      // After a lost message, the next heartbeat is acknowledged again.
      pass(membership, node, [...streams]).catch(() => {})
    }, gatherMs).unref()
    return streams
  }

  async function pass(membership: Membership, node: string, streams: string[]): Promise<void> {
    // A client may name a server that never existed, which would get an inbox that no process empties.
    if (await membership.isDead(node)) return
    await membership.send(node, { type: 'answered', streams })
  }
}
