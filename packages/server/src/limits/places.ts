/** Places that are held for as long as something is in progress: counted by all servers together where the engine can. */
import type { Counters } from '../log/log.ts'

export interface Places {
  /** False where all places of the key are held by others. A place that is never released is free again after `ms`. */
  hold(key: string, holder: string, max: number, ms: number): Promise<boolean>
  release(key: string, holder: string): void
}

export function createPlaces(shared: Counters | undefined, now: () => number = () => performance.now()): Places {
  /** Of this server, by key and holder: until when. Also counted where the counters are shared, for when they are away. */
  const own = new Map<string, Map<string, number>>()

  return {
    async hold(key, holder, max, ms) {
      const isHeld = await shared?.hold(key, holder, max, ms).catch(() => undefined)
      if (isHeld === false) return false
      const holders = own.get(key) ?? new Map<string, number>()
      for (const [each, until] of holders) if (until <= now()) holders.delete(each)
      if (isHeld === undefined && holders.size >= max && !holders.has(holder)) return false
      holders.set(holder, now() + ms)
      own.set(key, holders)
      return true
    },
    release(key, holder) {
      const holders = own.get(key)
      holders?.delete(holder)
      if (holders?.size === 0) own.delete(key)
      // One that stays is free again after its time.
      shared?.release(key, holder).catch(() => {})
    },
  }
}
