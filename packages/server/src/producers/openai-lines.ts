/** Chunks of OpenAI's chat completions as parts: so the stream of any such provider can be sent on as it is. */
import { type FinishReason, MillraceError } from '@millrace/protocol'
import type { CheckedPart } from '../runs/part.ts'
import { parseArguments } from '../tools/json.ts'
import { type Line, type LineReader, parseLine, requirePart } from './line.ts'

type Fields = Readonly<Record<string, unknown>>

interface Call {
  readonly id: string
  readonly name: string
  arguments: string
}

const finishReasons: Readonly<Record<string, FinishReason>> = {
  stop: 'stop',
  length: 'length',
  content_filter: 'content_filter',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
}

export function createOpenAiLines(): LineReader {
  /** By their index. */
  const calls = new Map<unknown, Call>()
  let hasFinished = false

  return {
    get mayEnd() {
      return hasFinished
    },
    read(text): Line {
      if (text.trim() === '[DONE]') return { parts: [], end: {} }
      const chunk = parseLine(text)
      // A provider's error message may contain secrets, and is not passed on.
      if (isFields(chunk.error)) return { parts: [], end: { error: new MillraceError('model_failed') } }
      const parts = [...choiceParts(firstChoice(chunk)), ...usageParts(chunk.usage)]
      return { parts: parts.flatMap((part) => requirePart(part, text) ?? []) }
    },
  }

  function* choiceParts({ delta, finish_reason: reason }: Fields): Generator<unknown> {
    const { content, reasoning_content: reasoning, reasoning: other, tool_calls: pieces } = isFields(delta) ? delta : {}
    const thought = typeof reasoning === 'string' ? reasoning : other
    if (typeof thought === 'string') yield { reasoning: thought }
    if (typeof content === 'string') yield { text: content }
    for (const piece of Array.isArray(pieces) ? pieces : []) if (isFields(piece)) yield* callParts(piece)
    if (typeof reason !== 'string') return
    hasFinished = true
    for (const { id, name, arguments: given } of calls.values())
      yield { toolCall: { id, name, arguments: parseArguments(given), by: 'model' } }
    calls.clear()
    yield { finishReason: finishReasons[reason] ?? 'other' }
  }

  function* callParts({ index = 0, id, function: called }: Fields): Generator<unknown> {
    const { name, arguments: piece } = isFields(called) ? called : {}
    let call = calls.get(index)
    if (call === undefined) {
      const given = typeof id === 'string' ? id : `call_${calls.size}`
      call = { id: given, name: typeof name === 'string' ? name : '', arguments: '' }
      calls.set(index, call)
      yield { toolCallStart: { id: call.id, name: call.name } }
    }
    if (typeof piece !== 'string' || piece === '') return
    call.arguments += piece
    yield { toolCallDelta: { id: call.id, arguments: piece } }
  }
}

function firstChoice({ choices }: Fields): Fields {
  const all: unknown[] = Array.isArray(choices) ? choices : []
  return all.filter(isFields).find(({ index = 0 }) => index === 0) ?? {}
}

function usageParts(usage: unknown): CheckedPart[] {
  if (!isFields(usage)) return []
  const {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: total,
    completion_tokens_details: outputDetails,
    prompt_tokens_details: inputDetails,
  } = usage
  if (typeof inputTokens !== 'number' || typeof outputTokens !== 'number') return []
  const reasoningTokens = isFields(outputDetails) ? outputDetails.reasoning_tokens : undefined
  const cachedInputTokens = isFields(inputDetails) ? inputDetails.cached_tokens : undefined
  return [
    {
      usage: {
        inputTokens,
        outputTokens,
        totalTokens: typeof total === 'number' ? total : inputTokens + outputTokens,
        ...(typeof reasoningTokens === 'number' && { reasoningTokens }),
        ...(typeof cachedInputTokens === 'number' && { cachedInputTokens }),
      },
    },
  ]
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
