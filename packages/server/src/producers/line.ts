/** The meaning of a line that a producer sends. The media type of the body says which form its lines have. */
import { MillraceError } from '@millrace/protocol'
import { type CheckedPart, checkPart } from '../runs/part.ts'

export interface Line {
  readonly parts: readonly CheckedPart[]
  /** The answer ends with this line: well, or with an error. */
  readonly end?: { readonly error?: MillraceError }
}

/** Reads the lines of one answer, in order. Keeps state between them. */
export interface LineReader {
  /** Throws `invalid_json` or `invalid_request` for an invalid line, which may then be sent again, corrected. */
  read(text: string): Line
  /** Whether the answer is complete if the body ends now, though no line was an end. */
  readonly mayEnd: boolean
}

export function parseLine(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new MillraceError('invalid_json', { message: `A line is not valid JSON: ${shorten(text)}`, cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidLine('is not a JSON object', text)
  return value as Readonly<Record<string, unknown>>
}

/** Throws `invalid_request`: a model that yields such a part fails, a producer can correct it. */
export function requirePart(part: unknown, text: string): CheckedPart | undefined {
  try {
    return checkPart(part)
  } catch {
    throw invalidLine('is not a part of an answer', text)
  }
}

export function invalidLine(problem: string, text: string): MillraceError {
  return new MillraceError('invalid_request', { message: `A line ${problem}: ${shorten(text)}` })
}

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80).toWellFormed()}…`
}
