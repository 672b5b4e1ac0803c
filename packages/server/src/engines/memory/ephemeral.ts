/**
 * Ephemeral logs, for presence and typing: every node has its own copy in memory, bounded in bytes and age, of what all
 * nodes append. They promise nothing across restarts. What they MUST do:
 *  - an append by any node enters the copy of every node on which the log is open, at most once, and the appends of one
 *    node in their order; copies may interleave the appends of different nodes differently;
 *  - every copy has its own epoch, so a position of another node, or of the copy before, is rejected as `position_foreign`;
 *  - an append resolves without waiting for other nodes. A message is lost while the engine cannot be reached, so presence
 *    repeats what is still true within `ageMsMax`, and drops what was not repeated;
 *  - an open log exists until the last `open` of it is released, also when nobody appends to it.
 */
import type { Broadcast, Engine, NewEvent } from '../../log/log.ts'
import { formatEvents, parseEvents } from '../shared/event-text.ts'
import { newId } from '../shared/new-epoch.ts'
import { memoryEngine } from './index.ts'

export interface EphemeralOptions {
  /** Age up to which an event is kept, in milliseconds; default 60,000. */
  readonly ageMsMax?: number
  /** Bytes kept per log; default 256 KiB. */
  readonly bytesMax?: number
  /** Bytes kept in all logs together; what does not fit is rejected with `log_full`. Default 64 MiB. */
  readonly totalBytesMax?: number
}

interface OpenLog {
  /** Calls of `open` that were not released. */
  count: number
  readonly subscribing: Promise<() => void>
}

export class EphemeralLogs {
  /** This node's copies, to read, inspect and watch; append with `append`. */
  readonly copies: Engine
  readonly #broadcast: Broadcast | undefined
  /** Begins each message, because a node gets its own messages, too. */
  readonly #node = newId()
  readonly #open = new Map<string, OpenLog>()

  /** Over the broadcast of an engine; for an engine without other nodes, in this process only. */
  constructor(engine: Engine, options: EphemeralOptions = {}) {
    const { ageMsMax = 60_000, bytesMax = 256 * 1024, totalBytesMax = 64 * 1024 * 1024 } = options
    if (engine.isShared && engine.broadcast === undefined)
      throw new Error('This engine is shared but has no broadcast; its ephemeral logs would differ from node to node.')
    this.#broadcast = engine.broadcast
    this.copies = memoryEngine({ ageMsMax, bytesMax, totalBytesMax, isPinned: (log) => this.#open.has(log) })
  }

  /** Creates this node's copy, and resolves when it receives every later append; call the returned function to release it. */
  async open(log: string): Promise<() => Promise<void>> {
    const opened = this.#open.get(log) ?? { count: 0, subscribing: this.#subscribe(log) }
    this.#open.set(log, opened)
    opened.count += 1
    let release = async () => {
      release = async () => {}
      await this.#release(log, opened)
    }
    try {
      await opened.subscribing
      return () => release()
    } catch (error) {
      await release()
      throw error
    }
  }

  /** To every copy; a node on which the log is not open needs no copy to append. */
  async append(log: string, events: readonly NewEvent[]): Promise<void> {
    if (this.#open.has(log)) await this.copies.append(log, events)
    // Not awaited, and a failure is not reported: other nodes get what is still true when it is repeated.
    this.#broadcast?.publish(log, `${this.#node} ${formatEvents(events)}`).catch(() => {})
  }

  async close(): Promise<void> {
    const opened = [...this.#open.values()]
    this.#open.clear()
    await Promise.allSettled(opened.map(async ({ subscribing }) => (await subscribing)()))
    await this.copies.close()
  }

  async #subscribe(log: string): Promise<() => void> {
    await this.copies.append(log, [])
    const end = await this.#broadcast?.subscribe(log, (message) => this.#receive(log, message))
    return end ?? (() => {})
  }

  #receive(log: string, message: string): void {
    const at = message.indexOf(' ')
    if (message.slice(0, at) === this.#node || !this.#open.has(log)) return
    try {
      // Rejects when this node's copies are full or closed: the event is lost here, as it may be anywhere.
      this.copies.append(log, parseEvents(message.slice(at + 1))).catch(() => {})
    } catch {
      // Another program published to the channel.
    }
  }

  async #release(log: string, opened: OpenLog): Promise<void> {
    opened.count -= 1
    if (opened.count > 0 || this.#open.get(log) !== opened) return
    this.#open.delete(log)
    // Opened again, the copy would have a hole; the next one has a new epoch.
    await this.copies.delete(log)
    const unsubscribe = await opened.subscribing.catch(() => () => {})
    unsubscribe()
  }
}
