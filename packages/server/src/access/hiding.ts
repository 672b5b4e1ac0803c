/**
 * Answers that hide whether something exists take at least this long: what belongs to somebody else is found in other steps
 * than what does not exist, and the difference would tell.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { MillraceError } from '@millrace/protocol'

export const hidingMs = 25
const hidingCodes = new Set<unknown>(['session_not_found', 'run_not_found'])

export function hides(error: unknown): boolean {
  return error instanceof MillraceError && hidingCodes.has(error.code)
}

/** Resolves when so much time has passed since then. */
export async function atLeast(startedAt: number, ms: number): Promise<void> {
  const rest = ms - (performance.now() - startedAt)
  if (rest > 0) await wait(rest)
}
