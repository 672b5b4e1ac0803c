/**
 * Compares what happened to a log with what was promised: every append with its outcome, and every event that a reader
 * received. Each value is appended once; violations are counted by kind.
 */

export interface Attempt {
  readonly value: number
  /** `unknown`: the append failed in a way that leaves open whether it was written. */
  readonly outcome: 'acknowledged' | 'rejected' | 'unknown'
}

export interface Given {
  readonly epoch: string
  readonly offset: number
  /** Undefined for a gap up to `offset`, or for a reset. */
  readonly value?: number
}

export interface History {
  readonly attempts: readonly Attempt[]
  /** What each reader received, in order. */
  readonly readers: readonly (readonly Given[])[]
  /** The log at the end, read from its start. */
  readonly final: readonly Given[]
}

export interface Findings {
  /** Acknowledged, but missing in the log at the end without a reported gap. */
  readonly lost: number
  /** Received by one reader more than once. */
  readonly repeated: number
  /** Received at an offset at or before one that this reader already had. */
  readonly reordered: number
  /** Received, but never appended, or rejected. */
  readonly phantom: number
  /** Another value at the same position for another reader, or in the log at the end. */
  readonly diverging: number
  /** An offset was skipped without a reported gap. */
  readonly gapped: number
}

export const nothingFound: Findings = { lost: 0, repeated: 0, reordered: 0, phantom: 0, diverging: 0, gapped: 0 }

export function checkHistory({ attempts, readers, final }: History): Findings {
  const found = { ...nothingFound }
  const outcomes = new Map(attempts.map(({ value, outcome }) => [value, outcome]))
  const places = new Map<string, number>()
  // Events before it were trimmed, or lost and reported: a reader that begins there has skipped nothing.
  const start = final[0]

  for (const given of [...readers, final]) {
    const values = new Set<number>()
    let last: Given | undefined
    for (const event of given) {
      const { epoch, offset, value } = event
      const isSame = last?.epoch === epoch
      if (value === undefined) {
        last = event
        continue
      }
      if (values.has(value)) found.repeated += 1
      values.add(value)
      const isStart = !isSame && epoch === start?.epoch && offset === start.offset
      const before = isSame ? (last?.offset ?? 0) : isStart ? offset - 1 : 0
      if (offset <= before) found.reordered += 1
      else if (offset > before + 1) found.gapped += 1
      const outcome = outcomes.get(value)
      if (outcome === undefined || outcome === 'rejected') found.phantom += 1
      const place = `${epoch} ${offset}`
      const there = places.get(place)
      if (there !== undefined && there !== value) found.diverging += 1
      places.set(place, value)
      last = event
    }
  }

  const kept = new Set(final.map(({ value }) => value))
  const isReported = [...readers, final].some((given) => given.some(({ value }) => value === undefined))
  for (const { value, outcome } of attempts) if (outcome === 'acknowledged' && !kept.has(value) && !isReported) found.lost += 1
  return found
}
