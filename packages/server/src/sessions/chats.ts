/**
 * Turns a question, or the wish to go on with an answer, into a run: finds the session and its conversation, the
 * models, and makes the start idempotent, also for two requests with the same id at the same moment.
 */
import { idPattern, type Lane, MillraceError, modelPattern, parsePosition } from '@millrace/protocol'
import { continuation } from '../models/continuation.ts'
import type { Model } from '../models/model.ts'
import type { Source } from '../runs/lane.ts'
import type { LanePlan } from '../runs/plan.ts'
import { hashQuery } from '../runs/query-hash.ts'
import type { OpenLog } from '../runs/recovery.ts'
import type { Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import { conversation, joinRuns } from './conversation.ts'
import { requireLog } from './positions.ts'
import type { LaneRecord, RunRecord } from './transcript.ts'
import type { Transcripts } from './transcripts.ts'

export interface ChatRequest {
  readonly query: string
  /** Names of models, one lane each; absent means the default model. */
  readonly models?: readonly string[] | undefined
  /** MUST exist; absent means a new one. */
  readonly session?: string | undefined
  /** The run's id; absent means a new one. The same id again is the same run. */
  readonly id?: string | undefined
}

export interface ResumeRequest {
  /** The run to go on with. MUST have ended, MUST NOT be whole, and MUST NOT have been continued by another. */
  readonly run: string
  /** Where it is; needed where the run is not known by its id any more. */
  readonly session?: string | undefined
  /** The new run's id; absent means a new one. The same id again is the same run. */
  readonly id?: string | undefined
}

/** A run whose words come from the caller's own code. */
export interface SourceRequest {
  /** Made if it does not exist; absent means a new one. */
  readonly session?: string | undefined
  readonly id?: string | undefined
  /** What was asked, for the transcript; default ''. */
  readonly query?: string
  /** How the lane is called; default `app`. */
  readonly model?: string
  /** Text or events, or a function that gives them and is told when to stop. */
  readonly source: Source | ((signal: AbortSignal) => Source)
}

export interface Chats {
  /** Rejects with `invalid_id`, `invalid_request`, `session_not_found`, `model_not_found`, `model_unavailable`, `run_conflict` or `too_many_runs`. */
  ask(request: ChatRequest): Promise<Run>
  /**
   * Goes on with the lanes of a run that did not complete, in a run of its own. Rejects with `run_not_found`,
   * `run_not_continuable`, or as `ask` does.
   */
  resume(request: ResumeRequest): Promise<Run>
  play(request: SourceRequest): Promise<Run>
}

export interface ChatsOptions {
  readonly openLog: OpenLog
  readonly runs: Runs
  readonly transcripts: Transcripts
  readonly resolveModel: (name?: string) => Promise<Model>
  readonly newId: () => string
}

/** Events; so many are folded in about ten milliseconds. */
const longAnswer = 4096
/** How often a session is begun with anew whose log is made again meanwhile. */
const attemptsMax = 3

export function createChats({ openLog, runs, transcripts, resolveModel, newId }: ChatsOptions): Chats {
  /** Starts in progress, by run id: the second of two equal requests waits for the first. */
  const starting = new Map<string, Promise<Run>>()

  return {
    ask: (request) =>
      once(request, async (id) => {
        const models = await Promise.all((request.models ?? [undefined]).map((name) => resolveModel(name)))
        const lanes = planLanes(nameLanes(models.map(({ name }) => name)), models)
        const { query, models: asked, session } = request
        if (session === undefined) {
          const messages = () => continuation(query, '')
          return runs.start({ id, session: newId(), isNew: true, query, asked, lanes, messages })
        }
        return inSession(session, async (epoch) => {
          const past = await pastRuns(session)
          // The log itself knows the ids of questions only: what continues a run stands in it under that run's.
          if (past.some(({ run, continues }) => run === id && continues !== undefined)) throw isInSession()
          const before = joinRuns(past)
          const messages = (lane: string) => [...conversation(before, modelOf(lanes, lane)), ...continuation(query, '')]
          return runs.start({ id, session, epoch, query, asked, lanes, messages })
        })
      }),

    async resume({ run, session: named, id }) {
      const session = named ?? (await runs.find(run))?.session
      if (session === undefined) throw new MillraceError('run_not_found', { message: notKnownHere })
      return once({ id, session, continues: run }, (newRun) =>
        inSession(session, (epoch) => goOn(run, { id: newRun, session, epoch })),
      )
    },

    async play({ source, query = '', model = 'app', ...request }) {
      // With `events=lane` it is the name of an event: what ends a line would end all who read it.
      if (!modelPattern.test(model)) throw new MillraceError('invalid_request', { message: 'The `model` is no name of a model.' })
      return once({ ...request, query, models: [model] }, (id) => {
        const lane: LanePlan = {
          lane: model,
          model,
          open: (_messages, signal) => (typeof source === 'function' ? source(signal) : source),
        }
        return runs.start({
          id,
          session: request.session ?? newId(),
          query,
          asked: [model],
          lanes: [lane],
          isNew: request.session === undefined,
          messages: () => continuation(query, ''),
        })
      })
    },
  }

  async function once(request: StartRequest, start: (id: string) => Promise<Run>): Promise<Run> {
    const { id = newId(), session = id, models } = request
    // A name with a line end in it could never be written as a position: refused here, for callers that no schema has checked.
    if (!idPattern.test(id) || !idPattern.test(session)) throw new MillraceError('invalid_id')
    if (models?.length === 0) throw new MillraceError('invalid_request', { message: 'A run needs at least one model.' })
    const known = runs.get(id)
    if (known !== undefined) return requireSame(request, known)
    const other = starting.get(id)
    if (other !== undefined) return requireSame(request, await other)
    const run = start(id)
    starting.set(id, run)
    try {
      const begun = await run
      if (runs.isActive(id)) void readAhead(begun)
      // Another node may have begun it.
      return requireSame(request, begun)
    } finally {
      starting.delete(id)
    }
  }

  /**
   * Rejects with `session_not_found`. What is asked in a session is not asked once it is deleted, nor with what was said
   * in one that was there before; where its log only goes on in another epoch, it is read and asked again.
   */
  async function inSession(session: string, act: (epoch: string) => Promise<Run>): Promise<Run> {
    for (let attempt = 1; ; attempt++) {
      const { head } = await requireLog(openLog, session)
      try {
        return await act(head.epoch)
      } catch (error) {
        if ((error as MillraceError).code !== 'position_foreign' || attempt === attemptsMax) throw error
      }
    }
  }

  async function goOn(
    run: string,
    { id, session, epoch }: { readonly id: string; readonly session: string; readonly epoch: string },
  ): Promise<Run> {
    // Another node may have begun it; then it is refused to nobody who asks for the same.
    const other = await runs.find(id)
    if (other !== undefined) return other
    const past = await pastRuns(session)
    if (past.some((one) => one.run === id)) throw isInSession()
    const unfinished = requireContinuable(past, run)
    const exchanges = joinRuns(past)
    const index = exchanges.findIndex(({ runs }) => runs.includes(run))
    const exchange = exchanges[index]
    if (exchange === undefined) throw notContinuable('The beginning of this answer is no longer kept; ask again instead.')
    const { query } = exchange
    const models = await Promise.all(unfinished.map(({ model }) => resolveModel(model)))
    const lanes = planLanes(unfinished, models)
    const before = exchanges.slice(0, index)
    return runs.start({
      id,
      session,
      query,
      asked: undefined,
      continues: run,
      lanes,
      epoch,
      messages: (lane) => [
        ...conversation(before, modelOf(lanes, lane)),
        ...continuation(query, exchange.lanes.get(lane)?.text ?? ''),
      ],
    })
  }

  /** A long answer is folded at its end, and not when the next question waits for it. */
  async function readAhead({ session, start, ended }: Run): Promise<void> {
    const { position } = await ended
    const end = position === undefined ? undefined : parsePosition(position)
    // Where it cannot be read, whoever asks next is told.
    if (end !== undefined && end.offset - start.offset > longAnswer) await transcripts.read(session).catch(() => {})
  }

  async function pastRuns(session: string): Promise<readonly RunRecord[]> {
    return (await transcripts.read(session))?.runs ?? []
  }
}

type StartRequest = Omit<ChatRequest, 'query'> & { readonly query?: string; readonly continues?: string }

/** The same id MUST mean the same request: otherwise somebody would be shown the answer to another question. */
function requireSame({ query = '', models, session, continues }: StartRequest, run: Run): Run {
  const sameQuestion = continues === run.continues && (continues !== undefined || hashQuery(run.id, query) === run.queryHash)
  const sameSession = session === undefined || session === run.session
  const sameModels = models === undefined || JSON.stringify(models) === JSON.stringify(run.asked)
  if (!sameQuestion || !sameSession || !sameModels) throw new MillraceError('run_conflict')
  return run
}

const notKnownHere = 'This server does not know the run; if there is one, send the session that it is in.'

/** The lanes that are to go on. Throws `run_not_found` and `run_not_continuable`. */
function requireContinuable(past: readonly RunRecord[], run: string): readonly LaneRecord[] {
  const record = past.find((one) => one.run === run)
  if (record === undefined) throw new MillraceError('run_not_found')
  if (record.status === 'streaming') throw notContinuable('This answer is still being written; stop it, or wait for its end.')
  const later = past.find(({ continues }) => continues === run)
  if (later !== undefined) throw notContinuable(`This answer was continued by the run ${later.run}; continue that one.`)
  const unfinished = record.lanes.filter(({ status }) => status !== 'completed')
  if (unfinished.length === 0) throw notContinuable('This answer is complete; ask another question instead.')
  return unfinished
}

function notContinuable(message: string): MillraceError {
  return new MillraceError('run_not_continuable', { message })
}

function isInSession(): MillraceError {
  return new MillraceError('run_conflict', { message: 'A run with this id is in the session already; choose a new id.' })
}

function planLanes(lanes: readonly Lane[], models: readonly Model[]): LanePlan[] {
  return lanes.map(({ lane, model }, index) => ({
    lane,
    model,
    open: (messages, signal) => (models[index] as Model).stream({ messages, signal }),
  }))
}

function nameLanes(models: readonly string[]): Lane[] {
  return models.map((model, index) => {
    const earlier = models.slice(0, index).filter((name) => name === model).length
    return { lane: earlier === 0 ? model : `${model}#${earlier + 1}`, model }
  })
}

function modelOf(lanes: readonly LanePlan[], lane: string): string {
  return lanes.find((each) => each.lane === lane)?.model ?? lane
}
