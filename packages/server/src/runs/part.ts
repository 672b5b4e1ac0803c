/** Checks the parts that a model or an application yields, so that a faulty stream cannot damage the log. */
import { type FinishReason, limits, MillraceError, mediaTypePattern, type Usage } from '@millrace/protocol'
import type { ModelFile, ModelPart } from '../models/model.ts'
import { copyJson, jsonLengthMax } from '../tools/json.ts'
import { checkSource, checkToolCall, checkToolDelta, checkToolResult, checkToolStart } from './tool-part.ts'

export type CheckedPart = Exclude<ModelPart, string>

const fileNamePattern = /^[^\p{Cc}\p{Cs}]{1,255}$/u
const finishReasons: ReadonlySet<string> = new Set<FinishReason>(['stop', 'length', 'content_filter', 'tool_calls', 'other'])

/** Normalizes a part, with text of any length. Undefined for an empty part. Throws `model_failed` for a value that is not a part. */
export function checkPart(part: unknown): CheckedPart | undefined {
  if (typeof part === 'string') return part === '' ? undefined : { text: part }
  if (typeof part !== 'object' || part === null) throw garbage()
  if ('text' in part) return typed(part, 'text')
  if ('reasoning' in part) return typed(part, 'reasoning')
  if ('usage' in part) return usage(part.usage)
  if ('finishReason' in part) return finish(part.finishReason)
  if ('data' in part) return data(part.data)
  if ('file' in part) return file(part.file)
  if ('toolCallStart' in part) return { toolCallStart: checkToolStart(part.toolCallStart) }
  if ('toolCallDelta' in part) return { toolCallDelta: checkToolDelta(part.toolCallDelta) }
  if ('toolCall' in part) return { toolCall: checkToolCall(part.toolCall) }
  if ('toolResult' in part) return { toolResult: checkToolResult(part.toolResult) }
  if ('source' in part) return { source: checkSource(part.source) }
  throw garbage()
}

function typed(part: object, field: 'text' | 'reasoning'): CheckedPart | undefined {
  const value = (part as Record<string, unknown>)[field]
  if (typeof value !== 'string') throw garbage()
  if (value === '') return undefined
  return field === 'text' ? { text: value } : { reasoning: value }
}

function usage(value: unknown): CheckedPart {
  if (typeof value !== 'object' || value === null) throw garbage()
  const { inputTokens, outputTokens, totalTokens, reasoningTokens, cachedInputTokens } = value as Usage
  if (![inputTokens, outputTokens, totalTokens].every(isCount)) throw garbage('a usage without its counts')
  const parts = {
    ...(isCount(reasoningTokens) && { reasoningTokens }),
    ...(isCount(cachedInputTokens) && { cachedInputTokens }),
  }
  return { usage: { inputTokens, outputTokens, totalTokens, ...parts } }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function finish(value: unknown): CheckedPart {
  if (typeof value !== 'string') throw garbage()
  return { finishReason: finishReasons.has(value) ? (value as FinishReason) : 'other' }
}

function data(value: unknown): CheckedPart {
  if (typeof value !== 'object' || value === null || !('name' in value) || typeof value.name !== 'string') throw garbage()
  const given = (value as { value?: unknown }).value
  const copy = copyJson(given, jsonLengthMax - value.name.length)
  if (copy === undefined) throw garbage('data that is not JSON, or larger than an event may be')
  return { data: { name: value.name.toWellFormed(), value: copy } }
}

function file(value: unknown): CheckedPart {
  if (typeof value !== 'object' || value === null) throw garbage()
  const { mediaType, name, bytes } = value as Partial<ModelFile>
  if (typeof mediaType !== 'string' || !mediaTypePattern.test(mediaType)) throw garbage('a file without a media type')
  if (name !== undefined && !(typeof name === 'string' && fileNamePattern.test(name))) throw garbage('a file with an unfit name')
  if (!(bytes instanceof Uint8Array)) throw garbage('a file without bytes')
  if (bytes.length > limits.fileBytesMax) throw garbage('a file larger than an event may be')
  // A copy, as above; a plain Uint8Array also of a Buffer.
  return { file: { mediaType, ...(name !== undefined && { name }), bytes: new Uint8Array(bytes) } }
}

function garbage(what = 'something that is not part of an answer'): MillraceError {
  return new MillraceError('model_failed', { message: `The model sent ${what}; what it had said before is kept.` })
}
