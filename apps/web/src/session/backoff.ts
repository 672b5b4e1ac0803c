/**
 * How long to wait before another attempt: doubling from 1 s to 30 s, drawn from the upper half of
 * that span. Without the draw all pages that a deploy cut off would come back in the same instant.
 */
const firstMs = 1_000
const longestMs = 30_000

export function backoffMs(attempt: number, random: () => number): number {
  const span = Math.min(longestMs, firstMs * 2 ** Math.min(attempt, 10))
  return Math.round(span / 2 + (span / 2) * random())
}
