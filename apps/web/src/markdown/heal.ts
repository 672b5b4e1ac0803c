/**
 * Closes what an answer in progress has opened on its last line, so that `**bo` is bold at once
 * instead of showing asterisks that vanish a moment later, and half a link shows only its words.
 * For text that still grows; a finished text is shown as it is.
 */
export function healTail(source: string): string {
  if (isInsideFence(source)) return source
  const start = source.lastIndexOf('\n') + 1
  return source.slice(0, start) + healLine(source.slice(start))
}

function healLine(line: string): string {
  if (count(line, '`') % 2 === 1) return `${line}\``
  const text = withoutHalfLink(line)
  if (count(text, '**') % 2 === 0) return text
  // Opened a moment ago with nothing inside: hide it until there is something to make bold.
  if (/\*\*\s*$/.test(text)) return text.replace(/\*\*\s*$/, '')
  return `${text.replace(/\*?\s*$/, '')}**`
}

/** `[words`, `[words]` and `[words](http` become `words`: the address is not complete yet. */
function withoutHalfLink(line: string): string {
  if (/^\s*[-*+] \[[ xX]?\]?$/.test(line)) return line
  const half = /!?\[([^\]]*)(?:\]?|\]\([^)]*)$/.exec(line)
  return half === null ? line : line.slice(0, half.index) + (half[1] ?? '')
}

function isInsideFence(source: string): boolean {
  return (source.match(/^\s*(```|~~~)/gm)?.length ?? 0) % 2 === 1
}

function count(text: string, part: string): number {
  return text.split(part).length - 1
}
