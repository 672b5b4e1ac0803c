/**
 * Bounds the memory of all tails together: most of them belong to idle logs, and keep what was delivered long ago. A tail
 * that has not grown for some seconds releases its memory; beyond the bound, the tails that have grown least recently do.
 */
export interface MemoryHolder {
  /** Releases what can be read again, unless it is being delivered; then returns false. */
  shrink(): boolean
  /** Does the same if nothing was appended since the last call. Called every `unusedMs` while it holds memory. */
  shrinkIfUnused(): void
}

export interface TailMemory {
  /** A tail takes this number of bytes; 0 if it has shrunk, or ended. */
  note(holder: MemoryHolder, bytes: number): void
  readonly total: number
}

export interface TailMemoryOptions {
  readonly bytesMax: number
  readonly unusedMs: number
}

/** Tails that are tried at once: those that are delivering would otherwise be tried for each other, over and over. */
const triesMax = 64

export function createTailMemory({ bytesMax, unusedMs }: TailMemoryOptions): TailMemory {
  /** In the order of their last growth. */
  const held = new Map<MemoryHolder, number>()
  let total = 0
  let timer: NodeJS.Timeout | undefined

  return {
    note(holder, bytes) {
      set(holder, bytes)
      if (total > bytesMax) shrinkOthers(holder)
      if (held.size > 0) timer ??= setInterval(shrinkUnused, unusedMs).unref()
      else {
        clearInterval(timer)
        timer = undefined
      }
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

  function shrinkUnused(): void {
    for (const holder of held.keys()) holder.shrinkIfUnused()
  }
}
