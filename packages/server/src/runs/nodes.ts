/**
 * The servers that share an engine, as far as each needs to know of the others: who lives, and whom to tell what.
 * A node that has runs writes a beat into a log of its own; whoever has something to do with it listens. One that
 * is not heard of for the length of a lease has lost its runs, and each of them is ended by whoever notices first.
 */
import type { Json, MillraceError } from '@millrace/protocol'
import type { Engine, Page } from '../log/log.ts'

export interface Nodes {
  /** This server among those that share the engine. */
  readonly id: string
  /** There is no other, nor will be while this one runs: see sole-node.ts. */
  readonly isSole?: true
  /** Says from now on that this node lives; resolves when others can see it. A run MUST NOT stand in a log before. */
  join(): Promise<void>
  /** Whether the node has ended, or been given up. Rejects with the engine's refusal. */
  isGone(node: string): Promise<boolean>
  /** Calls `onGone` with the log of a run when its node is gone, unless the run has ended by then. */
  onceGone(node: string, log: string, run: string): void
  /** The end of a run was seen: its log need not be looked at for its sake. */
  ended(run: string): void
  /** When the engine last did not take this node's beat in time, by `now`; what others sent it then may be lost. */
  readonly missedAt: number
  /** Tells a node something; it may be gone. */
  send(node: string, message: Json): Promise<void>
  /** Leaves: the others need not wait for a lease to end. */
  close(): Promise<void>
}

export interface NodesOptions {
  readonly engine: Engine
  readonly id: string
  /** How long a node lives without a beat, in milliseconds; default 6,000. */
  readonly leaseMs?: number | undefined
  /** Awaited: a node may have had thousands of runs, and their logs are not all looked at at once. */
  readonly onGone: (log: string) => Promise<void>
  readonly onMessage: (message: Json) => void
  /**
   * Runs of one node that are known of; default 10,000. Beyond it the one that was seen longest ago is left to whoever
   * asks for its log.
   */
  readonly runsMax?: number
  /** Milliseconds that never go back; default `performance.now`. */
  readonly now?: () => number
}

interface Other {
  /** Runs whose end was not seen yet, and their logs. */
  readonly runs: Map<string, string>
  readonly unwatch: () => void
  heardAt: number
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

export function createNodes({
  engine,
  id,
  leaseMs = 6000,
  onGone,
  onMessage,
  runsMax = 10_000,
  now = () => performance.now(),
}: NodesOptions): Nodes {
  const others = new Map<string, Other>()
  /** Those given up last. */
  const dead = new Set<string>()
  const life = `node/${id}`
  const inbox = `inbox/${id}`
  const periodMs = leaseMs / 3
  let joining: Promise<void> | undefined
  let beatAt = Number.NEGATIVE_INFINITY
  let missedAt = Number.NEGATIVE_INFINITY
  let unwatchInbox: (() => void) | undefined
  let lookIntoInbox = () => {}
  let timer: ReturnType<typeof setInterval> | undefined

  return {
    id,
    async join() {
      joining ??= join()
      await joining
      if (now() - beatAt > freshMs) await beat()
    },
    isGone,
    onceGone(node, log, run) {
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
      if (dead.has(node) && (await isGone(node))) return
      await engine.append(`inbox/${node}`, [{ type: 'message', data: message }], { keep: inboxMax })
    },
    async close() {
      clearInterval(timer)
      unwatchInbox?.()
      for (const { unwatch } of others.values()) unwatch()
      others.clear()
      if (joining === undefined) return
      await joining.catch(() => {})
      await Promise.allSettled([engine.delete(life), engine.delete(inbox)])
    },
  }

  async function isGone(node: string): Promise<boolean> {
    return node !== id && (await engine.inspect(`node/${node}`)) === undefined
  }

  async function join(): Promise<void> {
    try {
      await beat()
      await openInbox()
      tick()
    } catch (error) {
      joining = undefined
      throw error
    }
  }

  async function beat(): Promise<void> {
    const askedAt = now()
    try {
      await engine.append(life, [{ type: 'beat', data: null }], { keep: 1 })
      beatAt = now()
    } finally {
      if (now() - askedAt > periodMs || beatAt < askedAt) missedAt = now()
    }
  }

  function tick(): void {
    timer ??= setInterval(() => {
      // One that the engine does not take is followed by the next.
      if (joining !== undefined) beat().catch(() => {})
      // A bell may have been lost with the engine that was to ring it.
      lookIntoInbox()
      for (const [node, other] of others) void check(node, other)
    }, periodMs).unref()
  }

  function observe(node: string): Other {
    const unwatch = engine.watch(`node/${node}`, () => void check(node, other))
    const other: Other = { runs: new Map(), unwatch, heardAt: now(), head: 0, isChecking: false }
    others.set(node, other)
    tick()
    void check(node, other)
    return other
  }

  async function check(node: string, other: Other): Promise<void> {
    if (other.isChecking) return
    other.isChecking = true
    const askedAt = now()
    try {
      const state = await engine.inspect(`node/${node}`)
      const head = state?.head.offset
      // While the engine was away there was no beat to be had: nobody is given up for what it kept back.
      const awayMs = now() - askedAt
      other.heardAt += awayMs
      if (head !== undefined && (head !== other.head || awayMs > periodMs)) {
        other.head = head
        other.heardAt = now()
      }
      if (head === undefined || now() - other.heardAt > leaseMs) await giveUp(node, other)
    } catch {
      // Where the engine cannot be asked, neither can the other: nobody is given up for that.
      other.heardAt = now()
    } finally {
      other.isChecking = false
    }
  }

  async function giveUp(node: string, other: Other): Promise<void> {
    await engine.delete(`node/${node}`)
    dead.add(node)
    if (dead.size > deadMax) dead.delete(dead.keys().next().value as string)
    // Should it live after all, it makes another.
    await engine.delete(`inbox/${node}`)
    if (!others.delete(node)) return
    other.unwatch()
    const logs = new Set(other.runs.values()).values()
    const lookOn = async () => {
      for (const log of logs) await onGone(log)
    }
    for (let looks = 0; looks < looksMax; looks++) void lookOn()
  }

  async function openInbox(): Promise<void> {
    let { position } = await engine.append(inbox, [])
    let isReading = false
    let isRung = false
    lookIntoInbox = () => {
      isRung = true
      if (!isReading) void read()
    }
    unwatchInbox = engine.watch(inbox, lookIntoInbox)

    async function read(): Promise<void> {
      isReading = true
      try {
        while (isRung) {
          isRung = false
          const page = await engine.read(inbox, position).catch(openAnew)
          position = page.position
          for (const { data } of page.events) onMessage(data as Json)
          isRung ||= position.offset < page.head.offset
        }
      } catch {
        // The engine is away; it is asked again with the next beat.
      } finally {
        isReading = false
      }
    }

    /** It went by age, or was lost with all that was in it: what is in the new one has come since. */
    async function openAnew(error: unknown): Promise<Page> {
      if (!lost.has((error as MillraceError).code)) throw error
      const { position: head } = await engine.append(inbox, [])
      return engine.read(inbox, { epoch: head.epoch, offset: 0 })
    }
  }
}
