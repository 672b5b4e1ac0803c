/**
 * One lane: reads a model's stream into the log until it ends, fails, is stopped or times out. A lane has exactly one end,
 * with usage and timings. A model that ignores its signal, never yields or throws anything at all cannot delay it.
 */
import {
  type EndStatus,
  type FinishReason,
  type LaneEnd,
  MillraceError,
  type PublicError,
  type Timings,
  type ToolExecutor,
  type Usage,
} from '@millrace/protocol'
import type { ModelMessage, ModelPart, ModelToolCall } from '../models/model.ts'
import type { ToolContext } from '../tools/index.ts'
import { LaneWriter } from './lane-writer.ts'
import { checkPart } from './part.ts'
import { publicError } from './public-error.ts'
import { sumUsage } from './run-end.ts'
import { type StepLimits, Steps, type StepsPlan } from './steps.ts'
import type { RunWriter } from './writer.ts'

/** Parts read without a pause before the event loop continues: a source may never wait by itself. */
const partsPerTick = 128

export interface LaneOptions {
  readonly run: string
  readonly lane: string
  readonly model: string
  /** Opens the stream of a step; may throw. `added`: what follows the conversation, of the steps before. */
  readonly open: (signal: AbortSignal, added: readonly ModelMessage[]) => Source | Promise<Source>
  /** Absent where the lane has no tools: its calls are only shown. */
  readonly steps?:
    | (StepsPlan & { readonly limits: StepLimits; readonly context: Omit<ToolContext, 'call' | 'signal'> })
    | undefined
  readonly writer: Pick<RunWriter, 'write' | 'writeFile' | 'settled' | 'isFull'>
  /** Ids of calls of tools that the run has already; shared by its lanes. */
  readonly usedCalls: Set<string>
  /** Its reason is a MillraceError for a failure, `interruption` when the server closes, anything else for a stop. */
  readonly signal: AbortSignal
  /** Milliseconds without any part after which the lane fails with `model_timeout`. */
  readonly idleMsMax: number
  /** Estimated tokens of the conversation, for a provider that reports no usage. */
  readonly inputTokens: number
  /** When the request was accepted, by `now`. */
  readonly acceptedAt: number
  readonly now: () => number
  /** Called when the first part arrives, with the milliseconds since the request was accepted. */
  readonly onFirstToken?: (ms: number) => void
  /** Called with the whole error, before it is reduced to what may leave the server. */
  readonly onError: (error: unknown) => void
}

/** What a model sees after its answer. One for all: `abort()` makes an error with a stack. */
const over = new DOMException('The answer is over.', 'AbortError')

/** The reason of an abort when the server closes. */
export const interruption = Symbol('interruption')

export type Source = AsyncIterable<ModelPart> | Iterable<ModelPart>

/** Never rejects. */
export function runLane(options: LaneOptions): Promise<LaneEnd> {
  return new Lane(options).run()
}

interface Outcome {
  readonly status: EndStatus
  readonly error?: PublicError
}

class Lane {
  readonly #options: LaneOptions
  readonly #abort = new AbortController()
  readonly #ended = Promise.withResolvers<Outcome>()
  readonly #events: LaneWriter
  #iterator: AsyncIterator<ModelPart> | Iterator<ModelPart> | undefined
  #isOver = false
  readonly #steps: Steps | undefined
  /** The model is not expected to say anything. */
  #isPaused = false
  #idleTimer: ReturnType<typeof setTimeout> | undefined
  #firstTokenAt: number | undefined
  /** Since when the model has said nothing but reasoning. */
  #reasoningSince: number | undefined
  #reasoningMs = 0
  #lastPartAt: number
  #deltas = 0
  /** Of the steps that have ended. */
  #usageBefore: Usage | undefined
  /** Of this step. */
  #usage: Usage | undefined
  #finishReason: FinishReason | undefined

  constructor(options: LaneOptions) {
    this.#options = options
    this.#events = new LaneWriter(options)
    this.#steps = options.steps && this.#createSteps(options.steps)
    this.#lastPartAt = options.now()
  }

