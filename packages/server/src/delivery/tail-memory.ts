/**
 * A bound on what all tails hold together: most of them are of logs where nothing happens, and keep what was delivered
 * long ago. Beyond the bound the tails that have grown least recently give their memory back.
 */
export interface MemoryHolder {
  /** Gives back what can be read again, unless it is just being delivered; then returns false. */
  shrink(): boolean
}

export interface TailMemory {
  /** A tail holds so many bytes more than it always does; 0 where it has shrunk, or ended. */
  note(holder: MemoryHolder, bytes: number): void
  readonly total: number
}

/** Tails that are tried at once: those that deliver would be tried for each other's sake, over and over. */
const triesMax = 64

export function createTailMemory(bytesMax: number): TailMemory {
  /** In the order of their last growth. */
  const held = new Map<MemoryHolder, number>()
  let total = 0

  return {
    note(holder, bytes) {
      set(holder, bytes)
      if (total > bytesMax) shrinkOthers(holder)
    },
    get total() {
      return total
    },
  }

  function set(holder: MemoryHolder, bytes: number): void {
    total += bytes - (held.get(holder) ?? 0)
    held.delete(holder)
    if (bytes > 0) held.set(holder, bytes)
  }

  function shrinkOthers(grown: MemoryHolder): void {
    for (const [other, bytes] of [...held].slice(0, triesMax)) {
      if (total <= bytesMax) return
      if (other === grown) continue
      // One that is busy has its turn again behind the others.
      set(other, other.shrink() ? 0 : bytes)
    }
  }
}
