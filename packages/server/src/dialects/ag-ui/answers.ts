/** What a client says about calls of a run that waits: a decision about an approval, or the result of a tool. */
import { type Json, MillraceError, type ToolPart } from '@millrace/protocol'
import type { Caller } from '../../access/caller.ts'
import { prepareResume } from '../../gateway/asking.ts'
import { decideFor } from '../../gateway/decisions.ts'
import type { FaceContext } from '../../gateway/face.ts'
import type { Run } from '../../runs/run.ts'
import type { DecisionInput } from '../../sessions/decisions.ts'
import type { RunRecord } from '../../sessions/transcript.ts'
import { isWaiting, waitingCalls } from '../../sessions/waiting.ts'
import type { CallAnswer } from './input.ts'

/**
 * Finds the calls, and returns how to record what is said about them and start the run that goes on. Rejects with
 * `call_not_found`, with `invalid_request` where calls of that run would still wait, and as `decideFor` does.
 */
export async function prepareAnswers(
  context: FaceContext,
  caller: Caller,
  session: string,
  answers: readonly CallAnswer[],
): Promise<() => Promise<Run>> {
  await context.authorize(caller, 'session.read', { session })
  const waiting = (await context.transcripts.read(session))?.runs.filter(({ status }) => status === 'waiting') ?? []
  const named = answers.map((answer) => ({ answer, ...findCall(waiting, answer.id) }))
  // TanStack AI answers an interrupt and sends a tool message for the same call: the answer counts.
  const found = named.filter(({ part }, index) => named.findIndex((other) => other.part === part) === index)
  const [first] = found
  if (first === undefined || found.some(({ record }) => record !== first.record)) throw new MillraceError('call_not_found')
  const left = waitingCalls(first.record).find((call) => !found.some(({ part }) => part.call === call))
  if (left !== undefined)
    throw new MillraceError('invalid_request', { message: `The call ${left} waits too; decide about every call of the run.` })
  const { run } = first.record
  const now = Date.now()
  // The time to decide is over: the run goes on, and the model learns that nobody has decided.
  if (found.some(({ answer, part }) => answer.value === false && isWaiting(part) && !isWaiting(part, now)))
    return (await prepareResume(context, caller, { run, session })).start
  const decisions = found.map(({ answer, part }) => toDecision(part, answer))
  return async () => {
    const { continuedBy } = await decideFor(context, caller, { run, session, decisions })
    const next = continuedBy === undefined ? undefined : await context.runs.find(continuedBy)
    if (next === undefined) throw new MillraceError('run_not_waiting')
    return next
  }
}

/** The newest call of that id: models choose the ids, and may use one again. */
function findCall(runs: readonly RunRecord[], id: string): { readonly record: RunRecord; readonly part: ToolPart } {
  for (const record of runs.toReversed()) {
    for (const { parts } of record.lanes) {
      for (const part of parts) if (part.type === 'tool' && (part.call === id || part.approval === id)) return { record, part }
    }
  }
  throw new MillraceError('call_not_found')
}

/** `true`, `false`, or an object with `approved` and, as `editedArgs`, what the tool is called with instead. */
function toDecision({ call, by, approval }: ToolPart, { isResult, value, isError }: CallAnswer): DecisionInput {
  if (by === 'client') return { call, decision: 'result', value: isResult ? value : resultOf(value), ...(isError && { isError }) }
  if (isResult && approval === undefined) throw new MillraceError('call_not_waiting')
  if (isResult) return { call, decision: 'answer', value, ...(isError && { isError }) }
  const { approved, editedArgs, reason, payload } = (typeof value === 'object' ? value : { approved: value }) as Payload
  const why = reason ?? payload?.reason
  if (approved !== true) return { call, decision: 'reject', ...(typeof why === 'string' && { reason: why.slice(0, 2000) }) }
  return editedArgs === undefined ? { call, decision: 'approve' } : { call, decision: 'edit', arguments: editedArgs }
}

interface Payload {
  readonly approved?: Json
  readonly editedArgs?: Json
  readonly reason?: Json
  readonly payload?: { readonly reason?: Json } | null
}

function resultOf(value: Json): Json {
  return value === false ? 'The client did not execute the call.' : value
}
