/** Performs one run: its lanes side by side, then its end. */
import { formatPosition, type LaneEnd, MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { ModelMessage } from '../models/model.ts'
import type { ObservedRun, Observer } from '../operations/observer.ts'
import { markPrivate } from '../operations/private-text.ts'
import { traceLane } from '../operations/traces.ts'
import { type Charge, type Quote, quoted } from './charge.ts'
import { runLane } from './lane.ts'
import type { LanePlan } from './plan.ts'
import { publicError } from './public-error.ts'
import type { Recovery } from './recovery.ts'
import type { RecordedEnd, Run } from './run.ts'
import { runEnd } from './run-end.ts'
import type { StepLimits } from './steps.ts'
import { estimateTokens } from './tokens.ts'
import { RunWriter } from './writer.ts'

export interface PerformContext {
  readonly engine: Engine
  readonly recovery: Pick<Recovery, 'compact'>
  readonly charge: Charge | undefined
  readonly quote: Quote | undefined
  readonly limits: StepLimits & { readonly runMsMax: number; readonly idleMsMax: number }
  /** Aborts when the server closes. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown, context: { run: string; lane?: string }) => void
  readonly observer: Pick<Observer, 'firstToken'>
  readonly now: () => number
}

export interface StartedRun {
  readonly run: Run
  readonly observed: ObservedRun
  readonly lanes: readonly LanePlan[]
  /** The messages for each lane's model. Each entry is deleted when its model has it, so that the conversation is released. */
  readonly messages: Map<string, readonly ModelMessage[]>
  readonly abort: AbortController
  /** Each stops one lane. */
  readonly laneStops: ReadonlyMap<string, AbortController>
  readonly acceptedAt: number
  /** Milliseconds since 1970. */
  readonly askedAt: number
}

export interface PerformedRun {
  readonly end: RecordedEnd
  /** Another process has ended the run, which it had taken for dead. */
  readonly isOthers: boolean
}

/** Never rejects. */
export async function performRun(started: StartedRun, context: PerformContext): Promise<PerformedRun> {
  const { run, observed, lanes, abort, askedAt } = started
  const { engine, recovery, charge, quote, limits, signal, onError } = context
  const fail = (error: MillraceError) => {
    onError(error, { run: run.id })
    abort.abort(error)
  }
  // Not by `AbortSignal.any`, whose weak references cost each run more than all its other signals.
  const stopLanes = () => {
    for (const stop of started.laneStops.values()) stop.abort(abort.signal.reason)
  }
  // An observer of the start may have stopped it.
  if (abort.signal.aborted) stopLanes()
  else abort.signal.addEventListener('abort', stopLanes, { once: true })
  // An engine short of room evicts no log that is watched: the run keeps its log without readers, too.
  const unwatch = engine.watch(run.session, () => {})
  const writer = new RunWriter({
    engine,
    log: run.session,
    start: run.start,
    run: run.id,
    signal,
    onFailure: fail,
    onUnavailable: (error) => onError(error, { run: run.id }),
  })
  let haveLanesEnded = false
  const deadline = setTimeout(() => {
    // A run that waits for the engine fails with the engine's error.
    writer.stopRetrying()
    if (!haveLanesEnded && !abort.signal.aborted) fail(new MillraceError('model_timeout'))
  }, limits.runMsMax)
  const ends = new Map<string, LaneEnd>()
  const usedCalls = new Set(lanes.flatMap(({ usedCalls = [] }) => usedCalls))
  await Promise.all(
    lanes.map(async (lane) => {
      const laneEnd = quoted(
        await traceLane(started.observed, lane.model, () => performLane(lane, { writer, usedCalls }, started, context)),
        quote,
      )
      ends.set(lane.lane, laneEnd)
      if (lanes.length > 1) writer.write('lane_end', { run: run.id, lane: lane.lane, ...laneEnd })
    }),
  )
  haveLanesEnded = true
  const ordered = new Map(lanes.map(({ lane }) => [lane, ends.get(lane) as LaneEnd]))
  const isStopped = (lane: string) => !abort.signal.aborted && started.laneStops.get(lane)?.signal.aborted === true
  const outcome = runEnd(ordered, isStopped)
  await charge?.({ run: run.id, principal: observed.principal, askedAt, lanes: [...ordered.values()] })
  const { data, position, isOthers = false } = await writer.end('stream_end', { run: run.id, ...outcome })
  clearTimeout(deadline)
  unwatch()
  recovery.compact(run.session).catch((error) => onError(error, { run: run.id }))
  const { run: _run, ...end } = data
  return { end: position === undefined ? end : { ...end, position: formatPosition(position, run.session) }, isOthers }
}

async function performLane(
  { lane, model, open, steps }: LanePlan,
  { writer, usedCalls }: { readonly writer: RunWriter; readonly usedCalls: Set<string> },
  { run, observed, messages, laneStops, acceptedAt }: StartedRun,
  { limits, onError, observer, now }: PerformContext,
): Promise<LaneEnd> {
  const question = messages.get(lane)?.at(-1)?.text ?? ''
  const { signal } = laneStops.get(lane) as AbortController
  const end = await runLane({
    run: run.id,
    lane,
    model,
    writer,
    usedCalls,
    signal,
    acceptedAt,
    idleMsMax: limits.idleMsMax,
    inputTokens: estimateTokens((messages.get(lane) ?? []).map(({ text }) => text)),
    now,
    steps: steps && { ...steps, limits, context: { session: run.session, run: run.id, lane, ...whoAsked(observed) } },
    open(signal, added) {
      const conversation = messages.get(lane) ?? []
      // With tools the model is asked again.
      if (steps === undefined) messages.delete(lane)
      return open(added.length === 0 ? conversation : [...conversation, ...added], signal)
    },
    onFirstToken: (ms) => observer.firstToken?.(observed, { lane, model }, ms),
    onError(error) {
      markPrivate(error, question)
      onError(error, { run: run.id, lane })
    },
  })
  messages.delete(lane)
  try {
    await writer.settled()
    return end
  } catch (error) {
    // The last events of the lane are not in the log, so its answer is incomplete whatever the model reported.
    return { ...end, status: 'failed', error: publicError(error) }
  }
}

function whoAsked({ principal, metadata }: ObservedRun) {
  return { principal, metadata }
}
