/** Which lanes a run has, and what each of them sees. */
import { type ClientTool, type Lane, type LanePart, type Message, MillraceError, type Params } from '@millrace/protocol'
import { continuation } from '../models/continuation.ts'
import type { Model, ModelMessage } from '../models/model.ts'
import type { LanePlan } from '../runs/plan.ts'
import type { ToolSet } from '../tools/index.ts'
import { conversation, type Exchange, findExchange, joinRuns, pathTo, questionOf } from './conversation.ts'
import { filesOf, giveFiles, type ReadFile, requireAccepted } from './message-files.ts'
import { answerMessages, requireTaken, withInstructions } from './model-messages.ts'
import type { LaneRecord, RunRecord } from './transcript.ts'
import { decidedCalls, waitingCalls } from './waiting.ts'

export interface Asked {
  readonly params?: Params | undefined
  readonly messages?: readonly Message[] | undefined
  /** Those of the request. */
  readonly tools?: readonly ClientTool[] | undefined
}

/** Throws `param_not_supported`, `file_not_supported`, and `invalid_request` for a tool, before anything is spent. */
export function planLanes(
  lanes: readonly Lane[],
  models: readonly Model[],
  { params = {}, messages: asked, tools: ofClient }: Asked,
  ofServer: ToolSet,
): LanePlan[] {
  for (const model of models) {
    requireTaken(model, params)
    requireAccepted(model, filesOf(asked))
  }
  return lanes.map(({ lane, model: name }, index) => {
    const model = models[index] as Model
    const tools = ofServer.with(model.tools).withOfClient(ofClient)
    const { definitions } = tools
    requireChoice(params.toolChoice, tools)
    const nextParams = paramsOfSteps(params)
    if (tools.size === 0)
      return {
        lane,
        model: name,
        open: (messages, signal) => model.stream({ messages: giveFiles(messages, model), params, signal }),
      }
    const steps = { tools }
    return {
      lane,
      model: name,
      steps,
      open: (messages, signal) =>
        model.stream({ messages: giveFiles(messages, model), params: nextParams(), tools: definitions, signal }),
    }
  })
}

/** Throws `invalid_request` for a choice among tools that are not there. */
function requireChoice(choice: Params['toolChoice'], tools: ToolSet): void {
  if (choice === undefined) return
  if (tools.size === 0) throw invalidChoice('needs tools, and there are none; send `tools`, or leave it out')
  if (choice !== 'required' && tools.get(choice.tool) === undefined)
    throw invalidChoice(`names ${choice.tool}, which is no tool of this run`)
}

function invalidChoice(problem: string): MillraceError {
  return new MillraceError('invalid_request', { message: `\`params.toolChoice\` ${problem}.` })
}

/** A model that had to call a tool in each step would never answer. */
function paramsOfSteps({ toolChoice, ...rest }: Params): () => Params {
  let isFirst = toolChoice !== undefined
  return () => {
    const params = isFirst ? { ...rest, toolChoice } : rest
    isFirst = false
    return params
  }
}

/** A model that is asked twice has two lanes, the second of which is named `model#2`. */
export function nameLanes(models: readonly string[]): Lane[] {
  return models.map((model, index) => {
    const earlier = models.slice(0, index).filter((name) => name === model).length
    return { lane: earlier === 0 ? model : `${model}#${earlier + 1}`, model }
  })
}

export interface MessagesOptions {
  /** Instructions; those of the question replace those of the session. */
  readonly ofServer?: string | undefined
  readonly ofSession?: string | undefined
  /** Reads a file of the session by its position. */
  readonly readFile?: ReadFile | undefined
  /** Of a lane that is resumed, what it has said, and for a text the request to continue it. */
  readonly answerOf?: (lane: string) => readonly ModelMessage[]
}

/** The messages for each lane: instructions, the conversation as its model saw it, the question, and the beginning of its answer. */
export function messagesFor(
  lanes: readonly Lane[],
  before: readonly Exchange[],
  question: Pick<Exchange, 'query' | 'messages' | 'instructions' | 'parentLane' | 'steer'>,
  { ofServer, ofSession, readFile, answerOf = () => [] }: MessagesOptions = {},
): (lane: string) => readonly ModelMessage[] {
  return (lane) => {
    const model = lanes.find((each) => each.lane === lane)?.model ?? lane
    const messages = [
      ...conversation(before, model, { lastLane: question.parentLane, isSteered: question.steer, readFile }),
      ...questionOf(question, readFile),
      ...answerOf(lane),
    ]
    return withInstructions([ofServer, question.instructions ?? ofSession], messages)
  }
}

