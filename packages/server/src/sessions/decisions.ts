/**
 * Decides about the calls of a run that waits. Each decision is an event, appended under a key of the call, so that of several
 * at the same moment, on whichever nodes, the first counts. When no call waits any longer, the run that goes on is started;
 * a process that dies in between leaves that to the process that opens the session next.
 */
import { isDeepStrictEqual } from 'node:util'
import {
  type Decided as DescribedDecided,
  formatPosition,
  type Json,
  MillraceError,
  parsePosition,
  type ToolDecision,
  type ToolPart,
} from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { Model } from '../models/model.ts'
import type { AdmitRun } from '../runs/admission.ts'
import type { Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import { waitForEnd } from '../runs/stop.ts'
import { copyJson, type ToolSet } from '../tools/index.ts'
import type { ResumeRequest } from './chat-requests.ts'
import type { Chats } from './chats.ts'
import type { LaneRecord, RunRecord } from './transcript.ts'
import type { Transcripts } from './transcripts.ts'
import { callsOf, idOfContinuation, isWaiting, waitingCalls } from './waiting.ts'
import { appendDecision, createWithdraw, type Withdraw } from './withdrawals.ts'

/** About one call, which `call` or `approval` names. */
export interface DecisionInput extends Pick<ToolDecision, 'decision'> {
  readonly call?: string | undefined
  readonly approval?: string | undefined
  /** With `edit`. */
  readonly arguments?: Json | undefined
  /** With `answer` and `result`. */
  readonly value?: Json | undefined
  readonly isError?: boolean | undefined
  /** With `reject`. */
  readonly reason?: string | undefined
}

export interface DecideRequest extends Omit<ResumeRequest, 'id'> {
  readonly decisions: readonly DecisionInput[]
}

export interface Decided {
  readonly session: string
  readonly run: string
  /** Calls that nobody has decided about yet. */
  readonly waiting: readonly string[]
  /** The run that goes on, where no call waits. */
  readonly continued?: Run | undefined
}

export interface Decisions {
  /**
   * Rejects with `run_not_found`, `run_not_waiting`, `call_not_found`, `call_not_waiting`, `call_decided`, `approval_expired`,
   * `arguments_invalid`, `invalid_request`, or as `ask` does. Where one of several is rejected, none is recorded.
   */
  decide(request: DecideRequest, admit?: AdmitRun): Promise<Decided>
  /** Stops a run that waits, or one of its lanes. */
  readonly withdraw: Withdraw
  /** Starts the run that goes on, where every call is decided. For a process that died before it did. */
  goOn(session: string, run: string): Promise<void>
}

export interface DecisionsOptions {
  readonly engine: Engine
  readonly runs: Pick<Runs, 'find'>
  readonly transcripts: Pick<Transcripts, 'read'>
  readonly chats: Pick<Chats, 'resume'>
  readonly tools: ToolSet
  readonly resolveModel: (name?: string) => Promise<Model>
  /** Milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number
}

interface Checked {
  readonly call: string
  readonly decision: ToolDecision
  /** The same is recorded already: the response to an earlier request was lost. */
  readonly isRecorded: boolean
}

export function createDecisions(options: DecisionsOptions): Decisions {
  const { engine, runs, transcripts, chats, now = Date.now } = options

  return {
    withdraw: createWithdraw({ engine, transcripts, goOn }),
    goOn,
    async decide({ run, session: named, decisions, principal, requireModels }, admit) {
      const session = named ?? (await runs.find(run))?.session
      if (session === undefined) throw new MillraceError('run_not_found')
      const { record, epoch, continuedBy } = await readEnded(session, run)
      const checked: Checked[] = []
      for (const decision of decisions) checked.push(await checkDecision(record, decision, { ...options, principal, now: now() }))
      const twice = checked.find(({ call }, index) => checked.findIndex((other) => other.call === call) !== index)
      if (twice !== undefined)
        throw new MillraceError('invalid_request', { message: `The call ${twice.call} is decided twice in this request.` })
      if (continuedBy === undefined) await requireModels?.(record.lanes.filter(isLaneWaiting).map(({ model }) => model))
      for (const each of checked) if (!each.isRecorded) await append(session, run, epoch, each)
      const after = continuedBy === undefined ? (await readEnded(session, run)).record : record
      const waiting = waitingCalls(after)
      if (waiting.length > 0) return { session, run, waiting }
      const continued = await start({ session, run, principal: principal ?? decider(after), requireModels }, admit)
      return { session, run, waiting, continued }
    },
  }

  async function goOn(session: string, run: string): Promise<void> {
    const { record } = await readEnded(session, run)
    if (waitingCalls(record).length === 0) await start({ session, run, principal: decider(record) })
  }

  function start(request: ResumeRequest, admit?: AdmitRun): Promise<Run> {
    return chats.resume({ ...request, id: idOfContinuation(request.run) }, admit)
  }

  /** A run that is about to end is waited for: its readers see what it waits for a moment before its end. */
  async function readEnded(session: string, run: string) {
    let transcript = await transcripts.read(session)
    if (transcript?.runs.find((one) => one.run === run)?.status === 'streaming') {
      const found = await runs.find(run)
      if (found !== undefined) await waitForEnd(found, 'run_not_waiting')
      transcript = await transcripts.read(session)
    }
    const record = transcript?.runs.find((one) => one.run === run)
    if (transcript === undefined || record === undefined) throw new MillraceError('run_not_found')
    if (!record.lanes.some(isLaneWaiting)) throw new MillraceError('run_not_waiting')
    const epoch = parsePosition(transcript.position)?.epoch ?? ''
    return { record, epoch, continuedBy: transcript.runs.find(({ continues }) => continues === run)?.run }
  }

  async function append(session: string, run: string, epoch: string, { call, decision }: Checked): Promise<void> {
    const { position, duplicate } = await appendDecision(engine, { session, run, epoch }, call, decision)
    if (!duplicate) return
    const { events } = await engine.read(session, { ...position, offset: position.offset - 1 }, { eventsMax: 1 })
    const recorded = events[0]?.data as unknown as ToolDecision
    if (!isSame(recorded, decision))
      throw new MillraceError(recorded.decision === 'withdraw' ? 'run_not_waiting' : 'call_decided')
  }
}

interface CheckContext extends Pick<DecisionsOptions, 'tools' | 'resolveModel'> {
  readonly principal: string | undefined
  readonly now: number
}

async function checkDecision(record: RunRecord, input: DecisionInput, context: CheckContext): Promise<Checked> {
  const { lane, part } = find(record, input)
  const { call } = part
  const decision = toDecision(part, input, context.principal)
  if (part.decision !== undefined) {
    const { arguments: edited, value, decision: recorded } = part
    const kept = {
      ...recorded,
      ...(decision.arguments !== undefined && { arguments: edited }),
      ...(value !== undefined && { value }),
    }
    const { isError: _isError, approval: _approval, ...given } = decision
    if (!isSame(kept, given)) throw new MillraceError('call_decided')
    return { call, decision, isRecorded: true }
  }
  if (!isWaiting(part)) throw new MillraceError('call_not_waiting')
  if (!isWaiting(part, context.now)) throw new MillraceError('approval_expired')
  if (decision.arguments !== undefined) await checkArguments(lane, part, decision.arguments, context)
  return { call, decision, isRecorded: false }
}

function find({ lanes }: RunRecord, { call, approval }: DecisionInput): { readonly lane: LaneRecord; readonly part: ToolPart } {
  for (const lane of lanes) {
    for (const part of lane.parts) {
      if (part.type !== 'tool' || (call === undefined && approval === undefined)) continue
      if ((call ?? part.call) !== part.call || (approval ?? part.approval) !== part.approval) continue
      if (callsOf(lane).includes(part)) return { lane, part }
      throw new MillraceError('call_not_waiting')
    }
  }
  throw new MillraceError('call_not_found')
}

/** What is recorded. Throws `invalid_request` for a decision that does not fit the call. */
function toDecision(part: ToolPart, input: DecisionInput, by: string | undefined): ToolDecision {
  const { decision, reason, isError } = input
  const isOfClient = part.by === 'client'
  if (isOfClient !== (decision === 'result')) {
    const message = isOfClient
      ? `A client executes the call ${part.call}: send its result.`
      : `The call ${part.call} waits for a decision, and not for a result.`
    throw new MillraceError('invalid_request', { message })
  }
  const edited = decision === 'edit' ? required(input.arguments, 'arguments') : undefined
  const value = decision === 'answer' || decision === 'result' ? required(input.value, 'value') : undefined
  return {
    decision,
    ...(part.approval !== undefined && { approval: part.approval }),
    ...(edited !== undefined && { arguments: edited }),
    ...(value !== undefined && { value }),
    ...(value !== undefined && isError && { isError }),
    ...(decision === 'reject' && reason !== undefined && { reason: reason.toWellFormed() }),
    ...(by !== undefined && { by }),
  }
}

function required(value: unknown, field: string): Json {
  const copy = value === undefined ? undefined : copyJson(value)
  if (copy === undefined)
    throw new MillraceError('invalid_request', { message: `This decision needs \`${field}\`, JSON of at most 128 KiB.` })
  return copy
}

/** What runs are the server's tools: their schema decides. */
async function checkArguments(lane: LaneRecord, { name }: ToolPart, edited: Json, { tools, resolveModel }: CheckContext) {
  const tool = tools.with((await resolveModel(lane.model)).tools).get(name)
  if (tool === undefined)
    throw new MillraceError('arguments_invalid', { message: `This server has no tool ${name} that could check the arguments.` })
  tool.check(edited)
}

function isLaneWaiting({ status }: LaneRecord): boolean {
  return status === 'waiting'
}

/** Who decided last, to whom the run that goes on is charged. */
function decider({ lanes }: RunRecord): string | undefined {
  return lanes.flatMap(callsOf).findLast(({ decision }) => decision?.by !== undefined)?.decision?.by
}

/** Who sent it does not matter: two devices of one user may be two principals. */
function isSame(a: Partial<ToolDecision>, b: Partial<ToolDecision>): boolean {
  const fields = ({ decision, arguments: edited, value, reason }: Partial<ToolDecision>) => [decision, edited, value, reason]
  return isDeepStrictEqual(fields(a), fields(b))
}

/** As a client gets it. */
export function describeDecided({ session, run, waiting, continued }: Decided): DescribedDecided {
  const next = continued && { continuedBy: continued.id, position: formatPosition(continued.start, session) }
  return { session, run, waiting, ...next }
}
