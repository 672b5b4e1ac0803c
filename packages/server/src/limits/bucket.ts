/** Rates that this process counts by itself. Pure: time is passed in. */
import { LRUCache } from 'lru-cache'

/** What may be taken at once, in seconds of the rate: the rate is an average over this time. */
export const burstSeconds = 10

/** Fills at a rate, up to its burst. Two numbers, because every connection has some. */
export class Bucket {
  #left: number
  #at: number

  constructor(perSecond: number, now: number) {
    this.#left = perSecond * burstSeconds
    this.#at = now
  }

  /** Takes all or nothing. Returns 0, or the milliseconds until this amount can be taken; infinite where it never can. */
  take(amount: number, perSecond: number, now: number): number {
    if (perSecond === Number.POSITIVE_INFINITY || amount === 0) return 0
    if (perSecond === 0) return Number.POSITIVE_INFINITY
    const burst = perSecond * burstSeconds
    this.#left = Math.min(burst, this.#left + (Math.max(0, now - this.#at) / 1000) * perSecond)
    this.#at = now
    // More than a burst is taken from a full bucket, which is in debt then.
    const needed = Math.min(amount, burst)
    if (this.#left < needed) return ((needed - this.#left) / perSecond) * 1000
    this.#left -= amount
    return 0
  }
}

/** Addresses that are remembered; forgetting one refills its bucket. */
const keysMax = 20_000

/** A bucket for each key, in bounded memory. */
export class Buckets {
  readonly #perSecond: number
  readonly #buckets = new LRUCache<string, Bucket>({ max: keysMax })

  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  take(key: string, amount: number, now: number): number {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return 0
    let bucket = this.#buckets.get(key)
    if (bucket === undefined) {
      bucket = new Bucket(this.#perSecond, now)
      this.#buckets.set(key, bucket)
    }
    return bucket.take(amount, this.#perSecond, now)
  }
}
