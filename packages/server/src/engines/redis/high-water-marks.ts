/**
 * What this engine knows of each log: how far it had come, in which Redis process, and whether it would have heard of
 * more. A Redis that has less has lost something; one that was not there before is vouched for by who knows all.
 */
import { LRUCache } from 'lru-cache'
import { newId } from '../shared/new-epoch.ts'

export interface Mark {
  readonly epoch: string
  readonly offset: number
  /** The Redis process that had it, and that it was vouched for in. */
  readonly server: string
  /** Every append to it since has been heard of. */
  readonly isSubscribed: boolean
  /** Of this engine's last append to it. */
  readonly own?: { readonly number: number; readonly offset: number } | undefined
}

export interface HighWaterMarks {
  /** Of this engine among all that share the Redis. */
  readonly instance: string
  /** What can be said of a log to a Redis process, as `scripts.ts` wants it. */
  say(log: string, to: string, forceVerify: boolean): readonly string[]
  /** True where it is another incarnation of the log than was known. */
  remember(log: string, now: Mark): boolean
  /** A bell says that a log has come so far; 0 that it has ended, or has another epoch. */
  note(log: string, head: number): void
  /** Nobody listens for its bells any more. */
  unsubscribed(log: string): void
  forget(log: string): void
  has(log: string): boolean
  readonly logs: Iterable<string>
  offsetOf(log: string): { readonly epoch: string; readonly offset: number } | undefined
}

/** Logs that are remembered; beyond it the one used longest ago is forgotten. */
const logsMax = 10_000

export function createHighWaterMarks(): HighWaterMarks {
  const seen = new LRUCache<string, Mark>({ max: logsMax })
  const instance = newId()

  return {
    instance,

    say(log, to, forceVerify) {
      const { epoch = '', offset = 0, server = '', isSubscribed = false, own } = seen.get(log) ?? {}
      const last = `${own?.number ?? 0} ${own?.offset ?? 0}`
      return [to, epoch, offset, isSubscribed ? server : '', instance, last, newId(), forceVerify ? 1 : 0].map(String)
    },

    remember(log, now) {
      const known = seen.get(log)
      const isSame = known?.epoch === now.epoch
      const merged: Mark = isSame
        ? {
            ...now,
            offset: Math.max(now.offset, known.offset),
            own: now.own ?? known.own,
            // What was heard in another process may have gone with it.
            isSubscribed: now.isSubscribed || (known.isSubscribed && known.server === now.server),
          }
        : now
      seen.set(log, merged)
      return known !== undefined && !isSame
    },

    note(log, head) {
      const known = seen.get(log)
      if (known === undefined) return
      if (head === 0) seen.delete(log)
      else if (head > known.offset) seen.set(log, { ...known, offset: head })
    },

    unsubscribed(log) {
      const known = seen.get(log)
      if (known?.isSubscribed) seen.set(log, { ...known, isSubscribed: false })
    },

    forget: (log) => void seen.delete(log),
    has: (log) => seen.has(log),
    get logs() {
      return seen.keys()
    },
    offsetOf: (log) => seen.get(log),
  }
}
