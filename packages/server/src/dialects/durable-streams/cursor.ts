/**
 * The cursor of a live answer, which its client sends with the next request: a cache between them then cannot give the same
 * empty answer for ever. It counts intervals of 20 seconds since 2024-10-09.
 */
const intervalSeconds = 20
const zeroMs = Date.UTC(2024, 9, 9)
const jitterSecondsMax = 3600

/** Greater than the one that the client has. `random` is from 0 to below 1. */
export function nextCursor(last: string | undefined, now: number, random: number): string {
  const interval = Math.floor((now - zeroMs) / (intervalSeconds * 1000))
  const known = last !== undefined && /^[0-9]{1,12}$/.test(last) ? Number(last) : -1
  if (known < interval) return String(interval)
  return String(known + Math.max(1, Math.floor((1 + random * jitterSecondsMax) / intervalSeconds)))
}
