/**
 * A run as the UI message stream of the AI SDK: one message, with the parts of all lanes. Each text has a start, deltas and an
 * end with an id of its own. There are steps only with one lane: the AI SDK looks for calls in the last step alone.
 */
import { encodeJson, formatPosition, type SessionEvents, type UiChunk, uiChunkOf } from '@millrace/protocol'
import type { Frame, Renderer, RunDialect, RunEvent } from '../run-dialect.ts'
import { type Chunk, earlierChunks, fileChunk, type Parts } from './chunks.ts'
import { endChunks, failChunks } from './ends.ts'
import { answerId } from './ids.ts'

export interface UiMessageView {
  readonly session: string
  readonly run: string
  /** Of the log of the session. */
  readonly epoch: string
  /** The first run of the answer, from which the message has its id. */
  readonly first: string
  /** What the runs before answered that this one continues. `isShown`: the reader does not have it yet. */
  readonly earlier?: { readonly lanes: readonly Parts[]; readonly isShown: boolean } | undefined
  /** For clients that count no frames. */
  readonly merges?: boolean
}

export function createUiMessageDialect(view: UiMessageView): RunDialect {
  const { run, earlier, merges = false } = view
  return {
    key: `ai-sdk ${run} ${earlier?.isShown ? 'whole' : 'own'} ${merges}`,
    merges,
    hasIds: false,
    begin: () => new UiMessageRenderer(view),
    fail: (error) => failChunks(error).map(toFrame),
  }
}

interface Open {
  readonly type: 'text' | 'reasoning'
  readonly id: string
}

class UiMessageRenderer implements Renderer {
  readonly #view: UiMessageView
  /** Parts name their lane, where the answer has several. */
  #isNamed = false
  /** What a lane is saying. */
  readonly #open = new Map<string, Open>()
  readonly #repeated = new Set<string>()
  #parts = 0
  #isInStep = false

  constructor(view: UiMessageView) {
    this.#view = view
  }

  render(event: RunEvent): readonly Frame[] {
    return event.type === 'file_data' ? [] : [...this.#chunks(event)].map(toFrame)
  }

  *#chunks(event: JsonEvent): Generator<Chunk> {
    switch (event.type) {
      case 'stream_start':
        return yield* this.#start(event.data)
      case 'message':
        return yield* this.#say(event.data.lane, 'text', event.data.text)
      case 'reasoning':
        return yield* this.#say(event.data.lane, 'reasoning', event.data.reasoning)
      case 'step_end':
        yield* this.#close(event.data.lane)
        if (!this.#isNamed && this.#isInStep) yield* this.#endStep()
        return
      case 'lane_end': {
        const { run: _run, lane, ...end } = event.data
        yield* this.#close(lane)
        return yield { type: 'message-metadata', messageMetadata: { lanes: { [lane]: end } } }
      }
      case 'stream_end':
        return yield* this.#end(event.data)
      case 'file': {
        const { run: _run, lane, ...file } = event.data
        return yield* this.#add(lane, fileChunk(this.#view.session, this.#positionOf(event.offset), file))
      }
      default:
        return yield* this.#other(event)
    }
  }

  *#start({ session, run, lanes }: SessionEvents['stream_start']): Generator<Chunk> {
    const { first, earlier } = this.#view
    this.#isNamed = Math.max(lanes.length, earlier?.lanes.length ?? 0) > 1
    const models = Object.fromEntries(lanes.map(({ lane, model }) => [lane, { model }]))
    const said = lanes.length === 1 ? { model: lanes[0]?.model } : { lanes: models }
    yield { type: 'start', messageId: answerId(first), messageMetadata: { session, run, ...said } }
    if (earlier?.isShown) yield* earlierChunks(session, earlier.lanes)
  }

  *#other(event: JsonEvent): Generator<Chunk> {
    if (!('lane' in event.data)) return
    if (event.type === 'tool_call' && event.data.isRepeated) {
      const { call, by } = event.data
      this.#repeated.add(call)
      // Its reader has the call, or has just got it. What a client has executed MUST NOT be executed again.
      if (!this.#view.earlier?.isShown || by === 'client') return
    }
    const chunk = uiChunkOf(event)
    if (chunk === undefined) return
    if ('call' in event.data && this.#repeated.has(event.data.call)) return yield chunk
    yield* this.#add(event.data.lane, chunk)
  }

  *#say(lane: string, type: Open['type'], delta: string): Generator<Chunk> {
    let open = this.#open.get(lane)
    if (open?.type !== type) {
      yield* this.#close(lane)
      yield* this.#beginStep()
      open = { type, id: `${this.#parts++}` }
      this.#open.set(lane, open)
      yield { type: `${type}-start`, id: open.id, ...this.#named(lane) }
    }
    yield { type: `${type}-delta`, id: open.id, delta }
  }

  *#add(lane: string, chunk: Chunk | UiChunk): Generator<Chunk> {
    yield* this.#close(lane)
    yield* this.#beginStep()
    const isNamed = /^(tool-input-(start|available)|source-.*|file)$/.test(chunk.type)
    yield isNamed ? { ...chunk, ...this.#named(lane, chunk) } : chunk
  }

  *#close(lane: string): Generator<Chunk> {
    const open = this.#open.get(lane)
    if (open === undefined) return
    this.#open.delete(lane)
    yield { type: `${open.type}-end`, id: open.id }
  }

  *#end({ run: _run, ...end }: SessionEvents['stream_end']): Generator<Chunk> {
    for (const lane of this.#open.keys()) yield* this.#close(lane)
    if (this.#isInStep) yield* this.#endStep()
    yield* endChunks(end)
  }

  *#beginStep(): Generator<Chunk> {
    if (this.#isInStep) return
    this.#isInStep = true
    yield { type: 'start-step' }
  }

  *#endStep(): Generator<Chunk> {
    this.#isInStep = false
    yield { type: 'finish-step' }
  }

  #positionOf(offset: number): string {
    return formatPosition({ epoch: this.#view.epoch, offset })
  }

  /** The lane of a part, where there are several. */
  #named(lane: string, { providerMetadata }: Chunk = { type: '' }): object {
    if (!this.#isNamed) return {}
    const { millrace } = (providerMetadata ?? {}) as { millrace?: object }
    return { providerMetadata: { millrace: { ...millrace, lane } } }
  }
}

type JsonEvent = Exclude<RunEvent, { type: 'file_data' }>

function toFrame(chunk: Chunk): Frame {
  return { data: encodeJson(chunk) }
}
