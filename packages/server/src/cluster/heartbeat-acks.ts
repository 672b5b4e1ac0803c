/**
 * Answers of readers to heartbeats. Behind a load balancer they come to any server, so a stream's name says which one
 * has it, and what comes elsewhere is passed on: gathered for a moment, because each message is an append for the engine.
 */
import type { HeartbeatAcks } from '../transports/heartbeat.ts'
import type { Membership } from './membership.ts'

export interface HeartbeatAcksOptions {
  readonly newId: () => string
  /** False where the stream is not of this server. */
  readonly acknowledgeHere: (stream: string) => boolean
  /** Where servers share the engine. */
  readonly membership: Membership | undefined
  /** How long answers are gathered; a fraction of the time between two heartbeats. */
  readonly gatherMs: number
}

/** Answers to one server and servers, each at once: names come from outside, and neither a message nor what waits may grow without end. */
const gatheredMax = 2000
const nodesMax = 1000

export function createHeartbeatAcks({ newId, acknowledgeHere, membership, gatherMs }: HeartbeatAcksOptions): HeartbeatAcks {
  const gathered = new Map<string, Set<string>>()
  let isJoined = false

  return {
    newStream() {
      if (membership === undefined) return newId()
      // Only a node that has joined is told anything.
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
      // The engine is away: the next stream asks again.
      isJoined = false
    }
  }

  function gather(membership: Membership, node: string): Set<string> | undefined {
    if (gathered.size >= nodesMax) return undefined
    const streams = new Set<string>()
    gathered.set(node, streams)
    setTimeout(() => {
      gathered.delete(node)
      // One that the engine does not take is followed by the next heartbeat's.
      pass(membership, node, [...streams]).catch(() => {})
    }, gatherMs).unref()
    return streams
  }

  async function pass(membership: Membership, node: string, streams: string[]): Promise<void> {
    // Anybody may name a server that never was: each would get an inbox that nobody empties.
    if (await membership.isDead(node)) return
    await membership.send(node, { type: 'answered', streams })
  }
}
