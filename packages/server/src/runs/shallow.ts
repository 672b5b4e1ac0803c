/** Deeper JSON would overflow the stack of a function that encodes it. */
export const depthMax = 64

/** Level by level, and so without a stack of its own. */
export function isShallow(value: unknown): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthMax) return false
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []))
  }
  return true
}
