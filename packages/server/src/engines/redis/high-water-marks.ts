/**
 * What this engine knows of each log: the head it has seen, in which Redis process, and whether it was notified of every
 * append since. A Redis with less has lost something; a Redis process that is new is verified by an engine that knows all.
 */
import { LRUCache } from 'lru-cache'
import { newId } from '../shared/new-epoch.ts'

export interface Mark {
  readonly epoch: string
  readonly offset: number
  /** The Redis process in which the head was seen and the log verified. */
  readonly server: string
  /** This engine was notified of every append since. */
  readonly isSubscribed: boolean
  /** This engine's last group of appends to the log. */
  readonly own?: { readonly number: number; readonly offset: number } | undefined
}

/** While a log is not verified, an append or inspection of it asks this often whether an engine has verified it. */
export const verificationPollMs = 50
/** Logs beyond it are forgotten in the order of their last use. */
const logsMax = 10_000

export class HighWaterMarks {
  readonly #marks = new LRUCache<string, Mark>({ max: logsMax })
  /** Identifies this engine among all that share the Redis. */
  readonly #instance = newId()

  /** The arguments of a verifying script for the Redis process `server`, see `scripts.ts`. */
  argsFor(log: string, server: string, forceVerify: boolean): readonly string[] {
    const mark = this.#marks.get(log)
    const { epoch = '', offset = 0, isSubscribed = false, own } = mark ?? {}
    const last = `${own?.number ?? 0} ${own?.offset ?? 0}`
    const witnessed = isSubscribed ? (mark?.server ?? '') : ''
    return [server, epoch, offset, witnessed, this.#instance, last, newId(), forceVerify ? 1 : 0].map(String)
  }

  /** True when the log has another epoch than it had. */
  record(log: string, now: Mark): boolean {
    const known = this.#marks.get(log)
    const isSame = known?.epoch === now.epoch
    const merged: Mark = isSame
      ? {
          ...now,
          offset: Math.max(now.offset, known.offset),
          own: now.own ?? known.own,
          // Appends that another process notified of may be lost with it.
          isSubscribed: now.isSubscribed || (known.isSubscribed && known.server === now.server),
        }
      : now
    this.#marks.set(log, merged)
    return known !== undefined && !isSame
  }

  /** By a notification; a head of 0 when the log has ended or has another epoch. */
  raise(log: string, head: number): void {
    const known = this.#marks.get(log)
    if (known === undefined) return
    if (head === 0) this.#marks.delete(log)
    else if (head > known.offset) this.#marks.set(log, { ...known, offset: head })
  }

  /** This engine is no longer notified of the log's appends. */
  unsubscribed(log: string): void {
    const known = this.#marks.get(log)
    if (known?.isSubscribed) this.#marks.set(log, { ...known, isSubscribed: false })
  }

  forget(log: string): void {
    this.#marks.delete(log)
  }

  get(log: string): Mark | undefined {
    return this.#marks.get(log)
  }

  /** A copy: each use of a mark moves it, and a loop over the marks themselves would not end. */
  get logs(): readonly string[] {
    return [...this.#marks.keys()]
  }
}
