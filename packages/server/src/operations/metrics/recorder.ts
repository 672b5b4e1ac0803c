/** The observer that counts. */
import type { LaneEnd, RunEnd } from '@millrace/protocol'
import type { ObservedRun, Observer } from '../observer.ts'
import { Sampler } from '../sampler.ts'
import { Counts, Histogram, Histograms, type Sample } from './samples.ts'
import type { SeriesName } from './series.ts'

/** Upper bounds of buckets, in seconds unless the name says otherwise. */
const bounds = {
  delivery: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  engine: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  firstToken: [0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60],
  tokensPerSecond: [1, 5, 10, 20, 30, 50, 75, 100, 150, 250, 500, 1000],
}

export class Recorder {
  readonly #delivery = new Histogram(bounds.delivery)
  readonly #sampler = new Sampler()
  readonly #labelOf: (model: string) => string
  readonly #opened = new Counts('transport').from('sse', 'ws', 'poll')
  readonly #closed = new Counts('transport', 'code')
  readonly #received = new Counts('transport').from('http', 'ws')
  readonly #resumes = new Counts('result').from('exact', 'gap', 'error')
  readonly #sessions = new Counts().from()
  readonly #uploads = new Counts().from()
  readonly #uploadedBytes = new Counts().from()
  readonly #started = new Counts().from()
  readonly #ended = new Counts('status').from('completed', 'waiting', 'stopped', 'failed', 'interrupted')
  readonly #lanes = new Counts('model', 'status')
  readonly #tokens = new Counts('model', 'type')
  readonly #firstTokens = new Histograms('model', bounds.firstToken)
  readonly #speeds = new Histograms('model', bounds.tokensPerSecond)
  readonly #calls = new Histograms('operation', bounds.engine)
  readonly #engineErrors = new Counts('operation', 'code')
  readonly #errors = new Counts('code')
  readonly #limits = new Counts('limit')

  /** `labelOf` makes the name of a model one of a closed list. */
  constructor(labelOf: (model: string) => string) {
    this.#labelOf = labelOf
  }

  readonly collectors = {
    millrace_connections_opened_total: () => this.#opened.samples(),
    millrace_connections_closed_total: () => this.#closed.samples(),
    millrace_received_bytes_total: () => this.#received.samples(),
    millrace_delivery_seconds: () => this.#delivery.samples('millrace_delivery_seconds'),
    millrace_resumes_total: () => this.#resumes.samples(),
    millrace_sessions_created_total: () => this.#sessions.samples(),
    millrace_uploads_total: () => this.#uploads.samples(),
    millrace_uploaded_bytes_total: () => this.#uploadedBytes.samples(),
    millrace_runs_started_total: () => this.#started.samples(),
    millrace_runs_total: () => this.#ended.samples(),
    millrace_lanes_total: () => this.#lanes.samples(),
    millrace_tokens_total: () => this.#tokens.samples(),
    millrace_first_token_seconds: () => this.#firstTokens.samples('millrace_first_token_seconds'),
    millrace_tokens_per_second: () => this.#speeds.samples('millrace_tokens_per_second'),
    millrace_engine_seconds: () => this.#calls.samples('millrace_engine_seconds'),
    millrace_engine_errors_total: () => this.#engineErrors.samples(),
    millrace_errors_total: () => this.#errors.samples(),
    millrace_limits_hit_total: () => this.#limits.samples(),
  } satisfies Partial<Record<SeriesName, () => Sample[]>>

  readonly observer: Observer = {
    connectionOpened: ({ transport }) => this.#opened.add([transport]),
    connectionClosed: ({ transport }, { code }) => this.#closed.add([transport, code]),
    received: (transport, bytes) => this.#received.add([transport], bytes),
    attached: ({ isResume, result }) => {
      if (isResume) this.#resumes.add([result])
    },
    sessionCreated: () => this.#sessions.add([]),
    fileUploaded: ({ size }) => {
      this.#uploads.add([])
      this.#uploadedBytes.add([], size)
    },
    runStarted: () => this.#started.add([]),
    firstToken: (_run, { model }, ms) => this.#firstTokens.record(this.#labelOf(model), ms / 1000),
    runEnded: (run, end) => {
      this.#ended.add([end.status])
      for (const lane of laneEnds(run, end)) this.#recordLane(lane)
    },
    limitHit: ({ limit }) => this.#limits.add([limit]),
    engineCalled: (operation, ms, calls) => this.#calls.record(operation, ms / 1000, calls),
    engineFailed: (operation, code) => this.#engineErrors.add([operation, code]),
    errorSent: (code) => this.#errors.add([code]),
  }

  /** `oldestTime` is that of the engine's store, whose clock may be ahead of this one. */
  delivered(oldestTime: number, writes: number): void {
    const weight = this.#sampler.take(writes)
    if (weight > 0) this.#delivery.record(Math.max(0, Date.now() - oldestTime) / 1000, weight)
  }

  #recordLane({ model, status, usage, timings }: LaneEnd): void {
    const label = this.#labelOf(model)
    const { inputTokens, outputTokens, reasoningTokens = 0 } = usage
    this.#lanes.add([label, status])
    this.#tokens.add([label, 'input'], inputTokens)
    // Providers count reasoning as output.
    this.#tokens.add([label, 'output'], outputTokens - Math.min(reasoningTokens, outputTokens))
    if (reasoningTokens > 0) this.#tokens.add([label, 'reasoning'], reasoningTokens)
    const { firstTokenMs, durationMs } = timings
    // Of one token there is no speed.
    if (firstTokenMs !== null && outputTokens > 1 && durationMs > firstTokenMs)
      this.#speeds.record(label, ((outputTokens - 1) * 1000) / (durationMs - firstTokenMs))
  }
}

/** A run with one lane has the end of that lane. */
function laneEnds({ lanes }: ObservedRun, end: RunEnd): LaneEnd[] {
  if (end.lanes !== undefined) return Object.values(end.lanes)
  const [only] = lanes
  return only === undefined ? [] : [{ ...end, model: only.model }]
}
