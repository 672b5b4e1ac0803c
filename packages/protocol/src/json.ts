/**
 * JSON as it stands on the wire. It is JSON as always, but that no character in it ends a line for anybody:
 * Python's `splitlines()` and clients built on it also split at NEL, LS and PS, and would cut an event in two.
 */
const lineSeparators = /[\u0085\u2028\u2029]/g
const hasLineSeparator = /[\u0085\u2028\u2029]/

export function encodeJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent)
  // Outside of a string JSON has none of them, and inside an escape means the same. `undefined` has no JSON.
  return text !== undefined && hasLineSeparator.test(text) ? text.replace(lineSeparators, toEscape) : text
}

function toEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
