/**
 * Turns a question into a run: finds the session and its conversation, the models, and makes the start
 * idempotent, also for two requests with the same id at the same moment.
 */
import { idPattern, type Lane, MillraceError } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import type { Model } from '../models/model.ts'
import type { Source } from '../runs/lane.ts'
import type { Run } from '../runs/run.ts'
import type { LanePlan, Runs } from '../runs/runs.ts'
import { requireLog } from './begin.ts'
import { conversation, type RunRecord, readTranscript } from './transcript.ts'

export interface ChatRequest {
  readonly query: string
  /** Names of models, one lane each; absent means the default model. */
  readonly models?: readonly string[] | undefined
  /** MUST exist; absent means a new one. */
  readonly session?: string | undefined
  /** The run's id; absent means a new one. The same id again is the same run. */
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
  play(request: SourceRequest): Promise<Run>
}

export interface ChatsOptions {
  readonly engine: Engine
  readonly runs: Runs
  readonly resolveModel: (name?: string) => Promise<Model>
  readonly newId: () => string
}

export function createChats({ engine, runs, resolveModel, newId }: ChatsOptions): Chats {
  /** Starts in progress, by run id: the second of two equal requests waits for the first. */
  const starting = new Map<string, Promise<Run>>()

  return {
    ask: (request) =>
      once(request, async (id) => {
        const models = await Promise.all((request.models ?? [undefined]).map((name) => resolveModel(name)))
        if (request.session !== undefined) await requireLog(engine, request.session)
        const session = request.session ?? newId()
        const past = request.session === undefined ? [] : await pastRuns(session)
        const lanes = nameLanes(models.map(({ name }) => name)).map(
          ({ lane, model }, index): LanePlan => ({
            lane,
            model,
            open: (messages, signal) => (models[index] as Model).stream({ messages, signal }),
          }),
        )
        const asked = request.models
        return runs.start({
          id,
          session,
          query: request.query,
          asked,
          lanes,
          history: (lane) => conversation(past, modelOf(lanes, lane)),
        })
      }),

    play: ({ source, query = '', model = 'app', ...request }) =>
      once({ ...request, query, models: [model] }, (id) => {
        const lane: LanePlan = {
          lane: model,
          model,
          open: (_messages, signal) => (typeof source === 'function' ? source(signal) : source),
        }
        return runs.start({ id, session: request.session ?? newId(), query, asked: [model], lanes: [lane], history: () => [] })
      }),
  }

  async function once(request: ChatRequest, start: (id: string) => Promise<Run>): Promise<Run> {
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
      // Another node may have begun it.
      return requireSame(request, await run)
    } finally {
      starting.delete(id)
    }
  }

  async function pastRuns(session: string): Promise<readonly RunRecord[]> {
    return (await readTranscript(engine, session))?.runs ?? []
  }
}

/** The same id MUST mean the same request: otherwise somebody would be shown the answer to another question. */
function requireSame({ query, models, session }: ChatRequest, run: Run): Run {
  const sameSession = session === undefined || session === run.session
  const sameModels = models === undefined || JSON.stringify(models) === JSON.stringify(run.asked)
  if (query !== run.query || !sameSession || !sameModels) throw new MillraceError('run_conflict')
  return run
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
