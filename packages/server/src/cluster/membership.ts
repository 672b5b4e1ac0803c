/**
 * The servers that share an engine, as far as each needs to know of the others: who lives, and whom to tell what.
 * A node that has runs writes a beat into a log of its own; whoever has something to do with it listens. One that
 * is not heard of for the length of a lease has lost its runs, and each of them is ended by whoever notices first.
 */
import type { Json, MillraceError } from '@millrace/protocol'
import type { Engine, Page } from '../log/log.ts'
import type { Liveness } from '../runs/cluster.ts'

/** Liveness, and messages between the servers. */
export interface Membership extends Liveness {
  /** When the engine last did not take this node's lease in time, by `now`; messages sent to it then may be lost. */
  readonly missedAt: number
  /** Sends a message to a node, which may be dead. */
  send(node: string, message: Json): Promise<void>
  /** Leaves: the others need not wait for a lease to end. */
  close(): Promise<void>
}

export interface MembershipOptions {
  readonly engine: Engine
  readonly id: string
  /** How long a node lives without a beat, in milliseconds; default 6,000. */
  readonly leaseMs?: number | undefined
  /** Awaited: a node may have had thousands of runs, and their logs are not all looked at at once. */
  readonly onOrphaned: (log: string) => Promise<void>
  readonly onMessage: (message: Json) => void
  /**
   * Runs of one node that are known of; default 10,000. Beyond it the one that was seen longest ago is left to whoever
   * asks for its log.
   */
  readonly runsMax?: number
  /** Milliseconds that never go back; default `performance.now`. */
  readonly now?: () => number
}

interface RemoteNode {
  /** Runs whose end was not seen yet, and their logs. */
  readonly runs: Map<string, string>
  readonly unwatch: () => void
  lastSeenAt: number
  head: number
  isChecking: boolean
}

/** Logs of a node that is gone which are looked at at the same time. */
const looksMax = 8
/**
 * A run that begins waits for a beat no older than this. The others may have given this node up while it stood still,
 * or the engine have lost its life with everything else, and its next beat by the clock may be seconds away.
 */
const freshMs = 100
const deadMax = 1000
/** Messages that wait in an inbox. */
const inboxMax = 1000
/** What a reader is told whose log is not there any more, or is another. */
const lost: ReadonlySet<string> = new Set(['session_not_found', 'position_foreign', 'position_ahead'])