  async run(): Promise<LaneEnd> {
    const { model, signal, idleMsMax } = this.#options
    signal.addEventListener('abort', this.#onAbort, { once: true })
    this.#idleTimer = setTimeout(this.#checkIdle, idleMsMax)
    if (signal.aborted) this.#onAbort()
    else void this.#readAll()
    const outcome = await this.#ended.promise
    const finishReason = this.#finishReason && { finishReason: this.#finishReason }
    return { model, ...outcome, ...finishReason, usage: this.#allUsage(), timings: this.#timings() }
  }

  async #readAll(): Promise<void> {
    try {
      const status = await this.#readSteps()
      if (this.#isOver) return
      this.#events.flush()
      this.#finish({ status })
    } catch (error) {
      this.#finish(this.#toFailure(error))
    }
  }

  async #readSteps(): Promise<'completed' | 'waiting'> {
    const steps = this.#steps
    if (steps !== undefined) await this.#paused(() => steps.begin())
    for (;;) {
      if (this.#isOver) return 'completed'
      await this.#read(await this.#options.open(this.#abort.signal, steps?.added ?? []))
      if (this.#isOver || steps === undefined) return 'completed'
      this.#events.flush()
      const outcome = await this.#paused(() => steps.end())
      if (this.#isOver || outcome !== 'next') return outcome === 'waiting' ? outcome : 'completed'
      this.#endStep(steps.count - 1)
    }
  }

  #endStep(step: number): void {
    this.#events.endStep(step, this.#stepUsage(), this.#finishReason)
    this.#usageBefore = this.#allUsage()
    this.#usage = undefined
    this.#finishReason = undefined
    this.#deltas = 0
  }

  async #read(source: Source): Promise<void> {
    if (this.#isOver) return
    this.#iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
    for (let parts = 1; ; parts++) {
      const { done, value } = await this.#iterator.next()
      if (this.#isOver || done) return
      this.#take(value)
      if (this.#options.writer.isFull) await this.#waitForEngine()
      else if (parts % partsPerTick === 0) await new Promise(setImmediate)
    }
  }

  #waitForEngine(): Promise<void> {
    return this.#paused(() => this.#options.writer.settled())
  }

  /** This time does not count as the model's idle time. */
  async #paused<T>(wait: () => Promise<T>): Promise<T> {
    this.#isPaused = true
    const result = await wait()
    this.#isPaused = false
    this.#lastPartAt = this.#options.now()
    return result
  }

  #take(value: unknown): void {
    const part = checkPart(value)
    this.#lastPartAt = this.#options.now()
    if (part === undefined) return
    if ('usage' in part) this.#usage = part.usage
    else if ('finishReason' in part) this.#finishReason = part.finishReason
    else {
      this.#deltas += 1
      if (this.#firstTokenAt === undefined) this.#noteFirst()
      if ('reasoning' in part) this.#reasoningSince ??= this.#lastPartAt
      else this.#endReasoning(this.#lastPartAt)
      this.#events.write(part, this.#executorOf)
      if (this.#steps !== undefined) {
        if ('text' in part) this.#steps.noteText(part.text)
        else if ('toolCall' in part)
          this.#steps.noteCall(part.toolCall, this.#events.callOf(part.toolCall.id) ?? part.toolCall.id)
      }
    }
  }

  readonly #executorOf = (call: ModelToolCall): ToolExecutor => this.#steps?.executorOf(call) ?? 'model'

  #createSteps({ context, ...plan }: NonNullable<LaneOptions['steps']>): Steps {
    const whileOn = <A extends unknown[]>(write: (...args: A) => void) => {
      return (...args: A) => {
        if (!this.#isOver) write(...args)
      }
    }
    return new Steps({
      ...plan,
      context: { ...context, signal: this.#abort.signal },
      onError: this.#options.onError,
      events: {
        repeatCall: whileOn((call) => this.#events.repeatCall(call)),
        result: whileOn((call, result) => this.#events.event('tool_result', { call, ...result })),
        requestApproval: whileOn((request) => this.#events.event('approval_request', request)),
      },
    })
  }

  #noteFirst(): void {
    const { acceptedAt, onFirstToken } = this.#options
    this.#firstTokenAt = this.#lastPartAt
    onFirstToken?.(Math.max(0, this.#firstTokenAt - acceptedAt))
  }

  #endReasoning(at: number): void {
    if (this.#reasoningSince !== undefined) this.#reasoningMs += at - this.#reasoningSince
    this.#reasoningSince = undefined
  }

  // The caller that aborts with an error has reported it.
  readonly #onAbort = (): void => {
    const { reason } = this.#options.signal
    if (reason === interruption) this.#finish({ status: 'interrupted' })
    else if (reason instanceof MillraceError) this.#finish({ status: 'failed', error: publicError(reason) })
    else this.#finish({ status: 'stopped' })
  }

  /** The first call decides; parts that the model yields afterwards are ignored. */
  #finish(outcome: Outcome): void {
    if (this.#isOver) return
    this.#isOver = true
    const { signal } = this.#options
    clearTimeout(this.#idleTimer)
    signal.removeEventListener('abort', this.#onAbort)
    this.#abort.abort(signal.aborted ? signal.reason : over)
    this.#ended.resolve(outcome)
    if (outcome.status !== 'completed' && outcome.status !== 'waiting') void this.#closeIterator()
  }

  /** A generator that waits in `next()` returns once that settles. One that never settles is abandoned. */
  async #closeIterator(): Promise<void> {
    try {
      await this.#iterator?.return?.()
    } catch (error) {
      this.#options.onError(error)
    }
  }

  #toFailure(error: unknown): Outcome {
    // A model that is stopped often throws, which is not reported.
    if (!this.#isOver) this.#options.onError(error)
    return { status: 'failed', error: publicError(error) }
  }

  /** One timer serves all parts: it computes the time left since the last part, and waits for that long. */
  readonly #checkIdle = (): void => {
    const { idleMsMax, now } = this.#options
    const left = idleMsMax - (this.#isPaused ? 0 : now() - this.#lastPartAt)
    if (left <= 0) this.#finish(this.#toFailure(new MillraceError('model_timeout')))
    else this.#idleTimer = setTimeout(this.#checkIdle, left)
  }

  #allUsage(): Usage {
    const usage = this.#stepUsage()
    return this.#usageBefore === undefined ? usage : sumUsage(this.#usageBefore, usage)
  }

  #stepUsage(): Usage {
    if (this.#usage !== undefined) return this.#usage
    const inputTokens = this.#options.inputTokens + (this.#steps?.addedTokens ?? 0)
    return { inputTokens, outputTokens: this.#deltas, totalTokens: inputTokens + this.#deltas, estimated: true }
  }

  #timings(): Timings {
    const { acceptedAt, now } = this.#options
    const since = (time: number) => Math.max(0, Math.round(time - acceptedAt))
    const endedAt = now()
    this.#endReasoning(endedAt)
    const reasoningMs = Math.round(this.#reasoningMs)
    return {
      firstTokenMs: this.#firstTokenAt === undefined ? null : since(this.#firstTokenAt),
      durationMs: since(endedAt),
      ...(reasoningMs > 0 && { reasoningMs }),
    }
  }
}
