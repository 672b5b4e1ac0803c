/** The runs of this server that are in progress, and the last that have ended: what an operator looks at. An observer. */
import type { RunEnd } from '@millrace/protocol'
import type { ObservedRun, Observer } from './observer.ts'

export interface ListedRun extends Partial<Omit<RunEnd, 'status' | 'lanes'>> {
  readonly run: string
  readonly session: string
  /** Id of the principal that asked. */
  readonly principal?: string | undefined
  readonly models: readonly string[]
  /** The run that this one resumes. */
  readonly continues?: string | undefined
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly endedAt?: number
  readonly status: 'streaming' | RunEnd['status']
}

/** Selects the runs that match every given field. */
export interface RunFilter {
  readonly principal?: string | undefined
  readonly session?: string | undefined
  readonly model?: string | undefined
  readonly status?: ListedRun['status'] | undefined
}

export interface RunList {
  readonly observer: Observer
  /** In no order. */
  list(filter: RunFilter): ListedRun[]
}

/** Ended runs in memory, less than a kilobyte each. */
const endedMax = 1000

export function createRunList(now: () => number = Date.now): RunList {
  const active = new Map<ObservedRun, ListedRun>()
  const ended: ListedRun[] = []
  /** Nothing where it was not a run of this server. */
  const end = (observed: ObservedRun, { lanes: _lanes, ...outcome }: RunEnd) => {
    const started = active.get(observed)
    active.delete(observed)
    if (started === undefined) return
    ended.push({ ...started, ...outcome, endedAt: now() })
    if (ended.length > 2 * endedMax) ended.splice(0, endedMax)
  }

  return {
    observer: {
      runStarted(observed) {
        const { run, session, principal, lanes, continues } = observed
        const models = lanes.map(({ model }) => model)
        active.set(observed, { run, session, principal, models, continues, startedAt: now(), status: 'streaming' })
      },
      runEnded: end,
      runLost: end,
    },
    list: ({ principal, session, model, status }) =>
      [...active.values(), ...ended.slice(-endedMax)].filter(
        (run) =>
          (principal === undefined || run.principal === principal) &&
          (session === undefined || run.session === session) &&
          (model === undefined || run.models.includes(model)) &&
          (status === undefined || run.status === status),
      ),
  }
}