/** What a lane has said that is to be continued. After the results of tools its model goes on without a request. */
function begunAnswer(parts: readonly LanePart[], pending: ReadonlySet<string>): readonly ModelMessage[] {
  const messages = answerMessages(parts, pending)
  const last = messages.at(-1)
  const isCut = last?.role === 'assistant' && pending.size === 0
  return isCut ? [...messages.slice(0, -1), ...continuation(last.text)] : messages
}

/** The lanes that go on, with the calls that were decided, and what each has said. */
export function planResumed(
  { unfinished, exchange }: Pick<Resumable, 'unfinished' | 'exchange'>,
  models: readonly Model[],
  tools: ToolSet,
): { readonly lanes: LanePlan[]; readonly answerOf: (lane: string) => readonly ModelMessage[] } {
  const before = new Map(unfinished.map((record) => [record.lane, decidedCalls(record)]))
  const partsOf = (lane: string) => exchange.lanes.get(lane)?.parts ?? []
  const usedCalls = callsOf(exchange)
  const { toolChoice: _chosen, ...params } = exchange.params ?? {}
  // The first step is over once it has called a tool.
  const asked = usedCalls.length === 0 ? exchange : { ...exchange, params }
  const lanes = planLanes(unfinished, models, asked, tools).map((plan): LanePlan => {
    const decided = before.get(plan.lane) ?? []
    if (plan.steps === undefined && decided.length === 0) return { ...plan, usedCalls }
    const stepsBefore = partsOf(plan.lane).filter(({ type }) => type === 'step').length + exchange.runs.length
    return { ...plan, usedCalls, steps: { tools, ...plan.steps, decided, stepsBefore } }
  })
  return { lanes, answerOf: (lane) => begunAnswer(partsOf(lane), new Set(before.get(lane)?.map(({ call }) => call))) }
}

/** Ids of the calls in an answer. */
export function callsOf({ lanes }: Pick<Exchange, 'lanes'>): string[] {
  return [...lanes.values()].flatMap(({ parts }) => parts.flatMap((part) => ('call' in part ? [part.call] : [])))
}

/** The lanes of a run that can be resumed: of one that waits, those that wait, once nobody can decide any more. */
function requireResumable(past: readonly RunRecord[], run: string, now: number): readonly LaneRecord[] {
  const record = past.find((one) => one.run === run)
  if (record === undefined) throw new MillraceError('run_not_found')
  if (record.status === 'streaming') throw notResumable('This answer is still being written; stop it, or wait for its end.')
  const later = past.find(({ continues }) => continues === run)
  if (later !== undefined) throw notResumable(`This answer was continued by the run ${later.run}; continue that one.`)
  if (waitingCalls(record, now).length > 0) throw notResumable('This answer waits for decisions or results; send them.')
  const waiting = record.lanes.filter(({ status }) => status === 'waiting')
  if (waiting.length > 0) return waiting
  return record.lanes.filter(({ status }) => status !== 'completed')
}

export interface Resumable {
  readonly unfinished: readonly LaneRecord[]
  /** The question with all of its answer, and the conversation before it. */
  readonly exchange: Exchange
  readonly before: readonly Exchange[]
}

/** Throws `run_not_found` and `run_not_continuable`. */
export function findResumable(past: readonly RunRecord[], run: string, lane?: string, now = Date.now()): Resumable {
  const inRun = requireResumable(past, run, now)
  const exchanges = joinRuns(past)
  const exchange = findExchange(exchanges, run)
  if (exchange === undefined) throw notResumable('The beginning of this answer is no longer kept; ask again instead.')
  const isWaiting = inRun.some(({ status }) => status === 'waiting')
  const all = isWaiting ? inRun : unfinishedLanes(exchange, inRun)
  const unfinished = all.filter((each) => lane === undefined || each.lane === lane)
  if (unfinished.length === 0)
    throw notResumable('This answer, or the lane that you named, is complete; ask another question instead.')
  return { unfinished, exchange, before: pathTo(exchanges, exchange.runs[0]).slice(0, -1) }
}

/** Those of the last run, and those that it has not resumed. */
function unfinishedLanes({ lanes }: Exchange, inRun: readonly LaneRecord[]): LaneRecord[] {
  return [...lanes].flatMap(([lane, { model, status }]) => {
    const nothing = { lane, model, status, text: '', reasoning: '', data: [], files: [], parts: [] }
    return status === 'completed' ? [] : [inRun.find((each) => each.lane === lane) ?? nothing]
  })
}

function notResumable(message: string): MillraceError {
  return new MillraceError('run_not_continuable', { message })
}
