/**
 * One lane: a model's stream, read into the log until it ends, fails, is stopped or takes too long.
 * However it ends there is exactly one end, with its usage and timings; a model that ignores its
 * signal, hangs or throws what it likes cannot hold it up.
 */
import {
  type EndStatus,
  type FinishReason,
  type LaneEnd,
  MillraceError,
  type PublicError,
  type Timings,
  type Usage,
} from '@millrace/protocol'
import type { ModelPart } from '../models/model.ts'
import { checkPart } from './part.ts'
import { publicError } from './public-error.ts'
import { createWholeText } from './whole-text.ts'
import type { RunWriter } from './writer.ts'

/** Parts taken without a pause before the event loop gets a turn: a source need not ever wait by itself. */
const partsPerTick = 128

export interface LaneOptions {
  readonly run: string
  readonly lane: string
  readonly model: string
  /** Opens the stream; may throw. */
  readonly open: (signal: AbortSignal) => Source | Promise<Source>
  readonly writer: RunWriter
  /** Aborts with a MillraceError as its reason for a failure, with `interruption` for the end of the server, with anything else for a stop. */
  readonly signal: AbortSignal
  /** Milliseconds without any part after which the lane fails with `model_timeout`. */
  readonly idleMsMax: number
  /** Tokens of the question and what came before it, for when the provider does not say. */
  readonly inputTokens: number
  /** When the request was accepted, by `now`. */
  readonly acceptedAt: number
  readonly now: () => number
  /** Told of an error in full, before it is reduced to what may leave the server. */
  readonly onError: (error: unknown) => void
}

/** Why a run is aborted that nobody wanted to end. */
export const interruption = Symbol('interruption')

export type Source = AsyncIterable<ModelPart> | Iterable<ModelPart>

export async function runLane(options: LaneOptions): Promise<LaneEnd> {
  const { run, lane, model, writer, signal, acceptedAt, now } = options
  const abort = new AbortController()
  const { promise: ended, resolve: end } = Promise.withResolvers<{ status: EndStatus; error?: PublicError }>()
  let firstTokenAt: number | undefined
  let lastPartAt = now()
  let deltas = 0
  let usage: Usage | undefined
  let finishReason: FinishReason | undefined
  let over = false
  let isHeld = false
  const text = createWholeText()
  const reasoning = createWholeText()

  // Whoever aborts for a reason has reported it.
  const onAbort = () => {
    const { reason } = signal
    if (reason === interruption) finish({ status: 'interrupted' })
    else finish(reason instanceof MillraceError ? { status: 'failed', error: publicError(reason) } : { status: 'stopped' })
  }
  signal.addEventListener('abort', onAbort, { once: true })
  let idleTimer = setTimeout(checkIdle, options.idleMsMax)
  let iterator: AsyncIterator<ModelPart> | Iterator<ModelPart> | undefined

  if (signal.aborted) onAbort()
  else
    read().then(
      () => {
        if (!over) say(text.end())
        if (!over) think(reasoning.end())
        finish({ status: 'completed' })
      },
      (error) => finish(failed(error)),
    )
  const outcome = await ended
  return { model, ...outcome, ...(finishReason && { finishReason }), usage: usage ?? estimate(), timings: timings() }

  async function read(): Promise<void> {
    const source = await options.open(abort.signal)
    if (over) return
    iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
    for (let parts = 1; ; parts++) {
      const { done, value } = await iterator.next()
      if (over || done) return
      take(value)
      if (writer.full) await waitForEngine()
      else if (parts % partsPerTick === 0) await new Promise(setImmediate)
    }
  }

  /** Which is not the model's silence. */
  async function waitForEngine(): Promise<void> {
    isHeld = true
    await writer.settled()
    isHeld = false
    lastPartAt = now()
  }

  function take(value: unknown): void {
    const part = checkPart(value)
    lastPartAt = now()
    if (part === undefined) return
    if ('usage' in part) usage = part.usage
    else if ('finishReason' in part) finishReason = part.finishReason
    else {
      deltas += 1
      firstTokenAt ??= lastPartAt
      if ('text' in part) say(text.push(part.text))
      else if ('reasoning' in part) think(reasoning.push(part.reasoning))
      else if ('data' in part) writer.write('data', { run, lane, ...part.data })
      else {
        const { bytes, ...file } = part.file
        writer.writeFile({ run, lane, ...file, size: bytes.length }, bytes)
      }
    }
  }

  function say(pieces: readonly string[]): void {
    for (const piece of pieces) writer.write('message', { run, lane, text: piece })
  }

  function think(pieces: readonly string[]): void {
    for (const piece of pieces) writer.write('reasoning', { run, lane, reasoning: piece })
  }

  /** The first caller decides; whatever the model does after that is not heard. */
  function finish(outcome: { status: EndStatus; error?: PublicError }): void {
    if (over) return
    over = true
    clearTimeout(idleTimer)
    signal.removeEventListener('abort', onAbort)
    abort.abort(signal.reason)
    end(outcome)
    if (outcome.status !== 'completed') void leave()
  }

  /** A generator waiting in `next()` returns when that settles; one that never does is left behind, and one that throws is heard. */
  async function leave(): Promise<void> {
    try {
      await iterator?.return?.()
    } catch (error) {
      options.onError(error)
    }
  }

  function failed(error: unknown): { status: EndStatus; error: PublicError } {
    // A model that was stopped often ends with an error, which is no news to anybody.
    if (!over) options.onError(error)
    return { status: 'failed', error: publicError(error) }
  }

  /** One timer for all parts: it looks when the last one came, and waits for what is left. */
  function checkIdle(): void {
    const left = options.idleMsMax - (isHeld ? 0 : now() - lastPartAt)
    if (left <= 0) finish(failed(new MillraceError('model_timeout')))
    else idleTimer = setTimeout(checkIdle, left)
  }

  function estimate(): Usage {
    const { inputTokens } = options
    return { inputTokens, outputTokens: deltas, totalTokens: inputTokens + deltas, estimated: true }
  }

  function timings(): Timings {
    const since = (time: number) => Math.max(0, Math.round(time - acceptedAt))
    return { firstTokenMs: firstTokenAt === undefined ? null : since(firstTokenAt), durationMs: since(now()) }
  }
}