export function createMembership({
  engine,
  id,
  leaseMs = 6000,
  onOrphaned,
  onMessage,
  runsMax = 10_000,
  now = () => performance.now(),
}: MembershipOptions): Membership {
  const others = new Map<string, RemoteNode>()
  /** Those given up last. */
  const dead = new Set<string>()
  const leaseLog = `node/${id}`
  const inbox = `inbox/${id}`
  const periodMs = leaseMs / 3
  let joining: Promise<void> | undefined
  let renewedAt = Number.NEGATIVE_INFINITY
  let missedAt = Number.NEGATIVE_INFINITY
  let unwatchInbox: (() => void) | undefined
  let readInbox = () => {}
  let timer: ReturnType<typeof setInterval> | undefined

  return {
    id,
    async join() {
      joining ??= join()
      await joining
      if (now() - renewedAt > freshMs) await renewLease()
    },
    isDead,
    onNodeDead(node, log, run) {
      const { runs } = others.get(node) ?? observe(node)
      runs.delete(run)
      runs.set(run, log)
      if (runs.size > runsMax) runs.delete(runs.keys().next().value as string)
    },
    ended(run) {
      for (const { runs } of others.values()) runs.delete(run)
    },
    get missedAt() {
      return missedAt
    },
    async send(node, message) {
      // It would get an inbox again that nobody empties. Of others it is not asked: a life may be lost with the engine's
      // data, and the node go on.
      if (dead.has(node) && (await isDead(node))) return
      await engine.append(`inbox/${node}`, [{ type: 'message', data: message }], { keep: inboxMax })
    },
    async close() {
      clearInterval(timer)
      unwatchInbox?.()
      for (const { unwatch } of others.values()) unwatch()
      others.clear()
      if (joining === undefined) return
      await joining.catch(() => {})
      await Promise.allSettled([engine.delete(leaseLog), engine.delete(inbox)])
    },
  }

  async function isDead(node: string): Promise<boolean> {
    return node !== id && (await engine.inspect(`node/${node}`)) === undefined
  }

  async function join(): Promise<void> {
    try {
      await renewLease()
      await openInbox()
      tick()
    } catch (error) {
      joining = undefined
      throw error
    }
  }

  async function renewLease(): Promise<void> {
    const askedAt = now()
    try {
      await engine.append(leaseLog, [{ type: 'beat', data: null }], { keep: 1 })
      renewedAt = now()
    } finally {
      if (now() - askedAt > periodMs || renewedAt < askedAt) missedAt = now()
    }
  }

  function tick(): void {
    timer ??= setInterval(() => {
      // One that the engine does not take is followed by the next.
      if (joining !== undefined) renewLease().catch(() => {})
      // A bell may have been lost with the engine that was to ring it.
      readInbox()
      for (const [node, other] of others) void check(node, other)
    }, periodMs).unref()
  }

  function observe(node: string): RemoteNode {
    const unwatch = engine.watch(`node/${node}`, () => void check(node, other))
    const other: RemoteNode = { runs: new Map(), unwatch, lastSeenAt: now(), head: 0, isChecking: false }
    others.set(node, other)
    tick()
    void check(node, other)
    return other
  }

  async function check(node: string, other: RemoteNode): Promise<void> {
    if (other.isChecking) return
    other.isChecking = true
    const askedAt = now()
    try {
      const state = await engine.inspect(`node/${node}`)
      const head = state?.head.offset
      // While the engine was away there was no beat to be had: nobody is given up for what it kept back.
      const awayMs = now() - askedAt
      other.lastSeenAt += awayMs
      if (head !== undefined && (head !== other.head || awayMs > periodMs)) {
        other.head = head
        other.lastSeenAt = now()
      }
      if (head === undefined || now() - other.lastSeenAt > leaseMs) await declareDead(node, other)
    } catch {
      // Where the engine cannot be asked, neither can the other: nobody is given up for that.
      other.lastSeenAt = now()
    } finally {
      other.isChecking = false
    }
  }

  async function declareDead(node: string, other: RemoteNode): Promise<void> {
    await engine.delete(`node/${node}`)
    dead.add(node)
    if (dead.size > deadMax) dead.delete(dead.keys().next().value as string)
    // Should it live after all, it makes another.
    await engine.delete(`inbox/${node}`)
    if (!others.delete(node)) return
    other.unwatch()
    const logs = new Set(other.runs.values()).values()
    const lookOn = async () => {
      for (const log of logs) await onOrphaned(log)
    }
    for (let looks = 0; looks < looksMax; looks++) void lookOn()
  }

  async function openInbox(): Promise<void> {
    let { position } = await engine.append(inbox, [])
    let isReading = false
    let isNotified = false
    readInbox = () => {
      isNotified = true
      if (!isReading) void read()
    }
    unwatchInbox = engine.watch(inbox, readInbox)

    async function read(): Promise<void> {
      isReading = true
      try {
        while (isNotified) {
          isNotified = false
          const page = await engine.read(inbox, position).catch(recreateInbox)
          position = page.position
          for (const { data } of page.events) onMessage(data as Json)
          isNotified ||= position.offset < page.head.offset
        }
      } catch {
        // The engine is away; it is asked again with the next beat.
      } finally {
        isReading = false
      }
    }

    /** It went by age, or was lost with all that was in it: what is in the new one has come since. */
    async function recreateInbox(error: unknown): Promise<Page> {
      if (!lost.has((error as MillraceError).code)) throw error
      const { position: head } = await engine.append(inbox, [])
      return engine.read(inbox, { epoch: head.epoch, offset: 0 })
    }
  }
}
