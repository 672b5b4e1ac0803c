/** Reads the typed events of a LangChain model as parts, each piece once; usage and finish reason go into `end`. */

import type { Json } from '@millrace/protocol'
import type { ModelPart } from '../model.ts'
import type { AnswerEnd, UsageMetadata } from './end.ts'
import { asFields, type Fields, readContent, readReason } from './provider-chunk.ts'
import { sourcesOf } from './sources.ts'
import { ToolCalls } from './tool-calls.ts'

/** The used part of LangChain's `ChatModelStreamEvent`. */
export interface LangChainEvent {
  readonly event: string
  /** Of a block. */
  readonly index?: number | undefined
  /** Of a block that starts; some models put its first text here. Also the delta of older ones. */
  readonly content?: unknown
  readonly delta?: unknown
  /** The total so far, not the difference. */
  readonly usage?: UsageMetadata | undefined
  /** The finish reason in LangChain's term; it turns unknown ones into `stop`. */
  readonly reason?: string | undefined
  readonly responseMetadata?: Readonly<Record<string, unknown>> | undefined
  /** Of an `error`. */
  readonly message?: string
}

interface Piece {
  readonly type?: unknown
  readonly text?: unknown
  readonly reasoning?: unknown
  readonly thinking?: unknown
  readonly id?: unknown
  readonly name?: unknown
  readonly args?: unknown
}

export async function* readEvents(events: AsyncIterable<LangChainEvent>, end: AnswerEnd): AsyncGenerator<ModelPart> {
  const calls = new ToolCalls()
  for await (const { event, content, delta, index, ...rest } of events) {
    // The total so far, and not a sum: a value before the end is too low.
    end.usage = rest.usage ?? end.usage
    if (event === 'content-block-start' || event === 'content-block-delta') {
      const piece = (delta ?? content ?? {}) as Piece
      if (piece.type === 'tool_call_chunk' || piece.type === 'tool_call' || piece.type === 'tool-call-delta') {
        end.hasToolCalls = true
        yield* calls.add(piece.type === 'tool-call-delta' ? { index, args: piece.args } : { ...piece, index })
      } else yield* say(piece)
    } else if (event === 'content-block-finish') {
      yield* executed(asFields(content))
    } else if (event === 'message-finish') end.reason = readReason(rest.responseMetadata?.finish_reason) ?? rest.reason
    else if (event === 'error') throw new Error(rest.message)
  }
  yield* calls.end()
}

/** A tool of the provider, which it has executed itself; and what the text refers to. */
function* executed({ type, id, name, args, toolCallId, status, output, annotations }: Fields): Generator<ModelPart> {
  if (type === 'server_tool_call' && typeof id === 'string' && typeof name === 'string')
    yield { toolCall: { id, name, arguments: asJson(args ?? {}), by: 'model' } }
  else if (type === 'server_tool_call_result' && typeof toolCallId === 'string')
    yield { toolResult: { call: toolCallId, value: asJson(output ?? null), ...(status === 'error' && { isError: true }) } }
  for (const source of sourcesOf(annotations)) yield { source }
}

function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json
}

function* say({ type, text, reasoning, thinking }: Piece): Generator<ModelPart> {
  if (type === 'text' || type === 'text-delta') {
    // LangChain passes on what the provider sends as text, which may be a list of parts.
    const said = readContent(text)
    if (said.reasoning !== '') yield { reasoning: said.reasoning }
    if (said.text !== '') yield said.text
  } else if (type === 'reasoning' || type === 'reasoning-delta' || type === 'thinking') {
    const thought = reasoning ?? thinking
    if (typeof thought === 'string' && thought !== '') yield { reasoning: thought }
  }
}
