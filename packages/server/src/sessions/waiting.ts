/** The calls of a run that wait, and what was decided about them: from the transcript alone, so that any node knows the same. */
import { hash } from 'node:crypto'
import type { ToolPart } from '@millrace/protocol'
import type { DecidedCall } from '../runs/steps.ts'
import type { LaneRecord, RunRecord } from './transcript.ts'

/** Of a lane that ended because of its calls. */
export function callsOf({ status, parts }: Pick<LaneRecord, 'status' | 'parts'>): readonly ToolPart[] {
  return status === 'waiting' ? parts.filter((part): part is ToolPart => part.type === 'tool' && isDecidable(part)) : []
}

/** Nobody has decided yet; `now` in milliseconds since 1970: and somebody still may. */
export function isWaiting({ state, expiresAt = Number.POSITIVE_INFINITY }: ToolPart, now = Number.NEGATIVE_INFINITY): boolean {
  return state === 'waiting' && expiresAt > now
}

export function waitingCalls({ lanes }: Pick<RunRecord, 'lanes'>, now?: number): readonly string[] {
  return lanes.flatMap(callsOf).flatMap((part) => (isWaiting(part, now) ? [part.call] : []))
}

/** What the run that goes on does with the calls of one lane. */
export function decidedCalls(lane: LaneRecord): readonly DecidedCall[] {
  return callsOf(lane).map(({ call, name, arguments: given = {}, by = 'server', state, value, decision }) => ({
    call,
    name,
    arguments: given,
    by,
    decision: decision && { ...decision, ...(value !== undefined && { value }), ...(state === 'failed' && { isError: true }) },
  }))
}

/**
 * Of the run that goes on with the decisions about another: the same on every node and after a restart, so that it is
 * started once.
 */
export function idOfContinuation(run: string): string {
  return hash('sha256', `decided ${run}`, 'base64url').slice(0, 32)
}

/** A call that was executed at once has a result and no decision. */
function isDecidable({ state, decision }: ToolPart): boolean {
  return state === 'waiting' || decision !== undefined
}
