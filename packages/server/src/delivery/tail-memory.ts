/**
 * Bounds the memory of all tails together: most of them belong to idle logs, and keep what was delivered long ago. Beyond
 * the bound, the tails that have grown least recently release their memory.
 */
export interface MemoryHolder {
  /** Releases what can be read again, unless it is being delivered; then returns false. */
  shrink(): boolean
}

export interface TailMemory {
  /** A tail takes this many bytes more than its minimum; 0 if it has shrunk, or ended. */
  note(holder: MemoryHolder, bytes: number): void
  readonly total: number
}

/** Tails that are tried at once: those that are delivering would otherwise be tried for each other, over and over. */
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
      // A busy one is tried again after the others.
      set(other, other.shrink() ? 0 : bytes)
    }
  }
}
