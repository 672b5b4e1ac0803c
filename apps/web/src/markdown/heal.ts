/**
 * What an answer in progress has opened on its last line is closed, so that `**bo` is bold at once instead of showing
 * asterisks that vanish a moment later; and what is still ambiguous (`-`: a list, a rule or a heading?) is left out
 * until more comes. For text that still grows; a finished text is shown as it is.
 */
import remend from 'remend'

/** A fence may stand in a quote or be the first thing of a list's item. */
const fenceLine = /^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}|~{3,})([^\n]*)$/

/** Nobody writes a line of this length, and what is done below is done for each frame. */
const lineMax = 10_000

export function healTail(source: string): string {
  const start = source.lastIndexOf('\n') + 1
  const before = source.slice(0, start)
  const line = source.slice(start)
  if (line.length > lineMax) return source
  // Half a fence that closes; and one that opens is shown once its line, with the language, is complete.
  if (isInsideFence(before)) return /^[ \t>]*[`~]+[ \t]*$/.test(line) ? before : source
  if (fenceLine.test(line)) return before
  return healTable(before, line) ?? (isUndecided.test(line) ? before : before + healLine(line))
}

/** Nothing but characters that may become a list, a rule, an underline of a heading or emphasis; or half a checkbox. */
const isUndecided = /^[ \t]*(?:[-+*=_~#`>\t ]*|(?:[-+*]|\d{1,9}[.)])[ \t]+\[[ xX]?\]?[ \t]*)$/

function healLine(line: string): string {
  // What has just begun, with nothing in it: emphasis or code, an entity, a line break.
  const text = line.replace(/(?:(?<=\s)[*_~`]+|&#?[a-z\d]{0,8}|<(?:b(?:r ?\/?)?)?)$/i, '')
  // Most lines open nothing. A space at the end is not shown, as `remend` leaves it out.
  if (!/[*_~`[\]]/.test(text)) return text.replace(/(?<! ) $/, '')
  // `array[0` is none.
  const mayBeLink = !/[\w\])]\[[^\]]*$/.test(text)
  return remend(text, {
    linkMode: 'text-only',
    links: mayBeLink,
    images: mayBeLink,
    setextHeadings: false,
    katex: false,
    htmlTags: false,
    comparisonOperators: false,
    singleTilde: false,
  })
}

/** A table is one from its first line on: that is shown once it is complete, whether or not the line below it is. */
function healTable(before: string, line: string): string | undefined {
  if (!/^[ \t|:-]*$|^ {0,3}\|/.test(line)) return undefined
  const [header = '', above = ''] = before.slice(-lineMax).split('\n').slice(-3, -1).reverse()
  if (isRow(line) && !isRow(header)) return before
  if (!isRow(header) || isRow(above) || !/^[ \t|:-]*$/.test(line)) return undefined
  const columns = countCells(header)
  return countCells(line) === columns && line.includes('-') ? undefined : `${before}|${'---|'.repeat(columns)}`
}

function isRow(line: string): boolean {
  return /^ {0,3}\|/.test(line)
}

function countCells(row: string): number {
  return row
    .trim()
    .replaceAll('\\|', '')
    .replace(/^\||\|$/g, '')
    .split('|').length
}

function isInsideFence(source: string): boolean {
  if (!source.includes('```') && !source.includes('~~~')) return false
  let open: string | undefined
  for (const [, fence = '', info = ''] of source.matchAll(new RegExp(fenceLine, 'gm'))) {
    if (open === undefined) open = fence.startsWith('`') && info.includes('`') ? undefined : fence
    else if (fence.startsWith(open) && info.trim() === '') open = undefined
  }
  return open !== undefined
}
