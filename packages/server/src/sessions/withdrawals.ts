/**
 * Stops a run that waits: each of its calls that waits is withdrawn, by an event under the key of the decisions about it, so
 * that of a decision and a withdrawal at the same moment, on whichever nodes, the first counts.
 */
import { formatPosition, type LaneEnd, type Position, parsePosition, type ToolDecision } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { RecordedEnd } from '../runs/run.ts'
import { sessionEvent } from '../runs/session-event.ts'
import type { RecordedLaneEnd } from '../runs/stop.ts'
import type { RunRecord } from './transcript.ts'
import type { Transcripts } from './transcripts.ts'
import { callsOf, isWaiting, waitingCalls } from './waiting.ts'

export interface WithdrawRequest {
  readonly session: string
  readonly run: string
  /** Only the calls of this lane. */
  readonly lane?: string | undefined
  /** The id of the principal who stops it. */
  readonly by?: string | undefined
}

export interface WithdrawOptions {
  readonly engine: Engine
  readonly transcripts: Pick<Transcripts, 'read'>
  /** Starts the run that goes on, where the other calls are decided. */
  readonly goOn: (session: string, run: string) => Promise<void>
}

/** Resolves with the end of the run or of the lane as it is then; undefined where the session has no such run that has ended. */
export type Withdraw = (request: WithdrawRequest) => Promise<RecordedEnd | RecordedLaneEnd | undefined>

export function createWithdraw({ engine, transcripts, goOn }: WithdrawOptions): Withdraw {
  return async ({ session, run, lane, by }) => {
    const before = await find(session, run)
    if (before === undefined || before.record.status === 'streaming') return undefined
    const isNamed = (one: { readonly lane: string }) => lane === undefined || one.lane === lane
    const calls = before.record.lanes
      .filter(isNamed)
      .flatMap(callsOf)
      .filter((part) => isWaiting(part))
    let last: Position | undefined
    for (const { call, approval } of calls) {
      const decision: ToolDecision = { decision: 'withdraw', ...(approval && { approval }), ...(by !== undefined && { by }) }
      const { position, duplicate } = await appendDecision(engine, { session, run, epoch: before.epoch }, call, decision)
      if (!duplicate) last = position
    }
    const record = (await find(session, run))?.record ?? before.record
    if (record.status === 'waiting' && calls.length > 0 && waitingCalls(record).length === 0) await goOn(session, run)
    return { ...endOf(record, lane), ...(last && { position: formatPosition(last, session) }) }
  }

  async function find(session: string, run: string) {
    const transcript = await transcripts.read(session)
    const record = transcript?.runs.find((one) => one.run === run)
    return transcript && record && { record, epoch: parsePosition(transcript.position)?.epoch ?? '' }
  }
}

interface DecidedRun {
  readonly session: string
  readonly run: string
  readonly epoch: string
}

/** Of several decisions about one call the first is recorded. */
export function appendDecision(engine: Engine, { session, run, epoch }: DecidedRun, call: string, decision: ToolDecision) {
  const event = sessionEvent('tool_decision', { run, call, ...decision })
  return engine.append(session, [event], { key: `decision ${run} ${call}`, epoch })
}

function endOf({ lanes, ...record }: RunRecord, lane: string | undefined): RecordedEnd | RecordedLaneEnd {
  if (lanes.length === 1) return measuresOf(record) as RecordedEnd
  const ends = lanes.map((each) => [each.lane, { ...measuresOf(each), model: each.model }] as const)
  const named = ends.find(([name]) => name === lane)
  if (named !== undefined) return named[1] as LaneEnd
  return { ...measuresOf(record), lanes: Object.fromEntries(ends) } as RecordedEnd
}

function measuresOf({
  status,
  finishReason,
  usage,
  timings,
  error,
}: Pick<RunRecord, 'status' | 'finishReason' | 'usage' | 'timings' | 'error'>) {
  return { status, ...(finishReason && { finishReason }), usage, timings, ...(error && { error }) }
}
