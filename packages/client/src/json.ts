/**
 * Reads JSON that is still being written, such as the text of a lane that answers with `responseFormat`. All that is whole is
 * in it, and of the last text or number as much as there is; a name without its value is not. So what it gives only grows.
 */
import type { Json } from '@millrace/protocol'

/** A string as far as its escapes are whole, a bracket or separator, or any other value. */
const tokens = /"[^"\\]*(?:\\(?:u[\da-fA-F]{4}|[^u])[^"\\]*)*("?)|[{}[\],:]|[^\s{}[\],:"]+/g
const halfEscape = /^\\(?:u[\da-fA-F]{0,3})?$/
const literals = ['true', 'false', 'null']
/** What a number cannot end with. */
const halfNumber = /(?:\.|[eE][+-]?|-)$/

/** Undefined before the first value, and for text that is not the beginning of JSON. */
export function parsePartialJson(text: string): Json | undefined {
  try {
    return JSON.parse(close(text)) as Json
  } catch {
    return undefined
  }
}

/** The text up to its last value, with what closes it. */
function close(text: string): string {
  /** Of the brackets that are open, the innermost first. */
  let closers = ''
  let closed = ''
  let isKey = false
  for (const { 0: token, 1: quote, index } of text.matchAll(tokens)) {
    const end = index + token.length
    const toValue = (value: string) => text.slice(0, index) + value + closers
    if (token === ':' || token === ',') isKey = token === ',' && closers.startsWith('}')
    else if (token === '{' || token === '[') {
      closers = (token === '{' ? '}' : ']') + closers
      isKey = token === '{'
      closed = text.slice(0, end) + closers
    } else if (token === '}' || token === ']') {
      closers = closers.slice(1)
      closed = text.slice(0, end) + closers
    } else if (token.startsWith('"')) {
      const isCut = end === text.length || halfEscape.test(text.slice(end))
      if (quote === '') return !isCut ? '' : isKey ? closed : toValue(`${token}"`)
      if (!isKey) closed = toValue(token)
    } else if (end < text.length || literals.includes(token)) closed = toValue(token)
    else {
      const value = literals.some((each) => each.startsWith(token)) ? '' : token.replace(halfNumber, '')
      return value === '' ? closed : toValue(value)
    }
  }
  return closed
}
