/** The numbers of passed, failed and skipped tests, and the line that reports them. */
export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export const none: Counts = { passed: 0, failed: 0, skipped: 0 }

/** What vitest counted, and which skipped tests give no reason in their names. */
export interface Report extends Counts {
  readonly unexplained: readonly string[]
}

/** Always the last line of a run, for people and for programs that read only that line, as .ci/run does. */
export function format({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
