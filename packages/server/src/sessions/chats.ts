/** Starts runs: finds the session, its conversation and the models for a question, or for an answer that is resumed. */
import { type Asked, askedOf, MillraceError, modelPattern, parsePosition } from '@millrace/protocol'
import type { OpenFile } from '../files/files.ts'
import type { Model } from '../models/model.ts'
import type { AdmitRun } from '../runs/admission.ts'
import type { LanePlan, RunPlan } from '../runs/plan.ts'
import type { OpenLog } from '../runs/recovery.ts'
import type { Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import type { ToolSet } from '../tools/index.ts'
import { type Question, toQuestion } from './asked.ts'
import type { ChatRequest, RegenerateRequest, ResumeRequest, SourceRequest } from './chat-requests.ts'
import { type Exchange, findExchange, joinRuns, pathBefore, requireParent } from './conversation.ts'
import { callsOf, findResumable, messagesFor, nameLanes, planLanes, planResumed } from './lane-plans.ts'
import { createReadFile, describeFiles, type ReadFile } from './message-files.ts'
import type { SessionOwners } from './owners.ts'
import { requireLog } from './positions.ts'
import type { Records } from './records.ts'
import { StartOnce, type StartRequest } from './start-once.ts'
import type { LaneRecord, QueuedRecord, RunRecord } from './transcript.ts'
import type { Transcripts } from './transcripts.ts'

export interface Chats {
  /**
   * Rejects with `invalid_id`, `invalid_request`, `query_missing`, `session_not_found`, `model_not_found`,
   * `model_unavailable`, `param_not_supported`, `file_not_found`, `file_not_supported`, `parent_not_found`, `parent_in_progress`, `run_conflict` or `too_many_runs`.
   * With `expect` also with `head_moved`, where the session's log has another head.
   */
  ask(request: ChatRequest, admit?: AdmitRun, expect?: number): Promise<Run>
  /** What is recorded of a question that is asked later. Rejects as `ask` does, but not where its parent is in progress. */
  check(request: Pick<ChatRequest, 'query' | 'models' | 'session' | keyof Asked>): Promise<Question>
  /**
   * Resumes the lanes of a run that did not complete, in a new run. Rejects with `run_not_found`, `run_not_continuable`, or
   * as `ask` does.
   */
  resume(request: ResumeRequest, admit?: AdmitRun): Promise<Run>
  /** Asks the question of a run again, or another, in a run beside it. Rejects with `run_not_found`, or as `ask` does. */
  regenerate(request: RegenerateRequest, admit?: AdmitRun): Promise<Run>
  play(request: SourceRequest, admit?: AdmitRun): Promise<Run>
}

export interface ChatsOptions {
  readonly openLog: OpenLog
  readonly runs: Runs
  readonly transcripts: Transcripts
  readonly records: Pick<Records, 'claim' | 'find'>
  readonly owners: Pick<SessionOwners, 'keep'>
  /** Of the server: every model of every session gets them first. */
  readonly instructions?: string | undefined
  readonly tools: ToolSet
  readonly openFile: OpenFile
  readonly onError: (error: unknown) => void
  readonly resolveModel: (name?: string) => Promise<Model>
  readonly newId: () => string
  /** A run of this server has ended. */
  readonly onEnded?: ((session: string) => void) | undefined
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
  return new SessionChats(options)
}

class SessionChats implements Chats {
  readonly #options: ChatsOptions
  readonly #starts: StartOnce
  /** Sessions of runs in progress that have a record, which is kept when they end. */
  readonly #recorded = new Set<string>()

  constructor(options: ChatsOptions) {
    this.#options = options
    this.#starts = new StartOnce(options)
  }

  readonly ask: Chats['ask'] = async (
    { models: asked, session, owner, id: requestedId, principal, ...request },
    admit = this.#admissionOf(principal),
    expect?: number,
  ) => {
    const { runs, openLog, newId, instructions: ofServer } = this.#options
    const question = toQuestion(await this.#describeFiles(await this.#namedByFirst(request, session), session))
    const { query, ...details } = question
    return this.#start({ query, details, models: asked, session, id: requestedId }, async (id) => {
      const lanes = await this.#planLanes(asked, details)
      const plan = { id, query, details, principal, admit, asked, lanes, expect }
      if (session !== undefined)
        return inSession(openLog, session, (epoch) =>
          this.#askIn({ id, session, epoch }, { ...plan, ...this.#owned(session, owner) }),
        )
      const messages = messagesFor(lanes, pathBefore([], details), question, { ofServer })
      return runs.start({ ...plan, ...this.#owned(newId(), owner), isNew: true, messages })
    })
  }

  readonly check: Chats['check'] = async ({ models, session, ...request }) => {
    const question = toQuestion(await this.#describeFiles(await this.#namedByFirst(request, session), session))
    await this.#planLanes(models, question)
    const { parent, parentLane } = question
    if (typeof parent === 'string') requireParent(joinRuns(await this.#runsOf(session)), parent, parentLane)
    return question
  }

  async #planLanes(asked: readonly string[] | undefined, details: Asked): Promise<LanePlan[]> {
    const { resolveModel, tools } = this.#options
    const models = await Promise.all((asked ?? [undefined]).map((name) => resolveModel(name)))
    return planLanes(nameLanes(models.map(({ name }) => name)), models, details, tools)
  }

  readonly regenerate: Chats['regenerate'] = async (
    { run, session: named, id, principal, requireModels, models, ...changes },
    admit,
  ) => {
    const session = await this.#sessionOf(run, named)
    const { past } = await this.#readSession(session)
    const exchange = findExchange(joinRuns(past), run)
    if (exchange === undefined) throw new MillraceError('run_not_found')
    const before = [...exchange.lanes.values()].map(({ model }) => model)
    if (models === undefined) await requireModels?.(before)
    return this.ask({ ...askAgain(exchange, changes), models: models ?? before, session, id, principal }, admit)
  }

  readonly resume: Chats['resume'] = async (
    { run, session: named, id, principal, requireModels, lane, model },
    admit = this.#admissionOf(principal),
  ) => {
    const session = await this.#sessionOf(run, named)
    return this.#start({ id, session, continues: run, lane }, (newRun) =>
      inSession(this.#options.openLog, session, (epoch) =>
        this.#resumeIn({ id: newRun, session, epoch, principal, admit, requireModels, lane, model }, run),
      ),
    )
  }

  readonly play: Chats['play'] = async (
    { session: named, id, principal, owner, continues, ...request },
    admit = this.#admissionOf(principal),
  ) => {
    const { runs, newId } = this.#options
    if (continues !== undefined) return this.#playOn(continues, { session: named, id, principal, ...request }, admit)
    const { parent, parentLane } = await this.#namedByFirst(request, named)
    const plan = planSource({ ...(await this.#describeFiles(request, named)), parent, parentLane })
    return this.#start({ id, session: named, query: plan.query, details: plan.details, models: plan.asked }, async (run) => {
      if (parent !== undefined) pathBefore(joinRuns(await this.#runsOf(named)), { parent, parentLane })
      const place = { ...this.#owned(named ?? newId(), owner), isNew: named === undefined }
      return runs.start({ ...plan, ...place, id: run, principal, admit })
    })
  }

  async #playOn(
    run: string,
    { session: named, id, principal, model, source }: SourceRequest,
    admit: AdmitRun | undefined,
  ): Promise<Run> {
    const { runs, openLog } = this.#options
    const session = await this.#sessionOf(run, named)
    return this.#start({ id, session, continues: run, lane: model }, (newRun) =>
      inSession(openLog, session, async (epoch) => {
        // Before the run is searched: another node may start it in between.
        const { past } = await this.#readSession(session)
        const known = await runs.find(newRun)
        if (known !== undefined) return known
        if (past.some((one) => one.run === newRun)) throw isInSession()
        const { unfinished, exchange } = findResumable(past, run, model)
        const { lane, model: name } = unfinished[0] as LaneRecord
        const lanes = [{ lane, model: name, usedCalls: callsOf(exchange), open: opening(source) }]
        const messages = messagesFor(lanes, [], exchange)
        const plan = { id: newRun, session, epoch, principal, admit, lanes, messages }
        return runs.start({ ...plan, query: exchange.query, asked: undefined, continues: run })
      }),
    )
  }

  async #start(request: StartRequest, act: (id: string) => Promise<Run>): Promise<Run> {
    const { runs, transcripts, owners, onError, onEnded } = this.#options
    return this.#starts.start(request, async (id) => {
      const run = await act(id)
      if (runs.isActive(id)) {
        void readAhead(run, transcripts)
        void run.ended.then(() => owners.keep(run.session, this.#recorded.delete(run.session))).catch(onError)
        void run.ended.then(() => onEnded?.(run.session))
      }
      return run
    })
  }

  async #askIn(
    { id, session, epoch }: Target,
    plan: Pick<RunPlan, 'id' | 'query' | 'details' | 'principal' | 'admit' | 'asked' | 'lanes' | 'owner' | 'prepare' | 'expect'>,
  ): Promise<Run> {
    const { runs, instructions: ofServer } = this.#options
    const { past, queue, ofSession } = await this.#readSession(session)
    // The log's keys contain the ids of questions. A run that resumes another is recorded under that run's id.
    if (past.some(({ run, continues }) => run === id && continues !== undefined)) throw isInSession()
    const steer = queue.find(({ entry }) => entry === id)?.steer
    const question = { ...plan.details, query: plan.query, steer }
    const before = pathBefore(joinRuns(past), question)
    const messages = messagesFor(plan.lanes, before, question, { ofServer, ofSession, readFile: this.#readFile(session) })
    return runs.start({ ...plan, session, epoch, messages })
  }

  async #resumeIn(
    { id, session, epoch, principal, admit, requireModels, lane, model: other }: Target & Asker & ResumedPart,
    run: string,
  ): Promise<Run> {
    const { runs, resolveModel, tools, instructions: ofServer } = this.#options
    const { past, ofSession } = await this.#readSession(session)
    // Another node may have started it already, for the same request, or since the session was read.
    const known = await runs.find(id)
    if (known !== undefined) return known
    if (past.some((one) => one.run === id)) throw isInSession()
    const resumable = findResumable(past, run, lane)
    const { before, exchange } = resumable
    if (other === undefined) await requireModels?.(resumable.unfinished.map(({ model }) => model))
    const models = await Promise.all(resumable.unfinished.map(({ model }) => resolveModel(other ?? model)))
    const unfinished = resumable.unfinished.map((record, index) => ({ ...record, model: models[index]?.name ?? record.model }))
    const { lanes, answerOf } = planResumed({ unfinished, exchange }, models, tools)
    const readFile = this.#readFile(session)
    const messages = messagesFor(lanes, before, exchange, { ofServer, ofSession, readFile, answerOf })
    const plan = { id, session, epoch, principal, admit, lanes, messages }
    return runs.start({ ...plan, query: exchange.query, asked: undefined, continues: run })
  }

  async #sessionOf(run: string, named: string | undefined): Promise<string> {
    const session = named ?? (await this.#options.runs.find(run))?.session
    if (session === undefined) throw new MillraceError('run_not_found', { message: unknownRun })
    return session
  }

  /** A parent is recorded, and compared, by the id of the first run of its answer. */
  async #namedByFirst<T extends Pick<Asked, 'parent'>>(request: T, session: string | undefined): Promise<T> {
    const { parent } = request
    if (typeof parent !== 'string' || session === undefined) return request
    return { ...request, parent: findExchange(joinRuns(await this.#runsOf(session)), parent)?.runs[0] ?? parent }
  }

  async #describeFiles<T extends Pick<Asked, 'messages'>>(request: T, session: string | undefined): Promise<T> {
    const { messages } = request
    if (messages === undefined) return request
    return { ...request, messages: await describeFiles(messages, this.#options.openFile, session) }
  }

  #readFile(session: string): ReadFile {
    return createReadFile(this.#options.openFile, session)
  }

  async #runsOf(session: string | undefined): Promise<readonly RunRecord[]> {
    return (session === undefined ? undefined : await this.#options.transcripts.read(session))?.runs ?? []
  }

  async #readSession(session: string): Promise<Past> {
    const { transcripts, records } = this.#options
    const [transcript, record] = await Promise.all([transcripts.read(session), records.find(session)])
    if (record !== undefined) this.#recorded.add(session)
    const { runs: past = [], queue = [] } = transcript ?? {}
    return { past, queue, ofSession: record?.instructions }
  }

  /** Before anything of a run is written: at no moment can others read it. */
  #owned(session: string, owner: string | undefined): Pick<RunPlan, 'session' | 'owner' | 'prepare'> {
    return owner === undefined ? { session } : { session, owner, prepare: () => this.#options.records.claim(session, owner) }
  }

  #admissionOf(principal: string | undefined): AdmitRun | undefined {
    const { admit } = this.#options
    return principal === undefined || admit === undefined ? undefined : () => admit(principal)
  }
}

type ResumedPart = Pick<ResumeRequest, 'requireModels' | 'lane' | 'model'>

interface Past {
  readonly past: readonly RunRecord[]
  readonly queue: readonly QueuedRecord[]
  readonly ofSession: string | undefined
}

/** A question with what was changed of it. */
function askAgain(
  exchange: Exchange,
  { query, messages, ...changes }: Asked & { readonly query?: string | undefined },
): Asked & { readonly query?: string | undefined } {
  const { messages: before, ...asked } = askedOf(exchange)
  if (query !== undefined || messages !== undefined) return { ...asked, ...askedOf(changes), query, messages }
  return { ...asked, ...askedOf(changes), ...(before === undefined ? { query: exchange.query } : { messages: before }) }
}

type SourcePlan = Pick<RunPlan, 'query' | 'details' | 'lanes' | 'messages'> & { readonly asked: readonly string[] }

/** Throws `invalid_request`. */
function planSource({
  source,
  query,
  messages: said,
  metadata,
  parent,
  parentLane,
  model = 'app',
}: Omit<SourceRequest, 'session'>): SourcePlan {
  // With `events=lane` the name is that of an event: a line end in it would break the stream of every reader.
  if (!modelPattern.test(model)) throw new MillraceError('invalid_request', { message: 'The `model` is no name of a model.' })
  const question = toQuestion({ query: said === undefined ? (query ?? '') : query, messages: said, metadata, parent, parentLane })
  const { query: text, ...details } = question
  const lanes = [{ lane: model, model, open: opening(source) }]
  return { query: text, details, asked: [model], lanes, messages: messagesFor(lanes, [], question) }
}

function opening(source: SourceRequest['source']): LanePlan['open'] {
  return (_messages, signal) => (typeof source === 'function' ? source(signal) : source)
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
