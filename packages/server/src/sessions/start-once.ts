/** Makes starts idempotent by the run's id, also for two requests with the same id at the same moment. */
import { type Asked, idPattern, MillraceError } from '@millrace/protocol'
import { hashQuery } from '../runs/query-hash.ts'
import type { Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'

export interface StartRequest {
  /** Absent means a new one. */
  readonly id?: string | undefined
  /** Absent means a new one. */
  readonly session?: string | undefined
  readonly query?: string
  readonly details?: Asked | undefined
  readonly models?: readonly string[] | undefined
  /** The run that this one resumes, and the only lane of it. */
  readonly continues?: string
  readonly lane?: string | undefined
}

export interface StartOnceOptions {
  readonly runs: Pick<Runs, 'get'>
  readonly newId: () => string
}

export class StartOnce {
  readonly #options: StartOnceOptions
  /** Starts in progress, by run id. */
  readonly #starting = new Map<string, Promise<Run>>()

  constructor(options: StartOnceOptions) {
    this.#options = options
  }

  /** Rejects with `invalid_id`, `invalid_request`, `run_conflict`, or as `start` does. */
  async start(request: StartRequest, start: (id: string) => Promise<Run>): Promise<Run> {
    const { id = this.#options.newId(), session = id, models } = request
    // Callers of the library pass no schema, and an id with a line end could not be written as a position.
    if (!idPattern.test(id) || !idPattern.test(session)) throw new MillraceError('invalid_id')
    if (models?.length === 0) throw new MillraceError('invalid_request', { message: 'A run needs at least one model.' })
    const known = this.#options.runs.get(id)
    if (known !== undefined) return requireSame(request, known)
    const other = this.#starting.get(id)
    if (other !== undefined) return requireSame(request, await other)
    const starting = start(id)
    this.#starting.set(id, starting)
    try {
      // Another node may have started it, for another request.
      return requireSame(request, await starting)
    } finally {
      this.#starting.delete(id)
    }
  }
}

/** Throws where the same id does not mean the same request: the client would get the answer to another question. */
function requireSame({ query = '', details, models, session, continues, lane }: StartRequest, run: Run): Run {
  const sameQuestion =
    continues === run.continues && (continues !== undefined || hashQuery(run.id, query, details) === run.queryHash)
  const sameSession = session === undefined || session === run.session
  const sameModels = models === undefined || JSON.stringify(models) === JSON.stringify(run.asked)
  const sameLanes = lane === undefined || (run.lanes.length === 1 && run.lanes[0]?.lane === lane)
  if (!sameQuestion || !sameSession || !sameModels || !sameLanes) throw new MillraceError('run_conflict')
  return run
}
