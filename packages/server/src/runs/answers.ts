/**
 * Answers of readers to heartbeats. Behind a load balancer they come to any server, so a stream's name says which one
 * has it, and what comes elsewhere is passed on: gathered for a moment, because each message is an append for the engine.
 */
import type { Nodes } from './nodes.ts'

export interface Answers {
  /** The name of a stream of this server that is to be answered. */
  newStream(): string
  /** A reader has answered, to whichever server. */
  take(stream: string): void
  /** Another server has passed these on. */
  takeAll(streams: readonly string[]): void
}

export interface AnswersOptions {
  readonly newId: () => string
  /** False where the stream is not of this server. */
  readonly hear: (stream: string) => boolean
  /** Where servers share the engine. */
  readonly nodes: Nodes | undefined
  /** How long answers are gathered; a fraction of the time between two heartbeats. */
  readonly gatherMs: number
}

/** Answers to one server and servers, each at once: names come from outside, and neither a message nor what waits may grow without end. */
const gatheredMax = 2000
const nodesMax = 1000

export function createAnswers({ newId, hear, nodes, gatherMs }: AnswersOptions): Answers {
  const gathered = new Map<string, Set<string>>()
  let isJoined = false

  return {
    newStream() {
      if (nodes === undefined) return newId()
      // Only a node that has joined is told anything.
      if (!isJoined) void join(nodes)
      return `${nodes.id}.${newId()}`
    },
    take(stream) {
      const [node, name] = stream.split('.')
      if (hear(stream) || nodes === undefined || node === undefined || name === undefined || node === nodes.id) return
      const streams = gathered.get(node) ?? gather(nodes, node)
      if (streams !== undefined && streams.size < gatheredMax) streams.add(stream)
    },
    takeAll(streams) {
      for (const stream of streams) hear(stream)
    },
  }

  async function join(nodes: Nodes): Promise<void> {
    isJoined = true
    try {
      await nodes.join()
    } catch {
      // The engine is away: the next stream asks again.
      isJoined = false
    }
  }

  function gather(nodes: Nodes, node: string): Set<string> | undefined {
    if (gathered.size >= nodesMax) return undefined
    const streams = new Set<string>()
    gathered.set(node, streams)
    setTimeout(() => {
      gathered.delete(node)
      // One that the engine does not take is followed by the next heartbeat's.
      pass(nodes, node, [...streams]).catch(() => {})
    }, gatherMs).unref()
    return streams
  }

  async function pass(nodes: Nodes, node: string, streams: string[]): Promise<void> {
    // Anybody may name a server that never was: each would get an inbox that nobody empties.
    if (await nodes.isGone(node)) return
    await nodes.send(node, { type: 'answered', streams })
  }
}
