/**
 * JSON on lines of its own, also while it is still being written. It is formatted as text, token by token: more text
 * only adds to the end, and numbers and the order of names stay as the model wrote them.
 */

/** A string, which the end of the text may cut; a bracket or separator; any other value. */
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?$)|[{}[\],:]|[^\s{}[\],:"]+/gs
const isOpener = (token: string) => token === '{' || token === '['

export function formatJson(text: string): string {
  let formatted = ''
  let indent = '\n'
  let before = ''
  for (const [token] of text.matchAll(tokens)) {
    if (token === '}' || token === ']') {
      indent = indent.slice(0, -2)
      if (!isOpener(before)) formatted += indent
    } else if (isOpener(before) || before === ',') formatted += indent
    formatted += token === ':' ? ': ' : token
    if (isOpener(token)) indent += '  '
    before = token
  }
  return formatted
}
