export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** NEL, LS and PS: Python's `splitlines()`, and clients built on it, split lines at them too and would cut an event in two. */
const lineSeparators = /[\u0085\u2028\u2029]/g
const hasLineSeparator = /[\u0085\u2028\u2029]/

/** JSON for the wire, without NEL, LS and PS, at which some clients split lines. Throws as `JSON.stringify` does. */
export function encodeJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent)
  // JSON contains these characters only in strings, where an escape means the same. `undefined` has no JSON.
  return text !== undefined && hasLineSeparator.test(text) ? text.replace(lineSeparators, toEscape) : text
}

function toEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
