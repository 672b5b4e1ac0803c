/**
 * Answers that hide whether something exists come at multiples of this time after the request: what belongs to somebody else
 * is found in other steps than what does not exist, and the difference would tell.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { MillraceError } from '@millrace/protocol'

export const hidingMs = 25
const hidingCodes = new Set<unknown>(['session_not_found', 'run_not_found'])

export function hides(error: unknown): boolean {
  return error instanceof MillraceError && hidingCodes.has(error.code)
}

/** A timer waits for whole milliseconds, so its rest would still tell. */
const noiseMs = 4

/** Resolves soon after the next multiple of `ms` after `startedAt`; at once for 0. */
export async function untilNext(startedAt: number, ms: number): Promise<void> {
  if (ms > 0) await wait(ms - ((performance.now() - startedAt) % ms) + Math.random() * noiseMs)
}
