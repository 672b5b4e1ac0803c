/** A LangChain model's typed events, read as parts: each piece once, usage and finish reason at the end. */
import { finishOf, type UsageMetadata, usageOf } from './langchain-end.ts'
import type { ModelPart } from './model.ts'

/** As much of LangChain's `ChatModelStreamEvent` as is looked at. */
export interface LangChainEvent {
  readonly event: string
  /** Of a block that begins; some models put its first words here. Also the delta of older ones. */
  readonly content?: unknown
  readonly delta?: unknown
  /** So far, not since the last one. */
  readonly usage?: UsageMetadata | undefined
  /** Why the model ended. */
  readonly reason?: string | undefined
  /** Of an `error`. */
  readonly message?: string
}

interface Piece {
  readonly type?: unknown
  readonly text?: unknown
  readonly reasoning?: unknown
  readonly thinking?: unknown
}

export async function* readEvents(events: AsyncIterable<LangChainEvent>): AsyncGenerator<ModelPart> {
  let usage: UsageMetadata | undefined
  let reason: string | undefined
  let hasToolCalls = false
  for await (const { event, content, delta, ...rest } of events) {
    usage = rest.usage ?? usage
    if (event === 'content-block-start' || event === 'content-block-delta') {
      const piece = (delta ?? content ?? {}) as Piece
      if (piece.type === 'tool_call_chunk' || piece.type === 'tool_call') hasToolCalls = true
      yield* say(piece)
    } else if (event === 'message-finish') reason = rest.reason
    else if (event === 'error') throw new Error(rest.message)
  }
  // Only now: what is known before the end is too little, and would replace an honest estimate when the run is stopped.
  yield* usageOf(usage)
  yield* finishOf(reason, hasToolCalls)
}

function* say({ type, text, reasoning, thinking }: Piece): Generator<ModelPart> {
  if (type === 'text' || type === 'text-delta') {
    if (typeof text === 'string' && text !== '') yield text
  } else if (type === 'reasoning' || type === 'reasoning-delta' || type === 'thinking') {
    const thought = reasoning ?? thinking
    if (typeof thought === 'string' && thought !== '') yield { reasoning: thought }
  }
}
