/** Starts runs: finds the session, its conversation and the models for a question, or for an answer that is resumed. */
import { type Asked, MillraceError, modelPattern, parsePosition } from '@millrace/protocol'
import type { Model } from '../models/model.ts'
import type { AdmitRun } from '../runs/admission.ts'
import type { Source } from '../runs/lane.ts'
import type { RunPlan } from '../runs/plan.ts'
import type { OpenLog } from '../runs/recovery.ts'
import type { Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import { toQuestion } from './asked.ts'
import { joinRuns } from './conversation.ts'
import { findResumable, messagesFor, nameLanes, planLanes } from './lane-plans.ts'
import type { SessionOwners } from './owners.ts'
import { requireLog } from './positions.ts'
import type { Records } from './records.ts'
import { StartOnce, type StartRequest } from './start-once.ts'
import type { RunRecord } from './transcript.ts'
import type { Transcripts } from './transcripts.ts'

export interface ChatRequest extends Asked {
  /** The question; this or `messages`. */
  readonly query?: string | undefined
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
export interface SourceRequest extends Pick<Asked, 'messages' | 'metadata'> {
  /** Created if it does not exist. Absent means a new one. */
  readonly session?: string | undefined
  /** The id of the user to whom the session belongs from now on. Rejects with `session_not_found` where it has another owner. */
  readonly owner?: string | undefined
  readonly id?: string | undefined
  /** Id of who asks, to whom the run's usage is charged; absent for the application itself. */
  readonly principal?: string | undefined
  /** The question, for the transcript; default '', or that of the `messages`. */
  readonly query?: string
  /** The lane's name; default `app`. */
  readonly model?: string
  /** Text or events, or a function that returns them; its signal aborts when the run is stopped. */
  readonly source: Source | ((signal: AbortSignal) => Source)
}

export interface Chats {
  /**
   * Rejects with `invalid_id`, `invalid_request`, `query_missing`, `session_not_found`, `model_not_found`,
   * `model_unavailable`, `param_not_supported`, `run_conflict` or `too_many_runs`.
   */
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
  readonly records: Pick<Records, 'claim' | 'find'>
  readonly owners: Pick<SessionOwners, 'keep'>
  /** Of the server: every model of every session gets them first. */
  readonly instructions?: string | undefined
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

type Asker = Pick<RunPlan, 'principal' | 'admit'>

interface Target {
  readonly id: string
  readonly session: string
  /** Of the session's log. */
  readonly epoch: string
}

export function createChats(options: ChatsOptions): Chats {
  const {
    openLog,
    runs,
    transcripts,
    records,
    owners,
    instructions: ofServer,
    onError,
    resolveModel,
    newId,
    admit: admitNamed,
  } = options
  const starts = new StartOnce({ runs, newId })
  const owned = (session: string, owner: string | undefined) => ownedBy(records, session, owner)
  const admissionOf = (principal: string | undefined): AdmitRun | undefined =>
    principal === undefined || admitNamed === undefined ? undefined : () => admitNamed(principal)
  /** Sessions of runs in progress that have a record, which is kept when they end. */
  const recorded = new Set<string>()

  return {
    async ask({ models: asked, session, owner, id: requestedId, principal, ...request }, admit = admissionOf(principal)) {
      const question = toQuestion(request)
      const { query, ...details } = question
      return start({ query, details, models: asked, session, id: requestedId }, async (id) => {
        const models = await Promise.all((asked ?? [undefined]).map((name) => resolveModel(name)))
        const lanes = planLanes(nameLanes(models.map(({ name }) => name)), models, details.params)
        const plan = { id, query, details, principal, admit, asked, lanes }
        if (session !== undefined)
          return inSession(openLog, session, (epoch) => askIn({ id, session, epoch }, { ...plan, ...owned(session, owner) }))
        const messages = messagesFor(lanes, [], question, { ofServer })
        return runs.start({ ...plan, ...owned(newId(), owner), isNew: true, messages })
      })
    },

    async resume({ run, session: named, id, principal, requireModels }, admit = admissionOf(principal)) {
      const session = named ?? (await runs.find(run))?.session
      if (session === undefined) throw new MillraceError('run_not_found', { message: unknownRun })
      return start({ id, session, continues: run }, (newRun) =>
        inSession(openLog, session, (epoch) => resumeIn({ id: newRun, session, epoch, principal, admit, requireModels }, run)),
      )
    },

    async play({ session: named, id, principal, owner, ...request }) {
      const plan = planSource(request)
      return start({ id, session: named, query: plan.query, details: plan.details, models: plan.asked }, (run) => {
        const place = { ...owned(named ?? newId(), owner), isNew: named === undefined }
        return runs.start({ ...plan, ...place, id: run, principal, admit: admissionOf(principal) })
      })
    },
  }

  async function start(request: StartRequest, act: (id: string) => Promise<Run>): Promise<Run> {
    return starts.start(request, async (id) => {
      const run = await act(id)
      if (runs.isActive(id)) {
        void readAhead(run, transcripts)
        void run.ended.then(() => owners.keep(run.session, recorded.delete(run.session))).catch(onError)
      }
      return run
    })
  }

  async function askIn(
    { id, session, epoch }: Target,
    plan: Pick<RunPlan, 'id' | 'query' | 'details' | 'principal' | 'admit' | 'asked' | 'lanes' | 'owner' | 'prepare'>,
  ): Promise<Run> {
    const { past, ofSession } = await readSession(session)
    // The log's keys contain the ids of questions. A run that resumes another is recorded under that run's id.
    if (past.some(({ run, continues }) => run === id && continues !== undefined)) throw isInSession()
    const question = { ...plan.details, query: plan.query }
    const messages = messagesFor(plan.lanes, joinRuns(past), question, { ofServer, ofSession })
    return runs.start({ ...plan, session, epoch, messages })
  }

  async function resumeIn(
    { id, session, epoch, principal, admit, requireModels }: Target & Asker & Pick<ResumeRequest, 'requireModels'>,
    run: string,
  ): Promise<Run> {
    // Another node may have started it already, for the same request.
    const other = await runs.find(id)
    if (other !== undefined) return other
    const { past, ofSession } = await readSession(session)
    if (past.some((one) => one.run === id)) throw isInSession()
    const { unfinished, before, exchange } = findResumable(past, run)
    await requireModels?.(unfinished.map(({ model }) => model))
    const models = await Promise.all(unfinished.map(({ model }) => resolveModel(model)))
    const lanes = planLanes(unfinished, models, exchange.params)
    const answerOf = (lane: string) => exchange.lanes.get(lane)?.text ?? ''
    const messages = messagesFor(lanes, before, exchange, { ofServer, ofSession, answerOf })
    const plan = { id, session, epoch, principal, admit, lanes, messages }
    return runs.start({ ...plan, query: exchange.query, asked: undefined, continues: run })
  }

  async function readSession(session: string): Promise<Past> {
    const [transcript, record] = await Promise.all([transcripts.read(session), records.find(session)])
    if (record !== undefined) recorded.add(session)
    return { past: transcript?.runs ?? [], ofSession: record?.instructions }
  }
}

interface Past {
  readonly past: readonly RunRecord[]
  readonly ofSession: string | undefined
}

type SourcePlan = Pick<RunPlan, 'query' | 'details' | 'lanes' | 'messages'> & { readonly asked: readonly string[] }

/** Throws `invalid_request`. */
function planSource({ source, query, messages: said, metadata, model = 'app' }: SourceRequest): SourcePlan {
  // With `events=lane` the name is that of an event: a line end in it would break the stream of every reader.
  if (!modelPattern.test(model)) throw new MillraceError('invalid_request', { message: 'The `model` is no name of a model.' })
  const question = toQuestion({ query: said === undefined ? (query ?? '') : query, messages: said, metadata })
  const { query: text, ...details } = question
  const open = (_messages: unknown, signal: AbortSignal) => (typeof source === 'function' ? source(signal) : source)
  const lanes = [{ lane: model, model, open }]
  return { query: text, details, asked: [model], lanes, messages: messagesFor(lanes, [], question) }
}

/** Before anything of a run is written: at no moment can others read it. */
function ownedBy(
  records: Pick<Records, 'claim'>,
  session: string,
  owner: string | undefined,
): Pick<RunPlan, 'session' | 'owner' | 'prepare'> {
  return owner === undefined ? { session } : { session, owner, prepare: () => records.claim(session, owner) }
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
