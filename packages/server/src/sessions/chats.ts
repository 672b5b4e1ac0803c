/** Starts runs: finds the session, its conversation and the models for a question, or for an answer that is resumed. */
import { MillraceError, modelPattern, parsePosition } from '@millrace/protocol'
import type { Model } from '../models/model.ts'
import type { AdmitRun } from '../runs/admission.ts'
import type { Source } from '../runs/lane.ts'
import type { RunPlan } from '../runs/plan.ts'
import type { OpenLog } from '../runs/recovery.ts'
import type { Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import { joinRuns } from './conversation.ts'
import { messagesFor, nameLanes, notResumable, planLanes, requireResumable } from './lane-plans.ts'
import type { SessionOwners } from './owners.ts'
import { requireLog } from './positions.ts'
import type { Records } from './records.ts'
import { StartOnce, type StartRequest } from './start-once.ts'
import type { RunRecord } from './transcript.ts'
import type { Transcripts } from './transcripts.ts'

export interface ChatRequest {
  readonly query: string
  /** Names of models, one lane each; absent means the default model. */
  readonly models?: readonly string[] | undefined
  /** MUST exist. Absent means a new one. */
  readonly session?: string | undefined
  /** The id of the user to whom the session belongs from now on. Rejects with `session_not_found` where it has another owner. */
  readonly owner?: string | undefined
  /** The run's id; absent means a new one. The same id again is the same run. */
  readonly id?: string | undefined
  /** Id of who asks, to whom the run's usage is charged; absent for the application itself. */
  readonly principal?: string | undefined
}

export interface ResumeRequest {
  /** The run to resume. MUST have ended without completing, and MUST NOT have been resumed before. */
  readonly run: string
  /** Its session. Needed where the server no longer knows the run by its id. */
  readonly session?: string | undefined
  /** The new run's id; absent means a new one. The same id again is the same run. */
  readonly id?: string | undefined
  /** Id of who asks, to whom the run's usage is charged; absent for the application itself. */
  readonly principal?: string | undefined
  /** Called with the names of the models before they are asked; throws to deny them. */
  readonly requireModels?: ((names: readonly string[]) => void | Promise<void>) | undefined
}

/** A run whose answer comes from the caller's own code. */
export interface SourceRequest {
  /** Created if it does not exist. Absent means a new one. */
  readonly session?: string | undefined
  /** The id of the user to whom the session belongs from now on. Rejects with `session_not_found` where it has another owner. */
  readonly owner?: string | undefined
  readonly id?: string | undefined
  /** Id of who asks, to whom the run's usage is charged; absent for the application itself. */
  readonly principal?: string | undefined
  /** The question, for the transcript; default ''. */
  readonly query?: string
  /** The lane's name; default `app`. */
  readonly model?: string
  /** Text or events, or a function that returns them; its signal aborts when the run is stopped. */
  readonly source: Source | ((signal: AbortSignal) => Source)
}

export interface Chats {
  /** Rejects with `invalid_id`, `invalid_request`, `session_not_found`, `model_not_found`, `model_unavailable`, `run_conflict` or `too_many_runs`. */
  ask(request: ChatRequest, admit?: AdmitRun): Promise<Run>
  /**
   * Resumes the lanes of a run that did not complete, in a new run. Rejects with `run_not_found`, `run_not_continuable`, or
   * as `ask` does.
   */
  resume(request: ResumeRequest, admit?: AdmitRun): Promise<Run>
  play(request: SourceRequest): Promise<Run>
}

export interface ChatsOptions {
  readonly openLog: OpenLog
  readonly runs: Runs
  readonly transcripts: Transcripts
  readonly records: Pick<Records, 'claim'>
  readonly owners: Pick<SessionOwners, 'keep'>
  readonly onError: (error: unknown) => void
  readonly resolveModel: (name?: string) => Promise<Model>
  readonly newId: () => string
  /** For requests that bring no admission of their own: by the id of the principal that they name. */
  readonly admit?: (principal: string) => ReturnType<AdmitRun>
}

/** Events of a run. Folding more than these takes about ten milliseconds. */
const longAnswer = 4096
/** Attempts in a session whose log is re-created meanwhile. */
const attemptsMax = 3

type Asked = Pick<RunPlan, 'principal' | 'admit'>

interface Target {
  readonly id: string
  readonly session: string
  /** Of the session's log. */
  readonly epoch: string
}

export function createChats(options: ChatsOptions): Chats {
  const { openLog, runs, transcripts, records, owners, onError, resolveModel, newId, admit: admitNamed } = options
  const starts = new StartOnce({ runs, newId })

  return {
    ask: ({ query, models: asked, session, owner, id: requestedId, principal }, admit = admissionOf(principal)) =>
      start({ query, models: asked, session, id: requestedId }, async (id) => {
        const models = await Promise.all((asked ?? [undefined]).map((name) => resolveModel(name)))
        const lanes = planLanes(nameLanes(models.map(({ name }) => name)), models)
        const plan = { id, query, principal, admit, asked, lanes }
        if (session === undefined)
          return runs.start({ ...plan, ...owned(newId(), owner), isNew: true, messages: messagesFor(lanes, [], query) })
        return inSession(openLog, session, (epoch) => askIn({ id, session, epoch }, { ...plan, ...owned(session, owner) }))
      }),

    async resume({ run, session: named, id, principal, requireModels }, admit = admissionOf(principal)) {
      const session = named ?? (await runs.find(run))?.session
      if (session === undefined) throw new MillraceError('run_not_found', { message: unknownRun })
      return start({ id, session, continues: run }, (newRun) =>
        inSession(openLog, session, (epoch) => resumeIn({ id: newRun, session, epoch, principal, admit, requireModels }, run)),
      )
    },

    async play({ source, query = '', model = 'app', principal, owner, ...request }) {
      // With `events=lane` the name is that of an event: a line end in it would break the stream of every reader.
      if (!modelPattern.test(model)) throw new MillraceError('invalid_request', { message: 'The `model` is no name of a model.' })
      return start({ ...request, query, models: [model] }, (id) => {
        const open = (_messages: unknown, signal: AbortSignal) => (typeof source === 'function' ? source(signal) : source)
        const lanes = [{ lane: model, model, open }]
        const { session = newId() } = request
        const isNew = request.session === undefined
        const messages = messagesFor(lanes, [], query)
        const plan = { id, query, principal, admit: admissionOf(principal), asked: [model], lanes }
        return runs.start({ ...plan, ...owned(session, owner), isNew, messages })
      })
    },
  }

  function admissionOf(principal: string | undefined): AdmitRun | undefined {
    if (principal === undefined || admitNamed === undefined) return undefined
    return () => admitNamed(principal)
  }

  async function start(request: StartRequest, act: (id: string) => Promise<Run>): Promise<Run> {
    return starts.start(request, async (id) => {
      const run = await act(id)
      if (runs.isActive(id)) {
        void readAhead(run, transcripts)
        void run.ended.then(() => owners.keep(run.session)).catch(onError)
      }
      return run
    })
  }

  /** Before anything of a run is written: at no moment can others read it. */
  function owned(session: string, owner: string | undefined): Pick<RunPlan, 'session' | 'owner' | 'prepare'> {
    return owner === undefined ? { session } : { session, owner, prepare: () => records.claim(session, owner) }
  }

  async function askIn(
    { id, session, epoch }: Target,
    plan: Pick<RunPlan, 'id' | 'query' | 'principal' | 'admit' | 'asked' | 'lanes' | 'owner' | 'prepare'>,
  ): Promise<Run> {
    const past = await pastRuns(session)
    // The log's keys contain the ids of questions. A run that resumes another is recorded under that run's id.
    if (past.some(({ run, continues }) => run === id && continues !== undefined)) throw isInSession()
    return runs.start({ ...plan, session, epoch, messages: messagesFor(plan.lanes, joinRuns(past), plan.query) })
  }

  async function resumeIn(
    { id, session, epoch, principal, admit, requireModels }: Target & Asked & Pick<ResumeRequest, 'requireModels'>,
    run: string,
  ): Promise<Run> {
    // Another node may have started it already, for the same request.
    const other = await runs.find(id)
    if (other !== undefined) return other
    const past = await pastRuns(session)
    if (past.some((one) => one.run === id)) throw isInSession()
    const unfinished = requireResumable(past, run)
    const exchanges = joinRuns(past)
    const index = exchanges.findIndex(({ runs }) => runs.includes(run))
    const exchange = exchanges[index]
    if (exchange === undefined) throw notResumable('The beginning of this answer is no longer kept; ask again instead.')
    const { query } = exchange
    await requireModels?.(unfinished.map(({ model }) => model))
    const models = await Promise.all(unfinished.map(({ model }) => resolveModel(model)))
    const lanes = planLanes(unfinished, models)
    const answerOf = (lane: string) => exchange.lanes.get(lane)?.text ?? ''
    const messages = messagesFor(lanes, exchanges.slice(0, index), query, answerOf)
    return runs.start({ id, session, epoch, query, principal, admit, asked: undefined, continues: run, lanes, messages })
  }

  async function pastRuns(session: string): Promise<readonly RunRecord[]> {
    return (await transcripts.read(session))?.runs ?? []
  }
}

/**
 * Acts in a session as it is now: the run does not start once the session is deleted, nor with the conversation of a
 * deleted one. A log that continues in another epoch is read again. Rejects with `session_not_found`.
 */
async function inSession(openLog: OpenLog, session: string, act: (epoch: string) => Promise<Run>): Promise<Run> {
  for (let attempt = 1; ; attempt++) {
    const { head } = await requireLog(openLog, session)
    try {
      return await act(head.epoch)
    } catch (error) {
      if ((error as MillraceError).code !== 'position_foreign' || attempt === attemptsMax) throw error
    }
  }
}

/** Folds a long answer at its end, so that the next question need not wait for it. */
async function readAhead({ session, start, ended }: Run, transcripts: Pick<Transcripts, 'read'>): Promise<void> {
  const { position } = await ended
  const end = position === undefined ? undefined : parsePosition(position)
  // Where the log cannot be read, the next request gets the error.
  if (end !== undefined && end.offset - start.offset > longAnswer) await transcripts.read(session).catch(() => {})
}

const unknownRun = 'This server does not know the run; if it exists, send the session that it is in.'

function isInSession(): MillraceError {
  return new MillraceError('run_conflict', { message: 'A run with this id is in the session already; choose a new id.' })
}
