/** Lines of our own: `{"text":"…"}` and the other parts of an answer, `{"end":…}` and `{"error":…}`. PROTOCOL.md#producers. */
import { type ErrorCode, MillraceError, readBinary } from '@millrace/protocol'
import type { CheckedPart } from '../runs/part.ts'
import { invalidLine, type Line, type LineReader, parseLine, requirePart } from './line.ts'

/** Names on the wire, and those of the parts. */
const parts = new Map([
  ['text', 'text'],
  ['reasoning', 'reasoning'],
  ['data', 'data'],
  ['source', 'source'],
  ['tool_call_start', 'toolCallStart'],
  ['tool_call_delta', 'toolCallDelta'],
  ['tool_call', 'toolCall'],
  ['tool_result', 'toolResult'],
  ['usage', 'usage'],
  ['finishReason', 'finishReason'],
])

/** What a producer may say about its own failure. */
const errorCodes: ReadonlySet<string> = new Set<ErrorCode>([
  'model_failed',
  'model_rejected',
  'model_rate_limited',
  'model_timeout',
  'model_unauthorized',
  'model_unavailable',
])
const messageLengthMax = 1000

export function createOwnLines(): LineReader {
  return { read, mayEnd: true }
}

function read(text: string): Line {
  const value = parseLine(text)
  if ('end' in value) return { parts: endParts(value.end, text), end: {} }
  if ('error' in value) return { parts: [], end: { error: toError(value.error, text) } }
  const found = Object.entries(value).flatMap(([name, part]) => {
    const known = name === 'file' ? { file: toFile(part) } : parts.has(name) ? { [parts.get(name) as string]: part } : undefined
    if (known === undefined) throw invalidLine(`has the unknown field ${JSON.stringify(name.slice(0, 40))}`, text)
    return requirePart(known, text) ?? []
  })
  return { parts: found }
}

/** `end` is `true`, or has the usage and the finish reason. */
function endParts(end: unknown, text: string): CheckedPart[] {
  if (end === true) return []
  if (typeof end !== 'object' || end === null) throw invalidLine('has an `end` that is neither true nor an object', text)
  const { usage, finishReason } = end as Readonly<Record<string, unknown>>
  return [usage === undefined ? [] : { usage }, finishReason === undefined ? [] : { finishReason }]
    .flat()
    .flatMap((part) => requirePart(part, text) ?? [])
}

function toFile(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const { bytes, ...file } = value as Readonly<Record<string, unknown>>
  return { ...file, bytes: readBinary(bytes) }
}

function toError(value: unknown, text: string): MillraceError {
  if (typeof value !== 'string' && (typeof value !== 'object' || value === null))
    throw invalidLine('has an `error` that is neither an object nor text', text)
  const { code = 'model_failed', message } = (typeof value === 'string' ? { message: value } : value) as {
    readonly code?: unknown
    readonly message?: unknown
  }
  if (!errorCodes.has(code as string)) throw invalidLine('has an `error` with a code that is none of a model', text)
  if (message !== undefined && typeof message !== 'string') throw invalidLine('has an `error` whose message is no text', text)
  return new MillraceError(code as ErrorCode, message ? { message: message.slice(0, messageLengthMax).toWellFormed() } : {})
}
