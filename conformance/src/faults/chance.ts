/** Random numbers of a seed: the same seed, the same faults at the same moments. */

export interface Chance {
  /** From 0 (inclusive) to 1 (exclusive). */
  real(): number
  /** An integer from `least` to `most`. */
  whole(least: number, most: number): number
  pick<T>(list: readonly T[]): T
}

/** mulberry32: small, and deterministic on every machine. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0
  const real = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const whole = (least: number, most: number) => least + Math.floor(real() * (most - least + 1))
  return { real, whole, pick: (list) => list[whole(0, list.length - 1)] as never }
}
