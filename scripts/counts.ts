/** How many tests passed, failed and were skipped, and the one line that says so. */
export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export const none: Counts = { passed: 0, failed: 0, skipped: 0 }

/** What vitest counted, and which of the skipped tests do not say why in their names. */
export interface Report extends Counts {
  readonly unexplained: readonly string[]
}

/** Always the last line of a run, for people and for machines that read only that (.ci/run does). */
export function format({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
