/** JSON from outside: bounded in size and in depth, and a copy, so that what is kept does not change with its giver's object. */
import { type Json, limits } from '@millrace/protocol'

/** Deeper JSON would overflow the stack of a function that encodes it. */
export const depthMax = 64

/** Characters of a value as JSON. Leaves room for the event's other fields. */
export const jsonLengthMax = limits.eventBytesMax / 8

/** Undefined for what is not JSON, is too long, or too deep. */
export function copyJson(value: unknown, lengthMax = jsonLengthMax): Json | undefined {
  try {
    const text = JSON.stringify(value)
    if (text === undefined || text.length > lengthMax) return undefined
    const copy: Json = JSON.parse(toWholeJson(text))
    return isShallow(copy) ? copy : undefined
  } catch {
    // A cycle, a BigInt, or JSON so deep that it overflows the stack.
    return undefined
  }
}

/** The text itself where it is no JSON: the mistake of a model, or the plain result of a tool. */
export function parseJsonOrText(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    return text
  }
}

/** What a model wrote as arguments; text that is no JSON matches no schema, so that the model gets the error and may correct it. */
export function parseArguments(text: string): Json {
  return text.trim() === '' ? {} : parseJsonOrText(text)
}

/** Replaces half surrogate pairs in a JSON text. `JSON.stringify` writes them only as escapes. */
export function toWholeJson(json: string): string {
  return json.replaceAll(/\\(?:\\|ud[89a-f][0-9a-f]{2})/g, (found) => (found === '\\\\' ? found : '\ufffd'))
}

/** Level by level, and so without a stack of its own. */
export function isShallow(value: unknown): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthMax) return false
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []))
  }
  return true
}
